"""The surfaces that a 2-D laser scan shows: points, and the direction in which each of them faces."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Float64, Rows
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import Scan
from any2any_ros.submaps.planar import Planar, Points

BESIDE = 3  # beams; returns this far apart may lie on one surface, though those between them are missing
SLANT = 0.15  # widest gap between two points of one surface, relative to their distance from the sensor
SLOWEST = 1.0  # s; a scan that claims to take longer was measured at once
SHORT = 0.3  # m; a gap this wide is none, however near the sensor is


@dataclass(frozen=True, eq=False)
class Surfaces:
    """Points (N,) and their normals (N,), complex numbers of length 1, 0 where a point has no neighbour on its surface.

    A normal has no sign: it may point to either side of the surface.
    """

    points: Points
    normals: Points

    def __len__(self) -> int:
        return len(self.points)

    def thinned(self, most: int) -> Surfaces:
        """Return every k-th point, so that at most `most` are left."""
        step = max(1, -(-len(self) // most))
        return Surfaces(self.points[::step], self.normals[::step])

    def moved(self, pose: Planar) -> Surfaces:
        """Return the surfaces in the frame in which the sensor has this pose."""
        return Surfaces(pose(self.points), Planar(0j, pose.turn)(self.normals))


def surfaces(scan: Scan, blind: float, reach: float, velocity: Planar = Planar(0j, 0.0)) -> Surfaces:
    """Return the surfaces of a scan in the sensor's frame, at the time of the first beam.

    blind, reach: m; returns outside are left out. velocity: the sensor's motion in a second, which is undone where the
    scan says when each beam was measured. Raises Any2AnyError when the angles are not finite.
    """
    refuse_angles(scan)
    ranges = np.asarray(scan.ranges, dtype=np.float64)
    beam = np.flatnonzero((ranges >= blind) & (ranges < min(reach, scan.range_max)))
    points = ranges[beam] * np.exp(1j * (scan.angle_min + scan.angle_increment * beam))
    if abs(scan.time_increment) * len(ranges) <= SLOWEST:  # False for NaN
        points = undistorted(points, np.asarray(scan.time_increment * beam, dtype=np.float64), velocity)
    return Surfaces(points, _normals(points, beam))


def refuse_angles(scan: Scan) -> None:
    """Raise Any2AnyError when the angles of a scan are not finite."""
    if not math.isfinite(scan.angle_min + len(scan.ranges) * scan.angle_increment):
        raise Any2AnyError(
            "Cannot use a laser scan",
            f"its first angle is {scan.angle_min:g} and the step between beams {scan.angle_increment:g}",
            "Check the driver of the laser: both must be finite, in radians",
        )


def undistorted(points: Points, seconds: Float64, velocity: Planar) -> Points:
    """Return points (N,) as they would have been measured at once. seconds (N,): when each was, after that moment."""
    return np.asarray(points * np.exp(1j * velocity.turn * seconds) + velocity.shift * seconds)


def _normals(points: Points, beam: Rows) -> Points:
    """Return the normals (N,), at right angles to the line between both neighbours on the surface."""
    step = np.diff(points)
    near = np.maximum(SHORT, SLANT * np.minimum(np.abs(points[1:]), np.abs(points[:-1])))
    step[(np.diff(beam) > BESIDE) | (np.abs(step) > near)] = 0
    along = np.append(step, 0) + np.insert(step, 0, 0)
    length = np.abs(along)
    return np.asarray(1j * np.divide(along, length, out=np.zeros_like(along), where=length > 0))
