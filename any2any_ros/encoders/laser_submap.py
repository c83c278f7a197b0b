"""The last metres of a 2-D laser, without weights: what a full turn would see, and its bird's-eye image.

A single scan often sees half a turn, and nothing behind a pillar. The scans of the last metres, put together, see what
a full turn would see here. So a place is found from the opposite direction, too. The view is described as one scan
(laser_scan.py), and its image is aligned with those of the best places. docs/laser_scan.md measures what each part is
worth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Array, Float64
from any2any_ros.birds_eye import image
from any2any_ros.config import setting
from any2any_ros.encoders._base import BaseEncoder
from any2any_ros.encoders.laser_scan import LaserScanConfig, LaserScanEncoder
from any2any_ros.protocols import Seen
from any2any_ros.samples import Scan
from any2any_ros.submaps.growing import GrowingSubmap, Submap
from any2any_ros.submaps.synthetic import view

CONFIRMING = 3  # scans of a submap, from which on each return must be confirmed by another one


@dataclass(frozen=True)
class LaserSubmapConfig(LaserScanConfig):
    """Settings of the descriptor of a submap of laser scans."""

    length: float = setting(15.0, "length of the drive whose scans are put together", unit="m", minimum=0, maximum=100)
    cell: float = setting(
        0.25, "side of a cell of the image, which has 125 cells a side", unit="m", minimum=0.05, maximum=5
    )


class LaserSubmapEncoder(BaseEncoder[LaserSubmapConfig]):
    """Cost: 3-6 ms to lay a scan on the others, 2 ms to describe them. Invariant to heading."""

    plug = "laser_submap"
    modality = "laser_scan"
    accepts = "scan"
    topic = "scan"
    keeps = 10
    uses_odometry = True
    Config = LaserSubmapConfig

    def __init__(self, config: LaserSubmapConfig = LaserSubmapConfig()) -> None:
        super().__init__(config)
        self._scan = LaserScanEncoder(config)
        self._submap = self._empty()

    def _empty(self) -> GrowingSubmap:
        return GrowingSubmap(self.config.length, self.config.blind, self.config.reach)

    @property
    def dimension(self) -> int:
        return self.config.dimension

    @property
    def cell(self) -> float:
        return self.config.cell

    def gather(self, sample: Scan, stamp_ns: int, odometry: Float64 | None = None) -> Submap:
        """Lay a scan on those before it; return the submap around it. odometry: as in protocols.GathersOnTheWay."""
        return self._submap.add(sample, stamp_ns, odometry)

    def encode(self, sample: Scan | Submap) -> Array:
        """Return (dimension,) for what `gather` returns, or for a scan that stands alone.

        Raises Any2AnyError when too few beams returned, or when a scan's angles are not finite.
        """
        return self.see(sample).vector

    def see(self, sample: Scan | Submap) -> Seen:
        """Return the vector and the packed image of what `encode` takes."""
        submap = self._empty().add(sample, 0, None) if isinstance(sample, Scan) else sample
        seen = view(submap.points, self.config.sectors, submap.scans >= CONFIRMING)
        vector = self._scan.encode(seen.scan)
        x, y = (v.astype(np.float32) for v in (seen.points.real, seen.points.imag))
        return Seen(vector, image.pack(image.of_positions(x, y, self.config.cell)))
