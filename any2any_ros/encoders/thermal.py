"""Thermal camera without weights: which way edges of temperature run where (HOG), and where it is warm.

Absolute counts mean little: they differ between cameras, drift until the shutter closes, and follow the weather. So
the picture is spread between its own cold and its own warm end before anything is taken from it.
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

COLD, WARM = 10.0, 99.0  # percentiles that become black and white: a clear sky is far colder than all else


@dataclass(frozen=True)
class ThermalConfig(Settings):
    """Settings of the thermal descriptor."""

    width: int = setting(160, "of the small picture", unit="px", minimum=32, maximum=1280)
    height: int = setting(64, "of the small picture", unit="px", minimum=32, maximum=1280)
    across: float = setting(1.0, "share of the picture's width to look at, in its middle", minimum=0.05, maximum=1)
    upright: float = setting(1.0, "share of its height; best is what the map's camera sees", minimum=0.05, maximum=1)
    layout: float = setting(0.3, "weight of the layout of warm and cold beside the edges", minimum=0, maximum=10)


class ThermalEncoder:
    """Cost: 1 ms. Invariant to: gain, offset and drift of the camera, small shifts; not to heading."""

    plug: ClassVar[str] = "thermal"
    modality: ClassVar[str] = "thermal"
    accepts: ClassVar[str] = "thermal"
    topic: ClassVar[str] = "thermal/image_raw"
    keeps: ClassVar[int] = 1
    revision: ClassVar[int] = 1
    Config: ClassVar[type[ThermalConfig]] = ThermalConfig

    def __init__(self, config: ThermalConfig = ThermalConfig()) -> None:
        self.config = config
        self._edges = Edges(config.width, config.height)

    @property
    def dimension(self) -> int:
        columns, rows = self._edges.grid
        return self._edges.dimension + columns * rows

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.plug, self.revision, self.config)

    def gather(self, sample: NDArray[np.float32], stamp_ns: int) -> NDArray[np.float32]:
        return sample

    def encode(self, sample: NDArray[np.float32]) -> Array:
        """Return (dimension,) for a picture (H, W) in any unit; raise on one that shows nothing or has holes."""
        import cv2

        # In double: a difference of two float32 may be too large for one.
        small = cv2.resize(self._middle(sample).astype(np.float64), self._edges.size, interpolation=cv2.INTER_AREA)
        with np.errstate(invalid="ignore"):
            cold, warm = np.percentile(small, (COLD, WARM))
        if not warm - cold > 1e-6 * np.abs(small).max():  # nor where a value is no number
            raise Any2AnyError(
                "Cannot use a thermal image",
                "it is equally warm from edge to edge, or some of its values are no numbers",
                "Check the shutter, the lens cap and the camera driver",
            )
        spread = np.clip((small - cold) / (warm - cold), 0, 1)
        edges = self._edges.describe((255 * spread).astype(np.uint8))
        layout = cv2.resize(spread.astype(np.float32), self._edges.grid, interpolation=cv2.INTER_AREA).ravel()
        return unit(np.concatenate([unit(edges), self.config.layout * unit(layout - layout.mean())]))

    def _middle(self, sample: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the part of a picture (H, W) that is used, of at least one pixel."""
        rows = int(sample.shape[0] * (1 - self.config.upright) / 2)
        columns = int(sample.shape[1] * (1 - self.config.across) / 2)
        return sample[rows : sample.shape[0] - rows, columns : sample.shape[1] - columns]
