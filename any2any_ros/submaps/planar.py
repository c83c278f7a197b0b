"""Motions on the ground: a shift and a turn. Points are complex numbers, x forward + i * y left, in metres."""

from __future__ import annotations

import cmath
import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Float64

Points = NDArray[np.complex128]  # (N,)


class Planar(NamedTuple):
    """Pose of one frame in another: shift, metres, and turn, radians, counter-clockwise."""

    shift: complex
    turn: float

    @classmethod
    def of(cls, pose: Float64) -> Planar:
        """Return what a pose (4, 4) does in the plane of its own x and y axes."""
        return cls(complex(pose[0, 3], pose[1, 3]), math.atan2(pose[1, 0], pose[0, 0]))

    @property
    def matrix(self) -> Float64:
        """Return the pose (4, 4) on the ground."""
        pose, ray = np.eye(4), cmath.exp(1j * self.turn)
        pose[:2, :2] = [[ray.real, -ray.imag], [ray.imag, ray.real]]
        pose[:2, 3] = self.shift.real, self.shift.imag
        return pose

    def __call__(self, points: Points) -> Points:
        """Return points (N,) of the inner frame in the outer one."""
        return points * cmath.exp(1j * self.turn) + self.shift

    def then(self, inner: Planar) -> Planar:
        """Return the pose in the outer frame of a pose in the inner one."""
        return Planar(self.shift + inner.shift * cmath.exp(1j * self.turn), wrapped(self.turn + inner.turn))

    def inverse(self) -> Planar:
        """Return the pose of the outer frame in the inner one."""
        return Planar(-self.shift * cmath.exp(-1j * self.turn), -self.turn)

    def times(self, share: float) -> Planar:
        """Return a share of the motion: the shift along a straight line, the turn evenly."""
        return Planar(self.shift * share, self.turn * share)


HERE = Planar(0j, 0.0)


def wrapped(angle: float) -> float:
    """Return an angle in radians between -pi and pi."""
    return math.remainder(angle, 2 * math.pi)
