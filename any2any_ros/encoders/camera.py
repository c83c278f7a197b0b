"""Camera images without weights: the directions of edges (HOG), and the rough layout of colours.

The embedding suits a robot that passes a place with about the same heading each time. On the way back a forward camera
sees another street, and no descriptor of one image can know that it is the same place. A rear camera can
(retrieval/views.py).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array
from any2any_ros.config import Settings, setting
from any2any_ros.encoders._base import BaseEncoder, unit_vector
from any2any_ros.encoders._edges import Edges
from any2any_ros.errors import Any2AnyError


@dataclass(frozen=True)
class CameraConfig(Settings):
    """Settings of the camera descriptor."""

    width: int = setting(160, "width that an image is resized to", unit="px", minimum=32, maximum=1280)
    height: int = setting(64, "height that an image is resized to", unit="px", minimum=32, maximum=1280)
    colour: float = setting(0.3, "weight of the colour layout relative to the edges", minimum=0, maximum=10)


class CameraEncoder(BaseEncoder[CameraConfig]):
    """Cost: 1-2 ms. Invariant to brightness, contrast and small shifts, but not to heading."""

    plug = "camera"
    modality = "camera"
    accepts = "image"
    topic = "camera/image_raw"
    Config = CameraConfig

    def __init__(self, config: CameraConfig = CameraConfig()) -> None:
        super().__init__(config)
        self._edges = Edges(config.width, config.height)

    @property
    def dimension(self) -> int:
        columns, rows = self._edges.grid
        return self._edges.dimension + 2 * columns * rows

    def encode(self, sample: NDArray[np.uint8]) -> Array:
        """Return (dimension,) for an image (H, W, 3) uint8, RGB. Raises Any2AnyError when it has a single colour."""
        import cv2

        small = cv2.resize(sample, self._edges.size, interpolation=cv2.INTER_AREA)
        lab = np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2LAB), dtype=np.uint8)
        if np.ptp(lab[..., 0]) < 2:
            raise Any2AnyError(
                "Cannot use an image",
                "it has the same colour everywhere",
                "Check the lens cap, the exposure and the camera driver",
            )
        edges = self._edges.describe(lab[..., 0])
        colours = cv2.resize(lab[..., 1:], self._edges.grid, interpolation=cv2.INTER_AREA).astype(np.float32) - 128
        colours -= colours.mean(axis=(0, 1))  # removes the colour of the light
        return unit_vector(np.concatenate([unit_vector(edges), self.config.colour * unit_vector(colours.ravel())]))
