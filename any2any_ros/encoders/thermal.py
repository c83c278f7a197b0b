"""Thermal images without weights: the directions of edges of temperature (HOG), and the layout of warm and cold.

Absolute counts mean little: they differ between cameras, drift until the shutter closes, and follow the weather. So
each image is first scaled to the range between its own cold and its own warm end.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Array
from any2any_ros.config import Settings, setting
from any2any_ros.encoders._base import BaseEncoder, unit_vector
from any2any_ros.encoders._edges import Edges
from any2any_ros.errors import Any2AnyError

COLD, WARM = 10.0, 99.0  # percentiles that become black and white; 10, because a clear sky is far colder than the rest


@dataclass(frozen=True)
class ThermalConfig(Settings):
    """Settings of the thermal descriptor."""

    width: int = setting(160, "width that an image is resized to", unit="px", minimum=32, maximum=1280)
    height: int = setting(64, "height that an image is resized to", unit="px", minimum=32, maximum=1280)
    across: float = setting(1.0, "share of the image's width that is used, around its middle", minimum=0.05, maximum=1)
    upright: float = setting(
        1.0,
        "share of the image's height that is used; the view of the map's camera is best",
        minimum=0.05,
        maximum=1,
    )
    layout: float = setting(0.3, "weight of the layout of warm and cold relative to the edges", minimum=0, maximum=10)


class ThermalEncoder(BaseEncoder[ThermalConfig]):
    """Cost: 1 ms. Invariant to gain, offset and drift of the camera and to small shifts, but not to heading."""

    plug = "thermal"
    modality = "thermal"
    accepts = "thermal"
    topic = "thermal/image_raw"
    Config = ThermalConfig

    def __init__(self, config: ThermalConfig = ThermalConfig()) -> None:
        super().__init__(config)
        self._edges = Edges(config.width, config.height)

    @property
    def dimension(self) -> int:
        columns, rows = self._edges.grid
        return self._edges.dimension + columns * rows

    def encode(self, sample: Array) -> Array:
        """Return (dimension,) for an image (H, W) in any unit.

        Raises Any2AnyError when its temperature is even, or when it has values that are not finite.
        """
        import cv2

        # In float64: the difference of two float32 values may be too large for float32.
        small = cv2.resize(self._middle(sample).astype(np.float64), self._edges.size, interpolation=cv2.INTER_AREA)
        with np.errstate(invalid="ignore"):
            cold, warm = np.percentile(small, (COLD, WARM))
        if not warm - cold > 1e-6 * np.abs(small).max():  # also where a value is NaN
            raise Any2AnyError(
                "Cannot use a thermal image",
                "it is equally warm everywhere, or some of its values are not finite",
                "Check the shutter, the lens cap and the camera driver",
            )
        scaled = np.clip((small - cold) / (warm - cold), 0, 1)
        edges = self._edges.describe((255 * scaled).astype(np.uint8))
        layout = cv2.resize(scaled.astype(np.float32), self._edges.grid, interpolation=cv2.INTER_AREA).ravel()
        weighted = self.config.layout * unit_vector(layout - layout.mean())
        return unit_vector(np.concatenate([unit_vector(edges), weighted]))

    def _middle(self, sample: Array) -> Array:
        """Return the part of an image (H, W) that is used: at least one pixel."""
        rows = int(sample.shape[0] * (1 - self.config.upright) / 2)
        columns = int(sample.shape[1] * (1 - self.config.across) / 2)
        return sample[rows : sample.shape[0] - rows, columns : sample.shape[1] - columns]
