"""A 2-D laser scan without weights: a hashed histogram of its point pairs, whichever way the sensor faces.

Two points of a scan, the directions of the surfaces they lie on and the sensor make a figure. It does not
change when the sensor turns and changes little when it moves. A scan is the bag of all its figures; the inner
product of two descriptors says how many they share. After Drost et al., CVPR 2010 (point pair features) and
Weinberger et al., ICML 2009 (feature hashing); every part is justified by a number in docs/laser_scan.md.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array
from any2any_ros.config import Settings, setting
from any2any_ros.encoders._fingerprint import fingerprint, unit
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import Scan

Complex = NDArray[np.complex64]  # points on the ground: x forward + i y left, metres; 0 = none
Integers = NDArray[np.intp]


@dataclass(frozen=True)
class LaserScanConfig(Settings):
    """Settings of the laser scan descriptor."""

    dimension: int = setting(1024, "length of the descriptor", minimum=64, maximum=16384)
    reach: float = setting(25.0, "farther returns are ignored", unit="m", minimum=1, maximum=500)
    blind: float = setting(0.05, "nearer returns are ignored", unit="m", minimum=0.001, maximum=10)
    sectors: int = setting(180, "of a full turn; one point is kept in each", minimum=24, maximum=720)
    min_points: int = setting(10, "a scan with fewer points is refused", minimum=4, maximum=720)
    surface_gap: float = setting(
        0.5, "widest gap in a surface, as a share of its distance from the sensor", minimum=0.01, maximum=2
    )
    scale: float = setting(
        2.0, "bins of length are even below this and logarithmic above", unit="m", minimum=0.01, maximum=1000
    )
    distance_bins: int = setting(24, "of the distance between two points", minimum=1, maximum=64)
    range_bins: int = setting(6, "of each point's distance from the sensor", minimum=1, maximum=32)
    angle_bins: int = setting(6, "of each surface's direction", minimum=1, maximum=32)


class LaserScanEncoder:
    """Cost: 1-2 ms. Invariant to: heading (as far as the same things stay in view), number of beams."""

    plug: ClassVar[str] = "laser_scan"
    modality: ClassVar[str] = "laser_scan"
    accepts: ClassVar[str] = "scan"
    topic: ClassVar[str] = "scan"
    keeps: ClassVar[int] = 1
    revision: ClassVar[int] = 1
    Config: ClassVar[type[LaserScanConfig]] = LaserScanConfig

    def __init__(self, config: LaserScanConfig = LaserScanConfig()) -> None:
        c = self.config = config
        self._shape = (c.distance_bins, c.range_bins, c.range_bins, c.angle_bins, c.angle_bins)
        noise = _scrambled(int(np.prod(self._shape)))
        self._slot = ((noise >> np.uint64(1)) % np.uint64(c.dimension)).astype(np.intp)
        self._sign = 1.0 - 2.0 * (noise & np.uint64(1))
        # Every pair of sectors once, the second less than half a turn counter-clockwise of the first.
        self._partner = (np.arange(c.sectors)[:, None] + np.arange(1, (c.sectors + 1) // 2)) % c.sectors

    @property
    def dimension(self) -> int:
        return self.config.dimension

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.plug, self.revision, self.config)

    def gather(self, sample: Scan, stamp_ns: int) -> Scan:
        return sample

    def encode(self, sample: Scan) -> Array:
        """Return (dimension,) for a scan of any number of beams, field of view and direction of turning."""
        cell, weight = self._figures(self._points(sample))
        # The root keeps the figures that every long wall repeats from drowning the others.
        return unit(self._hashed(np.sqrt(np.bincount(cell, weight))))

    def _hashed(self, histogram: NDArray[np.float64]) -> Array:
        """Add up the cells, each with its own sign, in `dimension` slots: keeps inner products, roughly."""
        filled = np.flatnonzero(histogram)
        signed = histogram[filled] * self._sign[filled]
        return np.bincount(self._slot[filled], signed, minlength=self.dimension).astype(np.float32)

    def _points(self, scan: Scan) -> Complex:
        """Return one point for each sector (S,): its return of median range; 0 where there is none."""
        c = self.config
        ranges, bearing = self._returns(scan)
        # The nudge: a beam on the border of two sectors falls into the same one however it was rounded.
        sector = np.floor(bearing * (c.sectors / (2 * np.pi)) + 1e-4).astype(np.intp) % c.sectors
        order = np.lexsort((ranges, sector))
        seen, first, returns = np.unique(sector[order], return_index=True, return_counts=True)
        if len(seen) < c.min_points:
            raise Any2AnyError(
                "Cannot use a laser scan",
                f"{len(ranges)} of its {len(scan.ranges)} beams returned from {c.blind:g} to {c.reach:g} m, "
                f"in {len(seen)} directions",
                f"At least {c.min_points} are needed: check the sensor, or lower min_points",
            )
        median = order[first + (returns - 1) // 2]
        points = np.zeros(c.sectors, dtype=np.complex64)
        points[seen] = ranges[median] * np.exp(1j * bearing[median])
        return points

    def _returns(self, scan: Scan) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the range and bearing (N,) of each beam that met something within reach."""
        ranges = np.asarray(scan.ranges, dtype=np.float64)
        if not math.isfinite(scan.angle_min + len(ranges) * scan.angle_increment):
            raise Any2AnyError(
                "Cannot use a laser scan",
                f"its first angle is {scan.angle_min:g} and the step between beams {scan.angle_increment:g}",
                "Check the laser's driver: both must be finite, in radians",
            )
        bearing = scan.angle_min + scan.angle_increment * np.arange(len(ranges), dtype=np.float64)
        met = (ranges >= self.config.blind) & (ranges < min(self.config.reach, scan.range_max))
        return ranges[met], bearing[met]

    def _surfaces(self, points: Complex) -> NDArray[np.float32]:
        """Return the direction (S,) of the surface at each point: from neighbour to neighbour on it."""
        step = np.roll(points, -1) - points
        step[np.abs(step) > self.config.surface_gap * np.abs(points)] = 0
        along = step + np.roll(step, 1)
        return np.angle(np.where(along == 0, 1j * points, along))  # a lone point faces the sensor

    def _figures(self, points: Complex) -> tuple[Integers, NDArray[np.float32]]:
        """Return each figure's cell in the histogram (F,) and its weight (F,)."""
        c = self.config
        seen = points != 0
        first, lag = np.nonzero(seen[:, None] & seen[self._partner])
        second = self._partner[first, lag]
        line = points[second] - points[first]
        turned = self._surfaces(points)[np.stack([first, second])] - np.angle(line)
        # Rounded: the commonest angles, 0 and 90 degrees, lie inside a bin and not on a border.
        angle = np.rint(turned * (c.angle_bins / np.pi)).astype(np.intp) % c.angle_bins
        length = np.abs(points)
        ranges = self._bin(length, c.reach, c.range_bins)
        near, far = np.minimum(ranges[first], ranges[second]), np.maximum(ranges[first], ranges[second])
        distance = self._bin(np.abs(line), 2 * c.reach, c.distance_bins)
        cell = np.ravel_multi_index((distance, near, far, angle[0], angle[1]), self._shape)
        # A sector sees a piece of wall as long as the wall is far.
        return cell, length[first] * length[second]

    def _bin(self, value: NDArray[np.float32], largest: float, bins: int) -> Integers:
        """Return the bin of each length: even below `scale`, logarithmic above."""
        share = np.log1p(value / self.config.scale) / np.log1p(largest / self.config.scale)
        return np.asarray(np.minimum(share * bins, bins - 1), dtype=np.intp)


def _scrambled(n: int) -> NDArray[np.uint64]:
    """Return n hashes (splitmix64 of 0..n-1): the same on every machine and NumPy, as a stored map needs."""
    x = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))
