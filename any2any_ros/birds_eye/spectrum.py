"""What the Fourier transform of a bird's-eye image says of the place.

Moving the sensor shifts the image, and leaves the magnitudes of its transform as they are. Turning the sensor turns the
magnitudes. So on a polar grid of the magnitudes a turn is a shift along the angle: its correlation with that of another
image gives the heading between the two, and its own Fourier magnitudes along the angle depend on neither. After
Fourier-Mellin registration (Reddy & Chatterji, IEEE TIP 1996). Magnitudes of a real image are the same at opposite
angles, so that half a turn is enough, and a heading is known up to half a turn.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from any2any_ros.arrays import Array
from any2any_ros.birds_eye.image import INSIDE, SIZE, Levels

Complex = NDArray[np.complex64]

PADDED = 160  # cells a side of the transformed image: the image, and room for a shift of a quarter of it
ANGLES = 180  # of the polar grid, over half a turn
RADII = np.arange(3, 60)  # of the polar grid, in cycles over the padded image; lower ones say little of what is where
HARMONICS = 32  # Fourier coefficients along the angle that are used
BLUR = 0.8  # cells, standard deviation: hides that the cells of two images do not lie on each other
BRIGHTNESS = np.sqrt(np.array([0.0, 1.5, 4.0, 8.0], dtype=np.float32))  # of the levels: the root of their mean counts
TINY = np.float32(1e-12)


def _polar_grid() -> tuple[Array, Array]:
    """Return column and row (radii, ANGLES) of the polar grid in a half transform whose rows were put in order."""
    angle = np.arange(ANGLES) * (np.pi / ANGLES)
    x, y = RADII[:, None] * np.cos(angle), RADII[:, None] * np.sin(angle)
    opposite = x < 0
    return np.abs(x).astype(np.float32), (np.where(opposite, -y, y) + PADDED // 2).astype(np.float32)


_COLUMN, _ROW = _polar_grid()


def bright(image: Levels) -> Array:
    """Return the brightness (SIZE, SIZE) of an image, blurred, with mean 0 inside the circle and 0 outside."""
    import cv2  # slow to import, and only maps with images need it

    blurred = cv2.GaussianBlur(BRIGHTNESS[image], (0, 0), BLUR)
    return np.asarray(np.where(INSIDE, blurred - blurred[INSIDE].mean(), np.float32(0)), dtype=np.float32)


def transform(brightness: Array) -> Complex:
    """Return the Fourier transform (PADDED, PADDED // 2 + 1) of a brightness (SIZE, SIZE)."""
    return np.asarray(fft.rfft2(brightness, s=(PADDED, PADDED)), dtype=np.complex64)


def polar(transformed: Complex) -> Array:
    """Return the roots of the magnitudes on a polar grid (radii, ANGLES), each ring with mean 0."""
    import cv2

    magnitude = np.roll(np.sqrt(np.abs(transformed)), PADDED // 2, axis=0)
    rings = cv2.remap(magnitude, _COLUMN, _ROW, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(rings - rings.mean(axis=1, keepdims=True))


def descriptor(rings: Array) -> Array:
    """Return the descriptor (DIMENSION,) of a polar grid (radii, ANGLES). Neither heading nor shift changes it.

    It is the root of the magnitudes along the angle, averaged over two neighbouring rings; each ring has length 1.
    """
    magnitude = np.abs(fft.rfft(rings, axis=1))[: 2 * PAIRS, 1 : 1 + HARMONICS]
    pairs = np.sqrt(magnitude.reshape(PAIRS, 2, HARMONICS).mean(axis=1))
    return np.asarray(pairs / np.maximum(np.linalg.norm(pairs, axis=1, keepdims=True), TINY), np.float32).ravel()


PAIRS = len(RADII) // 2
DIMENSION = PAIRS * HARMONICS
assert SIZE < PADDED
