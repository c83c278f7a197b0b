"""Camera without weights: which way edges run where in the picture (HOG), and the rough layout of its colours.

Holds for a robot that passes a place facing about the same way; a forward camera on the way back sees another
street, and no descriptor of the picture alone can know better.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array
from any2any_ros.config import Settings, setting
from any2any_ros.encoders._edges import Edges
from any2any_ros.encoders._fingerprint import fingerprint, unit
from any2any_ros.errors import Any2AnyError


@dataclass(frozen=True)
class CameraConfig(Settings):
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
        self.config = config
        self._edges = Edges(config.width, config.height)

    @property
    def dimension(self) -> int:
        columns, rows = self._edges.grid
        return self._edges.dimension + 2 * columns * rows

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.plug, self.revision, self.config)

    def gather(self, sample: NDArray[np.uint8], stamp_ns: int) -> NDArray[np.uint8]:
        return sample

    def encode(self, sample: NDArray[np.uint8]) -> Array:
        """Return (dimension,) for a picture (H, W, 3) uint8, RGB; raise on one that shows nothing at all."""
        import cv2

        small = cv2.resize(sample, self._edges.size, interpolation=cv2.INTER_AREA)
        lab = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), dtype=np.uint8)
        if np.ptp(lab[..., 0]) < 2:
            raise Any2AnyError(
                "Cannot use an image",
                "it is one even colour from edge to edge",
                "Check the lens cap, the exposure and the camera driver",
            )
        edges = self._edges.describe(lab[..., 0])
        hue = cv2.resize(lab[..., 1:], self._edges.grid, interpolation=cv2.INTER_AREA).astype(np.float32) - 128
        hue -= hue.mean(axis=(0, 1))  # the light's own colour
        return unit(np.concatenate([unit(edges), self.config.colour * unit(hue.ravel())]))
