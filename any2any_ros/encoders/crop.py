"""An image of one object without weights: its colours, as colour terms and as numbers, and the directions of its edges.

The camera encoder for places removes the mean colour, because it is the colour of the light. The colour of an object is
the first thing people mention, so here colours are absolute: shares of the eleven basic colour terms (Berlin & Kay
1969) in three bands from top to bottom, and a soft histogram in Lab. An alpha channel masks the image. Without one, the
middle counts more than the rim, and pixels that look like the rim count little.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array
from any2any_ros.config import Settings, setting
from any2any_ros.encoders._base import BaseEncoder, unit_vector
from any2any_ros.encoders._edges import hog, whole_cells
from any2any_ros.errors import Any2AnyError

# sRGB values of the basic colour terms, in light and in shade.
TERMS: dict[str, tuple[int, ...]] = {
    "black": (0x0C0C0C, 0x262626), "grey": (0x606060, 0x8A8A8A, 0xA8A8A8), "white": (0xD8D8D8, 0xFAFAFA),
    "red": (0xC8202A, 0x7A1018), "orange": (0xE87818, 0xA85010), "yellow": (0xF0D030, 0xB09018),
    "green": (0x2C8C3C, 0x174820, 0x90C860), "blue": (0x2050B8, 0x142850, 0x88B8E0), "purple": (0x6C3494, 0x3C1C54),
    "pink": (0xE888B0, 0xB06080), "brown": (0x6C4424, 0x3A2210, 0xB88C5C),
}  # fmt: skip
BANDS = 3  # from top to bottom
LEVELS, HUES, REACH = 4, 7, 70.0  # of the Lab histogram: bins of L, bins each of a and b, which reach from -70 to 70
LIGHTNESS = np.array([0.7, 1, 1], dtype=np.float32)  # weights of L, a and b: lightness depends on the shade
RIM = 4  # width of the rim in pixels


@dataclass(frozen=True)
class CropConfig(Settings):
    """Settings of the descriptor of object images."""

    size: int = setting(96, "width and height that an image is resized to", unit="px", minimum=32, maximum=512)
    colour: float = setting(1.0, "weight of the colours", minimum=0, maximum=10)
    edges: float = setting(1.0, "weight of the edges", minimum=0, maximum=10)
    softness: float = setting(
        14.0, "distance in Lab over which one colour term gives way to another", minimum=1, maximum=100
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.colour and not self.edges:
            raise Any2AnyError(
                "The settings of the crop descriptor leave nothing to encode",
                "colour and edges are both 0",
                "Raise one of them",
            )


class CropEncoder(BaseEncoder[CropConfig]):
    """Cost: 4-6 ms. Invariant to the size of the image and small shifts, little to light, not to the side in view."""

    plug = "crop"
    modality = "camera"
    accepts = "image"
    topic = "object/image_raw"
    Config = CropConfig

    def __init__(self, config: CropConfig = CropConfig()) -> None:
        super().__init__(config)
        self._side = whole_cells(config.size)
        self._hog = hog(self._side, self._side)
        codes = [code for shades in TERMS.values() for code in shades]
        rgb = np.array([[code >> 16, code >> 8 & 255, code & 255] for code in codes], dtype=np.uint8)
        self._prototypes = _lab(rgb[None])[0] * LIGHTNESS  # (P, 3)
        # (P, terms): 1 where a prototype belongs to a term
        self._term = np.repeat(np.eye(len(TERMS)), [len(s) for s in TERMS.values()], axis=0).astype(np.float32)
        y, x = np.mgrid[-1 : 1 : self._side * 1j, -1 : 1 : self._side * 1j]
        self._middle = np.exp(-1.2 * (x**2 + y**2)).astype(np.float32)

    @property
    def dimension(self) -> int:
        return int(self._hog.getDescriptorSize()) + len(TERMS) * BANDS + LEVELS * HUES**2

    def encode(self, sample: NDArray[np.uint8]) -> Array:
        """Return (dimension,) for an image (H, W, 3 or 4) uint8, RGB or RGBA.

        Raises Any2AnyError when it has a single colour, or when its mask is empty.
        """
        import cv2

        masked = _masked(sample) if sample.shape[2] == 4 else sample
        small = cv2.resize(masked, (self._side, self._side), interpolation=cv2.INTER_AREA)
        lab = _lab(small[..., :3])
        if np.ptp(lab[..., 0]) < 0.8 and np.ptp(lab[..., 1:], axis=(0, 1)).max() < 2:
            raise _unusable("it has the same colour everywhere", "Check the camera, and what crops the object")
        weight = self._weight(lab, small[..., 3] if small.shape[2] == 4 else None)
        terms, histogram = unit_vector(self._terms(lab, weight)), unit_vector(_histogram(lab, weight))
        colours, edges = unit_vector(np.concatenate([terms, histogram])), unit_vector(self._edges(lab[..., 0], weight))
        return unit_vector(np.concatenate([self.config.edges * edges, self.config.colour * colours]))

    def _weight(self, lab: Array, alpha: NDArray[Any] | None) -> Array:
        """Return how much each pixel (S, S) belongs to the object: by its mask, or by its position and how much it
        differs from the rim."""
        if alpha is not None:
            return np.asarray(alpha / np.float32(255), dtype=np.float32)
        sides = (lab[:RIM], lab[-RIM:], lab[:, :RIM], lab[:, -RIM:])
        rim = np.concatenate([side.reshape(-1, 3) for side in sides])
        usual = np.median(rim, axis=0)
        tolerance = np.maximum(np.median(np.abs(rim - usual), axis=0) * 1.5, 4.0)
        tolerance = tolerance * [2.0, 1.0, 1.0]  # wider in lightness: shadows belong to the rim
        unlike = 1 - np.exp(-0.12 * (((lab - usual) / tolerance) ** 2).sum(axis=-1))
        return np.asarray(self._middle * (0.08 + unlike), dtype=np.float32)

    def _terms(self, lab: Array, weight: Array) -> Array:
        """Return the square roots of the shares of each colour term in each band (BANDS * terms,)."""
        pixels = lab[::2, ::2].reshape(-1, 3) * LIGHTNESS
        # Squared distances to the prototypes without the pixel's own square, which is the same for all prototypes.
        distance = (self._prototypes**2).sum(axis=1) - 2 * np.einsum("nk,pk->np", pixels, self._prototypes)
        distance -= distance.min(axis=1, keepdims=True)
        closeness = np.exp(distance * np.float32(-0.5 / self.config.softness**2))
        shares = (closeness / closeness.sum(axis=1, keepdims=True)) @ self._term * weight[::2, ::2].reshape(-1, 1)
        bands = [band.sum(axis=0) for band in np.array_split(shares, BANDS)]
        return np.sqrt(np.concatenate(bands) / max(float(weight.sum()), 1e-9)).astype(np.float32)

    def _edges(self, lightness: Array, weight: Array) -> Array:
        """Return the HOG of the image after blending its background into the mean."""
        opacity = np.clip(weight / max(float(np.percentile(weight, 95)), 1e-9), 0, 1)
        mean = float((lightness * weight).sum() / max(float(weight.sum()), 1e-9))
        image = np.clip((mean + (lightness - mean) * np.sqrt(opacity)) * 2.55, 0, 255).astype(np.uint8)
        return np.asarray(self._hog.compute(image), dtype=np.float32).ravel()


def _histogram(lab: Array, weight: Array) -> Array:
    """Return the square roots of a histogram over L, a and b. A pixel counts in the eight bins around it, by
    trilinear interpolation."""
    scaled = np.stack([lab[..., 0] / 100 * (LEVELS - 1),
                       *((lab[..., i] / REACH + 1) / 2 * (HUES - 1) for i in (1, 2))], axis=-1)  # fmt: skip
    top = np.array([LEVELS - 1, HUES - 1, HUES - 1])
    position = np.clip(scaled.reshape(-1, 3), 0, top - 1e-4)
    low = position.astype(np.intp)
    share, histogram = position - low, np.zeros(LEVELS * HUES**2)
    first = np.ravel_multi_index(tuple(low.T), (LEVELS, HUES, HUES))
    for corner in np.ndindex(2, 2, 2):
        i, j, k = (share[:, axis] if up else 1 - share[:, axis] for axis, up in enumerate(corner))
        step = (corner[0] * HUES + corner[1]) * HUES + corner[2]
        histogram += np.bincount(first + step, i * j * k * weight.ravel(), len(histogram))
    return np.sqrt(histogram / max(float(histogram.sum()), 1e-9)).astype(np.float32)


def _masked(sample: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return RGBA (H, W, 4) with the object's mean colour outside its mask, so that resizing does not mix the
    background into the object."""
    inside = sample[..., 3] > 127
    if not inside.any():
        raise _unusable("its mask is empty", "Check what crops the object")
    out = sample.copy()
    out[~inside, :3] = sample[inside, :3].mean(axis=0)
    out[..., 3] = np.where(inside, 255, 0)
    return out


def _lab(rgb: NDArray[Any]) -> Array:
    """Return L in [0, 100], a and b, (H, W, 3) float32, for RGB (H, W, 3) in [0, 255]."""
    import cv2

    return np.asarray(cv2.cvtColor(np.ascontiguousarray(rgb, dtype=np.float32) / 255, cv2.COLOR_RGB2LAB))


def _unusable(why: str, remedy: str) -> Any2AnyError:
    return Any2AnyError("Cannot use an image of an object", why, remedy)
