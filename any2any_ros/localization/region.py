"""What is known of where the robot is before it looks: a circle on the ground, and a range of headings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Flags, Float64
from any2any_ros.errors import Any2AnyError
from any2any_ros.localization import planar
from any2any_ros.localization.answer import Candidate
from any2any_ros.poses import FARTHEST

SURE = 3.0  # standard deviations within which a robot is taken to be


@dataclass(frozen=True)
class Region:
    """A circle and a range of headings.

    x, y, radius: metres, in the map's frame. yaw, turned: radians; the heading differs from `yaw` by at most `turned`.
    Raises Any2AnyError for what is no such thing.
    """

    x: float = 0.0
    y: float = 0.0
    radius: float = np.inf
    yaw: float = 0.0
    turned: float = np.pi

    def __post_init__(self) -> None:
        centre, heading = (self.x, self.y), (self.yaw, self.turned)
        if not np.abs(centre).max() < FARTHEST:
            raise _wrong(f"its centre is {centre}", "Give metres in the map's frame")
        if not self.radius > 0:
            raise _wrong(f"its radius is {self.radius}", "Give a radius over 0 in metres")
        if not (np.isfinite(heading).all() and self.turned > 0):
            raise _wrong(f"its heading is {self.yaw} +- {self.turned}", "Give finite radians, and a range over 0")

    @classmethod
    def around(cls, pose: Float64, covariance: Float64, at_least: float) -> Region:
        """Return the circle in which a robot is whose pose (4, 4) is known with a covariance (6, 6), as ROS orders it.

        at_least: m, of the radius. The heading is not taken over. Raises Any2AnyError when either cannot be used.
        """
        ground = covariance[:2, :2]
        if not (np.isfinite(ground).all() and np.diag(ground).min() > 0):
            raise _wrong(f"the covariance of its centre is {ground.tolist()}", "Give variances over 0 of x and y")
        deviation = np.sqrt(max(float(np.linalg.eigvalsh((ground + ground.T) / 2)[-1]), 0.0))
        return cls(float(pose[0, 3]), float(pose[1, 3]), max(SURE * float(deviation), at_least))

    @property
    def everywhere(self) -> bool:
        """Return whether the circle has every place."""
        return bool(np.isinf(self.radius))

    def holds(self, poses: Float64) -> Flags:
        """Return (N,): which poses (N, 4, 4) lie in the circle. One that is unknown (NaN) does only everywhere."""
        if self.everywhere:
            return np.ones(len(poses), dtype=bool)
        return np.asarray(np.hypot(poses[:, 0, 3] - self.x, poses[:, 1, 3] - self.y) <= self.radius)

    def faces(self, candidate: Candidate) -> bool:
        """Return whether a candidate may have such a heading; True when it does not know its heading."""
        variance = candidate.covariance[2, 2]
        if variance >= planar.YAW_OF_A_CIRCLE * (1 - 1e-9):
            return True
        off = abs(planar.wrapped(planar.of(candidate.pose)[2] - self.yaw))
        return bool(off <= self.turned + SURE * np.sqrt(variance))


def _wrong(why: str, remedy: str) -> Any2AnyError:
    return Any2AnyError("The region cannot be used", why, remedy)


EVERYWHERE = Region()
