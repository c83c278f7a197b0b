"""Reads trajectories from files of text, as SLAM writes them.

TUM     8 numbers a line: time in s, x y z, quaternion x y z w
KITTI   12 numbers a line: the upper three rows of the pose; its times are in NAME_times.txt or times.txt beside it
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from any2any_ros.arrays import Float64, Int64
from any2any_ros.data.drive import LATEST
from any2any_ros.data.kitti_poses import NO_POSE, numbers
from any2any_ros.data.trajectory import Trajectory
from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry.transforms import matrices
from any2any_ros.poses import FARTHEST, is_rotation, rigid
from any2any_ros.samples import NS

TUM, KITTI = 8, 12  # numbers a line
FORMATS = "Give a TUM trajectory (time x y z qx qy qz qw), or KITTI poses (12 numbers) with times.txt beside them"


def read(file: Path) -> Trajectory:
    """Return the trajectory in a file. Raises Any2AnyError when it is none, and names the line of a damaged pose."""
    rows = numbers(file, 1)
    if rows.shape[1] == TUM:
        return _checked(file, rows[:, 0], _from_tum(file, rows[:, 1:]))
    if rows.shape[1] == KITTI:
        poses = np.tile(np.eye(4), (len(rows), 1, 1))
        poses[:, :3] = rows.reshape(-1, 3, 4)
        return _checked(file, _times_beside(file, len(rows)), poses)
    raise Any2AnyError(f"{file} is no trajectory", f"it has {rows.shape[1]} numbers a line", FORMATS)


def _from_tum(file: Path, rows: Float64) -> Float64:
    for line, row in enumerate(rows.tolist(), start=1):
        if not (is_rotation(row[3:]) and np.abs(row[:3]).max() < FARTHEST):
            raise _damaged(file, line)
    return matrices(rows)


def _times_beside(file: Path, count: int) -> Float64:
    """Return the times (N,) of KITTI poses, in s."""
    places = [file.with_name(f"{file.stem}_times.txt"), file.with_name("times.txt")]
    found = next((place for place in places if place.exists() and place != file), None)
    if found is None:
        raise Any2AnyError(
            f"The poses in {file} have no times", f"there is no {' and no '.join(p.name for p in places)} beside it",
            FORMATS,
        )  # fmt: skip
    times = numbers(found, 1)[:, 0]
    if len(times) != count:
        raise Any2AnyError(f"Cannot read {file}", f"it has {count} poses, {found.name} {len(times)} times", FORMATS)
    return times


def _checked(file: Path, seconds: Float64, poses: Float64) -> Trajectory:
    wrong = np.flatnonzero(~rigid(poses))
    if wrong.size:
        raise _damaged(file, int(wrong[0]) + 1)
    usable = (seconds >= 0) & (seconds < LATEST)
    if not usable.all():
        raise Any2AnyError(f"Cannot read {file}", f"{seconds[~usable][0]:g} is no time in seconds", FORMATS)
    return Trajectory.of(_nanoseconds(seconds), poses, file.name)


def _nanoseconds(seconds: Float64) -> Int64:
    whole = np.floor(seconds)
    return np.asarray(whole.astype(np.int64) * NS + np.round((seconds - whole) * NS).astype(np.int64))


def _damaged(file: Path, line: int) -> Any2AnyError:
    return Any2AnyError(f"Cannot read {file}", f"pose {line} is {NO_POSE}", "Write it again")
