"""Which matrices are poses, and which quaternions are rotations."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from any2any_ros.arrays import Flags, Float64
from any2any_ros.errors import Any2AnyError

FARTHEST = 1e9  # m from the origin: beyond, squares and sums of positions lose what matters
TOLERANCE = 0.01  # of the products of two axes: files often give rotations with three digits
SHORTEST, LONGEST = 1e-6, 1e6  # of a quaternion: it should be 1


def rigid(poses: Float64) -> Flags:
    """Return (N,): which of the matrices (N, 4, 4) are poses: finite, a rotation, and within `FARTHEST`."""
    good = (poses[:, 3] == (0, 0, 0, 1)).all(axis=1) & (np.abs(poses[:, :3, 3]) < FARTHEST).all(axis=1)
    a, b, c = poses[:, :3, :3].transpose(1, 2, 0)  # rows of the rotations (3, N): a million take a fifth of a second
    with np.errstate(over="ignore", invalid="ignore"):  # comparisons are False for NaN
        for one, other, product in ((a, a, 1), (b, b, 1), (c, c, 1), (a, b, 0), (a, c, 0), (b, c, 0)):
            good &= np.abs(one[0] * other[0] + one[1] * other[1] + one[2] * other[2] - product) < TOLERANCE
        mixed = sum(a[i] * (b[j] * c[k] - b[k] * c[j]) for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)))
    return np.asarray(good & (mixed > 0))  # the determinant; a mirrored frame has -1


def fault(pose: Float64) -> str:
    """Return why a matrix (4, 4) is no pose; "" when it is one."""
    if rigid(pose[None]).all():
        return ""
    if not np.isfinite(pose).all():
        return "a number in it is not finite"
    if not (pose[3] == (0, 0, 0, 1)).all():
        return f"its last row is {pose[3].tolist()}, not 0 0 0 1"
    far = np.abs(pose[:3, 3]).max() >= FARTHEST
    return f"it is {FARTHEST:g} m away or more" if far else "its upper left part (3, 3) is no rotation"


def validated(poses: Float64) -> Float64:
    """Return poses (N, 4, 4). One that has a NaN is unknown, and becomes all NaN.

    Raises Any2AnyError when another one is none.
    """
    unknown = np.asarray(np.isnan(poses).any(axis=(1, 2)))
    wrong = np.flatnonzero(~(rigid(poses) | unknown))
    if len(wrong):
        which = "The pose" if len(poses) == 1 else f"Pose {wrong[0]} of {len(poses)}"
        remedy = "Give a rigid transform (4, 4) from the robot to the map, or NaN where it is unknown"
        raise Any2AnyError(f"{which} cannot be used", fault(poses[wrong[0]]), remedy)
    whole = not unknown.any() or np.isnan(poses[unknown]).all()
    return poses if whole else np.where(unknown[:, None, None], np.nan, poses)


def is_rotation(quaternion: Sequence[float]) -> bool:
    """Return whether a quaternion x y z w gives a rotation: it is finite, and its length can be made 1."""
    return SHORTEST < math.hypot(*quaternion) < LONGEST  # False for NaN
