"""3-D LiDAR without weights: a grid of the heights of what stands around the sensor.

polar: a polar grid with the highest point of each cell (Scan Context, Kim & Kim 2018), then the magnitudes of the
Fourier coefficients along each ring. Turning the sensor shifts the rings and leaves these magnitudes unchanged.
range_image, bev: a range image, and a square grid of heights. Both keep the heading: use them where the robot always
faces the same way.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Array, Rows
from any2any_ros.config import Settings, setting
from any2any_ros.encoders._base import BaseEncoder, unit_vector
from any2any_ros.errors import Any2AnyError

# Exponent of the Fourier magnitudes. With 1 a few tall houses dominate; with 0.5 noise counts as much as they do. 0.75
# was best on simulated towns 1 and 2 (R@1 .86/.92; with 1 .70/.79, with 0.5 .78/.84). No reported figure is from them.
COMPRESSION = 0.75
DOUBT = 1e-3  # rad; more than an angle of OpenCV is off (1.7e-4 was measured)
LARGE = np.float32(1e30)  # the angle is the same so many times farther away, where OpenCV's is as good for tiny numbers
FEW = 0.75  # share of points that are higher than the ground, below which the others are left out
CHUNK = 1 << 15  # points processed together, so that all intermediate arrays fit into the cache of one core


@dataclass(frozen=True)
class LidarConfig(Settings):
    """Settings of the LiDAR descriptor."""

    descriptor: str = setting("polar", "kind of grid", choices=("polar", "range_image", "bev"))
    rings: int = setting(20, "number of rings (polar) or rows (range_image)", minimum=2, maximum=128)
    sectors: int = setting(
        60, "number of sectors (polar), columns (range_image) or cells per side (bev)", minimum=8, maximum=720
    )
    harmonics: int = setting(16, "polar: number of Fourier coefficients used of each ring", minimum=1, maximum=360)
    max_range: float = setting(80.0, "points farther away are ignored", unit="m", minimum=1, maximum=500)
    sensor_height: float = setting(1.8, "height of the sensor above the ground", unit="m", minimum=0, maximum=10)
    min_points: int = setting(100, "a cloud with fewer points in range is refused", minimum=1)


class LidarEncoder(BaseEncoder[LidarConfig]):
    """Cost: 1 ms for 65,000 points on one thread. Invariant to heading (polar), order and density of the points."""

    plug = "lidar"
    modality = "lidar"
    accepts = "cloud"
    topic = "lidar/points"
    Config = LidarConfig

    def __init__(self, config: LidarConfig = LidarConfig()) -> None:
        super().__init__(config)
        self._place = {"polar": self._polar, "range_image": self._range_image, "bev": self._bev}[config.descriptor]
        self._cells = config.sectors * (config.sectors if config.descriptor == "bev" else config.rings)

    @property
    def dimension(self) -> int:
        c = self.config
        return c.rings * min(c.harmonics, c.sectors // 2 + 1) if c.descriptor == "polar" else self._cells

    def encode(self, sample: Array) -> Array:
        """Return (dimension,) for points (N, >= 3): x forward, y left, z up, metres, in the sensor's frame.

        Raises Any2AnyError when too few points are in range, or when none rises above the ground.
        """
        points = np.asarray(sample, dtype=np.float32)
        grid, count = self._grid(points)
        if count < self.config.min_points:
            raise Any2AnyError(
                "Cannot use a point cloud",
                f"{count} of its {len(points)} points lie within {self.config.max_range:g} m",
                f"At least {self.config.min_points} are needed: check the sensor, or lower min_points",
            )
        if not grid.any():
            raise Any2AnyError(
                "Cannot use a point cloud",
                f"no point is higher than {self.config.sensor_height:g} m below the sensor",
                "Check that z points up, and sensor_height",
            )
        return unit_vector(self._spectrum(grid) if self.config.descriptor == "polar" else grid)

    def _grid(self, points: Array) -> tuple[Array, int]:
        """Return the largest value in each cell (cells,), and how many points are in range."""
        grid, count = np.zeros(self._cells, dtype=np.float32), 0
        for start in range(0, len(points), CHUNK):
            x, y, z, distance = self._in_range(points[start : start + CHUNK])
            cell, value = self._place(x, y, z, distance)
            np.maximum.at(grid, cell, value)
            count += len(x)
        return grid, count

    def _in_range(self, points: Array) -> tuple[Array, Array, Array, Array]:
        """Return x, y, z and the horizontal distance of the points in range."""
        x, y, z = np.ascontiguousarray(points[:, :3].T)
        with np.errstate(over="ignore", invalid="ignore"):  # NaN and overflow are not in range
            # The same values as np.hypot's, in a third of the time.
            distance = np.sqrt(np.square(x, dtype=np.float64) + np.square(y, dtype=np.float64)).astype(np.float32)
            near = (distance < self.config.max_range) & (distance > 0) & (np.abs(z) < self.config.max_range)
        return (x, y, z, distance) if near.all() else (x[near], y[near], z[near], distance[near])

    # Each kind of grid returns the cell of every point and the point's value there.

    def _polar(self, x: Array, y: Array, z: Array, distance: Array) -> tuple[Rows, Array]:
        c = self.config
        value = z + c.sensor_height
        high = np.flatnonzero(value > 0)  # a cell is 0 where nothing is higher
        if len(high) < FEW * len(value):
            x, y, distance, value = x[high], y[high], distance[high], value[high]
        ring = np.minimum(np.floor(distance * (c.rings / c.max_range)), c.rings - 1)
        return self._polar_cell(ring, x, y), value

    def _range_image(self, x: Array, y: Array, z: Array, distance: Array) -> tuple[Rows, Array]:
        c = self.config
        elevation = np.arctan2(z, distance)
        low, high = np.radians(-25.0), np.radians(5.0)
        row = np.floor(np.clip((elevation - low) / (high - low) * c.rings, 0, c.rings - 1))
        return self._polar_cell(row, x, y), 1.0 - distance / c.max_range

    def _bev(self, x: Array, y: Array, z: Array, distance: Array) -> tuple[Rows, Array]:
        c = self.config
        half = c.max_range / np.sqrt(2.0)  # of the side of the square inside the circle
        inside = (np.abs(x) < half) & (np.abs(y) < half)
        cell = [((v[inside] + half) * (c.sectors / (2 * half))).astype(np.intp) for v in (x, y)]
        cell = [np.minimum(v, c.sectors - 1) for v in cell]
        return cell[0] * c.sectors + cell[1], z[inside] + c.sensor_height

    def _polar_cell(self, row: Array, x: Array, y: Array) -> Rows:
        """Return the cell of each point. row (n,): whole numbers, exact as floats."""
        return (row * self.config.sectors + sector_of(x, y, self.config.sectors)).astype(np.intp)

    def _spectrum(self, grid: Array) -> Array:
        """Return the compressed Fourier magnitudes of each ring (rings * harmonics,)."""
        c = self.config
        spectrum = np.abs(np.fft.rfft(grid.reshape(c.rings, c.sectors), axis=1))[:, : c.harmonics]
        return np.asarray(spectrum**COMPRESSION, dtype=np.float32).ravel()


def sector_of(x: Array, y: Array, sectors: int) -> Array:
    """Return the sector (n,) of each point (n,) float32 off the origin: whole numbers from 0 to `sectors`, less one.

    The same as by arctan2, which is computed only for points that are near the edge of a sector.
    """
    import cv2  # its angles take a tenth of the time of the C library's

    if not len(x):
        return x
    turn = cv2.phase(x * LARGE, y * LARGE).ravel() * np.float32(sectors / (2 * np.pi))
    sector: Array = np.floor(turn)
    edge = np.flatnonzero(np.abs(turn - sector - np.float32(0.5)) > 0.5 - DOUBT * sectors / (2 * np.pi))
    exact = np.floor(np.arctan2(y[edge], x[edge]) * (sectors / (2 * np.pi)))
    sector[edge] = np.where(exact < 0, exact + sectors, exact)
    return sector
