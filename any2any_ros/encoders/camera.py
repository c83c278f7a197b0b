"""Camera without weights: which way edges run where in the picture (HOG), and the rough layout of its colours.

Holds for a robot that passes a place facing about the same way; a forward camera on the way back sees another
street, and no descriptor of the picture alone can know better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros.config import Checked, setting
from any2any_ros.encoders._fingerprint import fingerprint, unit
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import Array

CELL, BLOCK = 16, 32  # pixels of the small picture that HOG sees
BINS = 9


@dataclass(frozen=True)
class CameraConfig(Checked):
    """Settings of the camera descriptor."""

    width: int = setting(160, "of the small picture", unit="px", minimum=32, maximum=1280)
    height: int = setting(64, "of the small picture", unit="px", minimum=32, maximum=1280)
    colour: float = setting(0.3, "weight of the colour layout beside the edges", minimum=0, maximum=10)


class CameraEncoder:
    """Cost: 1-2 ms. Invariant to: brightness and contrast, small shifts; not to heading."""

    plug: ClassVar[str] = "camera"
    modality: ClassVar[str] = "camera"
    accepts: ClassVar[str] = "image"
    topic: ClassVar[str] = "camera/image_raw"
    keeps: ClassVar[int] = 1
    revision: ClassVar[int] = 1
    Config: ClassVar[type[CameraConfig]] = CameraConfig

    def __init__(self, config: CameraConfig = CameraConfig()) -> None:
        import cv2

        self.config = config
        # HOG wants whole cells.
        self._size = (config.width // CELL * CELL, config.height // CELL * CELL)
        block, cell = (BLOCK, BLOCK), (CELL, CELL)
        self._hog: Any = cv2.HOGDescriptor(self._size, block, cell, cell, BINS)
        self._equalise: Any = cv2.createCLAHE(clipLimit=2.0, tileGridSize=(4, 4))
        self._grid = (self._size[0] // CELL, self._size[1] // CELL)

    @property
    def dimension(self) -> int:
        return int(self._hog.getDescriptorSize()) + 2 * self._grid[0] * self._grid[1]

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.plug, self.revision, self.config)

    def gather(self, sample: NDArray[np.uint8], stamp_ns: int) -> NDArray[np.uint8]:
        return sample

    def encode(self, sample: NDArray[np.uint8]) -> Array:
        """Return (dimension,) for a picture (H, W, 3) uint8, RGB; raise on one that shows nothing at all."""
        import cv2

        small = cv2.resize(sample, self._size, interpolation=cv2.INTER_AREA)
        lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
        if np.ptp(lab[..., 0]) < 2:
            raise Any2AnyError(
                "Cannot use an image",
                "it is one even colour from edge to edge",
                "Check the lens cap, the exposure and the camera driver",
            )
        edges = self._hog.compute(self._equalise.apply(lab[..., 0])).ravel()
        hue = cv2.resize(lab[..., 1:], self._grid, interpolation=cv2.INTER_AREA).astype(np.float32) - 128
        hue -= hue.mean(axis=(0, 1))  # the light's own colour
        return unit(np.concatenate([unit(edges), self.config.colour * unit(hue.ravel())]))
