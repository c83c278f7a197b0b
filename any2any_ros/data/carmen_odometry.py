"""The odometry of a CARMEN log: what the wheels said, without what a mapper has corrected.

    ODOM x y theta tv rv accel ipc_timestamp host logger_timestamp

A FLASER line has a pose of odometry, too (odom_x odom_y odom_theta). Many mappers write the corrected pose there once
more, or zeros; then what the ODOM lines say counts. Such a mapper also moves these lines: the first one after each scan
has the scan's corrected pose, and only from there on the wheels count.
"""

from __future__ import annotations

from array import array

import numpy as np

from any2any_ros.arrays import Float64
from any2any_ros.poses import FARTHEST
from any2any_ros.submaps.planar import HERE, Planar

Pose = tuple[float, float, float]  # x, y in metres, heading in radians
UNKNOWN = (np.nan, np.nan, np.nan)


class OdometryReader:
    """Takes the poses of a log in the order of its lines."""

    def __init__(self) -> None:
        self._before: Pose | None = None  # of the last ODOM line
        self._corrected: Pose | None = None  # of the last FLASER line, until the next ODOM line
        self._driven, self._known, self._wheels = HERE, False, False
        self._summed, self._columns, self._copied = array("d"), array("d"), True

    def odometry(self, line: str) -> None:
        """Take an ODOM line. One that is damaged counts as absent."""
        pose = _pose(line)
        if pose is None:
            self._before = None
            return
        if pose != self._corrected and self._before is not None:
            self._driven = self._driven.then(_planar(self._before).inverse().then(_planar(pose)))
            self._known = self._wheels = True
        self._before, self._corrected = pose, None

    def scan(self, pose: Pose, columns: Pose) -> None:
        """Take the pose and the odometry columns of a FLASER line."""
        first = not self._summed
        numbers = (self._driven.shift.real, self._driven.shift.imag, self._driven.turn)
        self._summed.extend(numbers if self._known or first else UNKNOWN)
        self._columns.extend(columns)
        self._copied = self._copied and pose == columns
        self._corrected, self._known = pose, False

    def poses(self) -> Float64:
        """Return x, y and the heading (N, 3) at each scan, in a frame that drifts; NaN where they are unknown."""
        columns = np.array(self._columns).reshape(-1, 3)
        if not self._copied and np.ptp(columns, axis=0).any():  # many programs leave them at 0
            return columns
        summed = np.array(self._summed).reshape(-1, 3)
        return summed if self._wheels else np.full_like(summed, np.nan)


def _pose(line: str) -> Pose | None:
    try:
        x, y, theta = (float(word) for word in line.split()[1:4])
    except ValueError:
        return None
    return (x, y, theta) if all(abs(number) < FARTHEST for number in (x, y, theta)) else None  # False for NaN


def _planar(pose: Pose) -> Planar:
    return Planar(complex(pose[0], pose[1]), pose[2])
