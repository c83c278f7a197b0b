"""Which matrices are poses, and which quaternions are rotations."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from any2any_ros.arrays import Flags, Float64

FARTHEST = 1e9  # m from the origin: beyond, squares and sums of positions lose what matters
TOLERANCE = 0.01  # of the products of two axes: files often give rotations with three digits
SHORTEST, LONGEST = 1e-6, 1e6  # of a quaternion: it should be 1


def rigid(poses: Float64) -> Flags:
    """Return (N,): which of the matrices (N, 4, 4) are poses: finite, a rotation, and within `FARTHEST`."""
    rotation = poses[:, :3, :3]
    with np.errstate(over="ignore", invalid="ignore"):
        product = rotation @ rotation.swapaxes(1, 2)
        straight = (np.abs(product - np.eye(3)) < TOLERANCE).all(axis=(1, 2))  # False for NaN
        near = (np.abs(poses[:, :3, 3]) < FARTHEST).all(axis=1)
        upright = np.zeros(len(poses), dtype=bool)
        upright[straight] = np.linalg.det(rotation[straight]) > 0  # a mirrored frame has -1
    return np.asarray(upright & near & (poses[:, 3] == (0, 0, 0, 1)).all(axis=1))


def is_rotation(quaternion: Sequence[float]) -> bool:
    """Return whether a quaternion x y z w gives a rotation: it is finite, and its length can be made 1."""
    return SHORTEST < math.hypot(*quaternion) < LONGEST  # False for NaN
