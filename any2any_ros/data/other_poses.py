"""The poses of drives that look like KITTI's and are of others: KITTI-360, MulRan."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from any2any_ros.arrays import Float64, Int64
from any2any_ros.data.drive import LATEST
from any2any_ros.data.kitti_layout import PICTURES_360, SCANS_360
from any2any_ros.data.kitti_poses import COPY, calibration, matrices, numbers
from any2any_ros.data.trajectory import Trajectory
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS

# From the axes of KITTI-360's inertial unit (x forward, y right, z down) to those of REP-103.
UNIT_FROM_ROS = np.diag([1.0, -1.0, -1.0, 1.0])


def poses_of(home: Path, stamps_ns: Int64, number: list[int]) -> Float64:
    """Return the poses (N, 4, 4) of the frames; NaN where there are none.

    number: of each frame. Raises Any2AnyError when one of them is no pose.
    """
    if home.parent.name in (SCANS_360, PICTURES_360):
        file = home.parents[1] / "data_poses" / home.name / "poses.txt"
        if file.exists():
            return _kitti_360(file, home.parents[1] / "calibration", number)
    file = home / "global_pose.csv"
    if file.exists():
        return _mulran(file, stamps_ns)
    return np.full((len(number), 4, 4), np.nan)


def _kitti_360(file: Path, calibrations: Path, number: list[int]) -> Float64:
    """Return the poses of the LiDAR, or those of the inertial unit where the calibration is missing."""
    rows = numbers(file, 13)
    known = matrices(rows[:, 1:], file)
    unit_from_camera = calibration(calibrations / "calib_cam_to_pose.txt", "image_00")
    lidar_from_camera = calibration(calibrations / "calib_cam_to_velo.txt")
    mounted = UNIT_FROM_ROS
    if unit_from_camera is not None and lidar_from_camera is not None:
        mounted = unit_from_camera @ np.linalg.inv(lidar_from_camera)
    row = {frame: i for i, frame in enumerate(_firsts(rows, file).tolist())}
    poses = np.full((len(number), 4, 4), np.nan)
    for i, frame in enumerate(number):
        if frame in row:
            poses[i] = known[row[frame]] @ mounted
    return poses


def _mulran(file: Path, stamps_ns: Int64) -> Float64:
    """Return the robot's poses at the stamps, from lines of a time in ns and 12 numbers."""
    rows = numbers(file, 13, ",")
    poses, times = matrices(rows[:, 1:], file), _firsts(rows, file)
    known = np.isfinite(poses).all(axis=(1, 2))
    return Trajectory.of(times[known], poses[known], file.name).at(stamps_ns).poses


def _firsts(rows: Float64, file: Path) -> Int64:
    """Return the first number of each row: of a frame, or a time in ns."""
    firsts = rows[:, 0]
    wrong = np.flatnonzero(~((firsts >= 0) & (firsts < LATEST * NS)))
    if wrong.size:
        why = f"line {wrong[0] + 1} begins with {firsts[wrong[0]]:g}, which is neither a frame nor a time"
        raise Any2AnyError(f"Cannot read {file}", why, COPY)
    return firsts.astype(np.int64)
