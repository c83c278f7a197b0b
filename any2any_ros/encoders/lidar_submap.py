"""The last metres of a 3-D LiDAR whose field of view is narrow, without weights.

A LiDAR that looks ahead sees too little of a place to tell it from others, and nothing of it from the opposite
direction. Its clouds of the last metres, put together, are described by birds_eye.py as one cloud. A cloud that sees
all around stands alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Array, Float64, Floats
from any2any_ros.config import setting
from any2any_ros.encoders._base import BaseEncoder
from any2any_ros.encoders.birds_eye import BirdsEyeConfig, BirdsEyeEncoder
from any2any_ros.protocols import Seen
from any2any_ros.submaps.growing_cloud import GrowingCloud

SECTORS = 36  # of a full turn; those with points are the field of view
NEAR = 2.0  # m; nearer points may be the robot


@dataclass(frozen=True)
class LidarSubmapConfig(BirdsEyeConfig):
    """Settings of the descriptor of a submap of clouds."""

    length: float = setting(20.0, "length of the drive whose clouds are put together", unit="m", minimum=0, maximum=200)
    narrow: float = setting(
        270.0, "a cloud with a wider field of view stands alone", unit="deg", minimum=0, maximum=360
    )


class LidarSubmapEncoder(BaseEncoder[LidarSubmapConfig]):
    """Cost: 30 ms to lay a cloud of 20,000 points on the others. Invariant to heading, order and density of points."""

    plug = "lidar_submap"
    modality = "lidar"
    accepts = "timed_cloud"
    topic = "lidar/points"
    keeps = 5
    uses_odometry = True
    Config = LidarSubmapConfig

    def __init__(self, config: LidarSubmapConfig = LidarSubmapConfig()) -> None:
        super().__init__(config)
        self._described = BirdsEyeEncoder(config)
        self._cloud = GrowingCloud(config.length)

    @property
    def parts(self) -> tuple[int, ...]:
        return self._described.parts

    @property
    def dimension(self) -> int:
        return self._described.dimension

    @property
    def cell(self) -> float:
        return self.config.cell

    def gather(self, sample: Floats, stamp_ns: int, odometry: Float64 | None = None) -> Array:
        """Lay a cloud (N, 4) or (N, 5) on those before it; return the points (M, >= 3) around it.

        odometry: as in protocols.GathersOnTheWay. A fifth column: seconds after the stamp.
        """
        if field_of_view(sample) > self.config.narrow:
            return self._cloud.alone(sample, stamp_ns, odometry).astype(np.float32, copy=False)
        return self._cloud.add(sample, stamp_ns, odometry).points.astype(np.float32)

    def encode(self, sample: Array) -> Array:
        """Return (dimension,) for points (N, >= 3) in the sensor's frame, as birds_eye.py does. Raises as it does."""
        return self._described.encode(sample)

    def see(self, sample: Array) -> Seen:
        """Return the vector and the packed image of points, as `encode` takes them."""
        return self._described.see(sample)


def field_of_view(points: Floats) -> float:
    """Return the angle, degrees, that points (N, >= 3) fill around the sensor."""
    x, y = np.asarray(points)[:: max(1, len(points) // 4096), :2].T
    sector = ((np.arctan2(y, x) + np.pi) * (SECTORS / (2 * np.pi))).astype(np.intp) % SECTORS
    return float(len(np.unique(sector[np.hypot(x, y) > NEAR])) * (360 / SECTORS))
