"""A 2-D laser scan without weights: a hashed histogram of its point pairs that does not depend on the heading.

Two points of a scan, the directions of the surfaces they lie on and the sensor form a figure. The figure does not
change when the sensor turns, and changes little when it moves. The descriptor counts all figures of a scan, and the
inner product of two descriptors says how many figures the scans share. After Drost et al., CVPR 2010 (point pair
features) and Weinberger et al., ICML 2009 (feature hashing). docs/laser_scan.md measures what each part is worth.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array, Float64, Rows
from any2any_ros.config import Settings, setting
from any2any_ros.encoders._base import BaseEncoder, unit_vector
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import Scan

Complex = NDArray[np.complex64]  # points on the ground: x forward + i * y left, metres; 0: no point


@dataclass(frozen=True)
class LaserScanConfig(Settings):
    """Settings of the laser scan descriptor."""

    dimension: int = setting(1024, "dimensions of the embedding", minimum=64, maximum=16384)
    reach: float = setting(25.0, "returns farther away are ignored", unit="m", minimum=1, maximum=500)
    blind: float = setting(0.05, "returns nearer than this are ignored", unit="m", minimum=0.001, maximum=10)
    sectors: int = setting(180, "sectors of a full turn; one point is used of each", minimum=24, maximum=720)
    min_points: int = setting(10, "a scan with fewer points is refused", minimum=4, maximum=720)
    surface_gap: float = setting(
        0.5,
        "widest gap between neighbouring points of one surface, relative to their distance from the sensor",
        minimum=0.01,
        maximum=2,
    )
    scale: float = setting(
        2.0,
        "length below which bins of length are even; above it they are logarithmic",
        unit="m",
        minimum=0.01,
        maximum=1000,
    )
    distance_bins: int = setting(24, "bins of the distance between two points", minimum=1, maximum=64)
    range_bins: int = setting(6, "bins of each point's distance from the sensor", minimum=1, maximum=32)
    angle_bins: int = setting(6, "bins of each surface's direction", minimum=1, maximum=32)


class LaserScanEncoder(BaseEncoder[LaserScanConfig]):
    """Cost: 1-2 ms. Invariant to the number of beams, and to heading as far as the same objects stay in view."""

    plug = "laser_scan"
    modality = "laser_scan"
    accepts = "scan"
    topic = "scan"
    Config = LaserScanConfig

    def __init__(self, config: LaserScanConfig = LaserScanConfig()) -> None:
        super().__init__(config)
        c = config
        self._shape = (c.distance_bins, c.range_bins, c.range_bins, c.angle_bins, c.angle_bins)
        hashes = _scrambled(int(np.prod(self._shape)))
        self._slot = ((hashes >> np.uint64(1)) % np.uint64(c.dimension)).astype(np.intp)
        self._sign = 1.0 - 2.0 * (hashes & np.uint64(1))
        # Every pair of sectors once: the second is less than half a turn counter-clockwise of the first.
        self._partner = (np.arange(c.sectors)[:, None] + np.arange(1, (c.sectors + 1) // 2)) % c.sectors

    @property
    def dimension(self) -> int:
        return self.config.dimension

    def encode(self, sample: Scan) -> Array:
        """Return (dimension,) for a scan with any number of beams, field of view and direction of turning.

        Raises Any2AnyError when too few beams returned, or when its angles are not finite.
        """
        cell, weight = self._figures(self._points(sample))
        # The root keeps frequent figures, which every long wall repeats, from outweighing the others.
        return unit_vector(self._hashed(np.sqrt(np.bincount(cell, weight))))

    def _hashed(self, histogram: Float64) -> Array:
        """Add the cells, each with a pseudo-random sign, in `dimension` slots; preserves inner products roughly."""
        filled = np.flatnonzero(histogram)
        signed = histogram[filled] * self._sign[filled]
        return np.bincount(self._slot[filled], signed, minlength=self.dimension).astype(np.float32)

    def _points(self, scan: Scan) -> Complex:
        """Return one point for each sector (S,): its return of median range; 0 where there is none."""
        c = self.config
        ranges, bearing = self._returns(scan)
        # 1e-4: a beam on the border of two sectors falls into the same one, however it was rounded.
        sector = np.floor(bearing * (c.sectors / (2 * np.pi)) + 1e-4).astype(np.intp) % c.sectors
        order = np.lexsort((ranges, sector))
        filled, first, count = np.unique(sector[order], return_index=True, return_counts=True)
        if len(filled) < c.min_points:
            raise Any2AnyError(
                "Cannot use a laser scan",
                f"{len(ranges)} of its {len(scan.ranges)} beams returned from {c.blind:g} to {c.reach:g} m, "
                f"in {len(filled)} directions",
                f"At least {c.min_points} are needed: check the sensor, or lower min_points",
            )
        median = order[first + (count - 1) // 2]
        points = np.zeros(c.sectors, dtype=np.complex64)
        points[filled] = ranges[median] * np.exp(1j * bearing[median])
        return points

    def _returns(self, scan: Scan) -> tuple[Float64, Float64]:
        """Return the range and the bearing (N,) of each beam with a return within reach."""
        ranges = np.asarray(scan.ranges, dtype=np.float64)
        if not math.isfinite(scan.angle_min + len(ranges) * scan.angle_increment):
            raise Any2AnyError(
                "Cannot use a laser scan",
                f"its first angle is {scan.angle_min:g} and the step between beams {scan.angle_increment:g}",
                "Check the driver of the laser: both must be finite, in radians",
            )
        bearing = scan.angle_min + scan.angle_increment * np.arange(len(ranges), dtype=np.float64)
        within = (ranges >= self.config.blind) & (ranges < min(self.config.reach, scan.range_max))
        return ranges[within], bearing[within]

    def _surfaces(self, points: Complex) -> Array:
        """Return the direction (S,) of the surface at each point, from its neighbours on that surface."""
        step = np.roll(points, -1) - points
        step[np.abs(step) > self.config.surface_gap * np.abs(points)] = 0
        along = step + np.roll(step, 1)
        return np.angle(np.where(along == 0, 1j * points, along))  # an isolated point faces the sensor

    def _figures(self, points: Complex) -> tuple[Rows, Array]:
        """Return the histogram cell (F,) and the weight (F,) of each figure."""
        c = self.config
        present = points != 0
        first, lag = np.nonzero(present[:, None] & present[self._partner])
        second = self._partner[first, lag]
        line = points[second] - points[first]
        turned = self._surfaces(points)[np.stack([first, second])] - np.angle(line)
        # Rounded, so that the commonest angles, 0 and 90 degrees, lie inside a bin and not on a border.
        angle = np.rint(turned * (c.angle_bins / np.pi)).astype(np.intp) % c.angle_bins
        length = np.abs(points)
        ranges = self._bin(length, c.reach, c.range_bins)
        near, far = np.minimum(ranges[first], ranges[second]), np.maximum(ranges[first], ranges[second])
        distance = self._bin(np.abs(line), 2 * c.reach, c.distance_bins)
        cell = np.ravel_multi_index((distance, near, far, angle[0], angle[1]), self._shape)
        # A sector covers a length of wall that grows with the distance of the wall.
        return cell, length[first] * length[second]

    def _bin(self, value: Array, largest: float, bins: int) -> Rows:
        """Return the bin of each length: even bins below `scale`, logarithmic ones above."""
        share = np.log1p(value / self.config.scale) / np.log1p(largest / self.config.scale)
        return np.asarray(np.minimum(share * bins, bins - 1), dtype=np.intp)


def _scrambled(n: int) -> NDArray[np.uint64]:
    """Return n hashes (splitmix64 of 0..n-1): the same on every machine and with every NumPy, as stored maps need."""
    x = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
