"""3-D LiDAR without weights: two descriptors, and a bird's-eye image that is aligned with those of the best places.

The first descriptor is that of the image (birds_eye/spectrum.py): neither the heading of the sensor nor a shift of some
metres changes it much. It is the better one on real drives. The second is that of heights on a polar grid (lidar.py),
which sees farther, and is the better one in a simulated town after rain and with vans beside the robot (docs/town.md).
The best places by each of them are aligned (geometry/alignment.py). A picture from above without heights has the first
one alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Array
from any2any_ros.birds_eye import image, spectrum
from any2any_ros.birds_eye.image import Levels
from any2any_ros.config import Settings, setting
from any2any_ros.encoders._base import BaseEncoder, unit_vector
from any2any_ros.encoders.lidar import LidarConfig, LidarEncoder
from any2any_ros.errors import Any2AnyError
from any2any_ros.protocols import Seen


@dataclass(frozen=True)
class BirdsEyeConfig(Settings):
    """Settings of the bird's-eye descriptor."""

    cell: float = setting(
        0.4, "side of a cell of the image, which has 125 cells a side", unit="m", minimum=0.05, maximum=5
    )
    min_points: int = setting(100, "a cloud with fewer points in the image is refused", minimum=1)
    second: str = setting("polar", "second descriptor; polar: of heights on a polar grid", choices=("polar", "none"))
    sensor_height: float = setting(1.8, "height of the sensor above the ground", unit="m", minimum=0, maximum=10)


class BirdsEyeEncoder(BaseEncoder[BirdsEyeConfig]):
    """Cost: 2 ms for 65,000 points on one thread. Invariant to heading, order and density of the points."""

    plug = "birds_eye"
    modality = "lidar"
    accepts = "cloud"
    topic = "lidar/points"
    Config = BirdsEyeConfig

    def __init__(self, config: BirdsEyeConfig = BirdsEyeConfig()) -> None:
        super().__init__(config)
        polar = LidarConfig(sensor_height=config.sensor_height, min_points=config.min_points)
        self._heights = LidarEncoder(polar) if config.second == "polar" else None

    @property
    def parts(self) -> tuple[int, ...]:
        return (spectrum.DIMENSION,) if self._heights is None else (spectrum.DIMENSION, self._heights.dimension)

    @property
    def dimension(self) -> int:
        return sum(self.parts)

    @property
    def cell(self) -> float:
        return self.config.cell

    def encode(self, sample: Array) -> Array:
        """Return (dimension,) for points (N, >= 3): x forward, y left, z up, metres, in the sensor's frame.

        Raises Any2AnyError when too few points are in the image, or when all of them are flat.
        """
        return self.see(sample).vector

    def see(self, sample: Array) -> Seen:
        """Return the vector and the packed image of points, as `encode` takes them."""
        seen, count = image.of_points(sample, self.config.cell)
        if count < self.config.min_points:
            raise Any2AnyError(
                "Cannot use a point cloud",
                f"{count} of its {len(sample)} points lie within {self.config.cell * image.HALF:g} m",
                f"At least {self.config.min_points} are needed: check the sensor, or lower min_points",
            )
        return self.described(seen, None if self._heights is None else self._heights.encode(sample))

    def described(self, seen: Levels, heights: Array | None = None) -> Seen:
        """Return the vector and the packed image of an image (SIZE, SIZE). heights: its second descriptor, if there is
        one. Raises Any2AnyError for an empty image."""
        if not seen.any():
            raise Any2AnyError(
                "Cannot use a point cloud",
                "nothing in it stands higher than one cell of the bird's-eye image",
                "Check that z points up, and cell",
            )
        rings = spectrum.polar(spectrum.transform(spectrum.bright(seen)))
        vector = np.zeros(self.dimension, dtype=np.float32)
        vector[: spectrum.DIMENSION] = unit_vector(spectrum.descriptor(rings))
        if heights is not None:
            vector[spectrum.DIMENSION :] = heights
        return Seen(unit_vector(vector), image.pack(seen))
