"""3-D LiDAR without weights: how high things stand around the sensor, whichever way it faces.

"polar": a polar grid of the highest point in each cell (Scan Context, Kim & Kim 2018), then the magnitudes of
its Fourier coefficients along the circle: turning the sensor shifts the circle and leaves them as they are.
"range_image" and "bev" keep the heading: use them where the robot always faces the same way.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array
from any2any_ros.config import Settings, setting
from any2any_ros.encoders._fingerprint import fingerprint, unit
from any2any_ros.errors import Any2AnyError

# Between the magnitudes, where a few tall houses are all that counts, and their root, where noise counts as much:
# best on simulated towns 1 and 2 (R@1 .86/.92; 1: .70/.79, 0.5: .78/.84), which no reported figure is taken from.
COMPRESSION = 0.75
CHUNK = 1 << 14  # points looked at together: all that is worked out for them stays in a core's own cache
Cells = NDArray[np.intp]


@dataclass(frozen=True)
class LidarConfig(Settings):
    """Settings of the LiDAR descriptor."""

    descriptor: str = setting("polar", "what is described", choices=("polar", "range_image", "bev"))
    rings: int = setting(20, "polar: rings; range_image: rows", minimum=2, maximum=128)
    sectors: int = setting(60, "polar: sectors; range_image: columns; bev: cells a side", minimum=8, maximum=720)
    harmonics: int = setting(16, "polar: Fourier coefficients kept a ring", minimum=1, maximum=360)
    max_range: float = setting(80.0, "points farther than this are ignored", unit="m", minimum=1, maximum=500)
    sensor_height: float = setting(1.8, "of the sensor above the ground", unit="m", minimum=0, maximum=10)
    min_points: int = setting(100, "a cloud with fewer points in range is refused", minimum=1)


class LidarEncoder:
    """Cost: 1-3 ms for 65,000 points on one thread. Invariant to: heading (polar), point order and density."""

    plug: ClassVar[str] = "lidar"
    modality: ClassVar[str] = "lidar"
    accepts: ClassVar[str] = "cloud"
    topic: ClassVar[str] = "lidar/points"
    keeps: ClassVar[int] = 1
    revision: ClassVar[int] = 1
    Config: ClassVar[type[LidarConfig]] = LidarConfig

    def __init__(self, config: LidarConfig = LidarConfig()) -> None:
        self.config = config
        self._place = {"polar": self._polar, "range_image": self._range_image, "bev": self._bev}[config.descriptor]
        self._cells = config.sectors * (config.sectors if config.descriptor == "bev" else config.rings)

    @property
    def dimension(self) -> int:
        c = self.config
        return {
            "polar": c.rings * min(c.harmonics, c.sectors // 2 + 1),
            "range_image": c.rings * c.sectors,
            "bev": c.sectors**2,
        }[c.descriptor]

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.plug, self.revision, self.config)

    def gather(self, sample: NDArray[np.float32], stamp_ns: int) -> NDArray[np.float32]:
        return sample

    def encode(self, sample: NDArray[np.float32]) -> Array:
        """Return (dimension,) for points (N, >= 3): x forward, y left, z up, metres, in the sensor's frame."""
        grid, seen = np.zeros(self._cells, dtype=np.float32), 0
        points = np.asarray(sample, dtype=np.float32)
        for start in range(0, len(points), CHUNK):
            x, y, z, distance = self._near(points[start : start + CHUNK])
            cell, value = self._place(x, y, z, distance)
            np.maximum.at(grid, cell, value)
            seen += len(x)
        if seen < self.config.min_points:
            raise Any2AnyError(
                "Cannot use a point cloud",
                f"{seen} of its {len(points)} points lie within {self.config.max_range:g} m",
                f"At least {self.config.min_points} are needed: check the sensor, or lower min_points",
            )
        if not grid.any():
            raise Any2AnyError(
                "Cannot use a point cloud",
                f"nothing in it stands higher than {self.config.sensor_height:g} m below the sensor",
                "Check that z points up, and sensor_height",
            )
        return unit(self._spectrum(grid) if self.config.descriptor == "polar" else grid)

    def _near(self, points: Array) -> tuple[Array, Array, Array, Array]:
        """Return x, y, z and the distance over ground of the points in range."""
        x, y, z = np.ascontiguousarray(points[:, :3].T)
        with np.errstate(over="ignore", invalid="ignore"):  # NaN and what is farther than floats reach: not near
            # np.hypot's very values, at a third of its time
            distance = np.sqrt(np.square(x, dtype=np.float64) + np.square(y, dtype=np.float64)).astype(np.float32)
            near = (distance < self.config.max_range) & (distance > 0) & (np.abs(z) < self.config.max_range)
        return (x, y, z, distance) if near.all() else (x[near], y[near], z[near], distance[near])

    def _polar(self, x: Array, y: Array, z: Array, distance: Array) -> tuple[Cells, Array]:
        c = self.config
        ring = np.minimum(np.floor(distance * (c.rings / c.max_range)), c.rings - 1)
        return self._cell(ring, x, y), z + c.sensor_height

    def _spectrum(self, grid: Array) -> Array:
        c = self.config
        spectrum = np.abs(np.fft.rfft(grid.reshape(c.rings, c.sectors), axis=1))[:, : c.harmonics]
        return np.asarray(spectrum**COMPRESSION, dtype=np.float32).ravel()

    def _range_image(self, x: Array, y: Array, z: Array, distance: Array) -> tuple[Cells, Array]:
        c = self.config
        elevation = np.arctan2(z, distance)
        low, high = np.radians(-25.0), np.radians(5.0)
        row = np.floor(np.clip((elevation - low) / (high - low) * c.rings, 0, c.rings - 1))
        return self._cell(row, x, y), 1.0 - distance / c.max_range

    def _bev(self, x: Array, y: Array, z: Array, distance: Array) -> tuple[Cells, Array]:
        c = self.config
        half = c.max_range / np.sqrt(2.0)  # the square inside the circle
        inside = (np.abs(x) < half) & (np.abs(y) < half)
        cell = [((v[inside] + half) * (c.sectors / (2 * half))).astype(np.intp) for v in (x, y)]
        cell = [np.minimum(v, c.sectors - 1) for v in cell]
        return cell[0] * c.sectors + cell[1], z[inside] + c.sensor_height

    def _cell(self, row: Array, x: Array, y: Array) -> Cells:
        """Return the cell of points in these rows (n,): whole numbers, exact as floats."""
        sectors = self.config.sectors
        turn = np.floor(np.arctan2(y, x) * (sectors / (2 * np.pi)))
        return (row * sectors + np.where(turn < 0, turn + sectors, turn)).astype(np.intp)
