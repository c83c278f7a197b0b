"""The poses of a KITTI drive, and the tables of numbers that they and the times are read from."""

from __future__ import annotations

import warnings
import zlib
from pathlib import Path

import numpy as np

from any2any_ros import limits, reading
from any2any_ros.arrays import Float64
from any2any_ros.errors import Any2AnyError
from any2any_ros.poses import rigid

# From KITTI's camera axes (x right, y down, z forward) to the ROS axes of REP-103 (x forward, y left, z up).
ROS_FROM_CAMERA = np.array([[0, 0, 1, 0], [-1, 0, 0, 0], [0, -1, 0, 0], [0, 0, 0, 1]], dtype=np.float64)
COPY = "Copy or download it again"
STANDING, FORWARD = 0.02, 0.9  # m of a step that may be noise; share of a step that leads forward
NO_POSE = "no pose: a rotation and a position in metres are needed"


def poses_of(home: Path, number: list[int]) -> Float64 | None:
    """Return the poses (N, 4, 4) of the frames of these numbers, of the LiDAR in ROS axes; None without any.

    From poses/NN.txt of an odometry folder, from poses.txt beside the scans, or from the inertial unit. NaN for a row
    of NaN. Raises Any2AnyError when there are fewer poses than frames, and when one of them is no pose.
    """
    beside = [home.parents[1] / "poses" / f"{home.name}.txt"] if home.parent.name == "sequences" else []
    for truth in (*beside, home / "poses.txt"):
        if truth.exists():
            rows = numbers(truth, 12)
            enough(truth, "poses", len(rows), max(number) + 1)
            return in_ros_axes(matrices(rows, truth), home)[number]
    oxts = sorted((home / "oxts" / "data").glob("*.txt"))
    if oxts:
        enough(home / "oxts", "poses", len(oxts), max(number) + 1)
        return _inertial(oxts)[number]
    return None


def in_ros_axes(poses: Float64, home: Path) -> Float64:
    """Return the poses (N, 4, 4) of KITTI's camera as those of the LiDAR in ROS axes.

    Some tools write those of the LiDAR: they move along x, not along z, and are returned as they are.
    """
    if drives_along(poses, 0) and not drives_along(poses, 2):
        return poses
    return np.asarray(ROS_FROM_CAMERA @ poses @ _camera_from_lidar(home))


def drives_along(poses: Float64, axis: int) -> bool:
    """Return whether the robot of these poses (N, 4, 4) drives along one of its own axes, mostly forward."""
    steps = np.diff(poses[:, :3, 3], axis=0)
    own = np.einsum("nij,ni->nj", poses[:-1, :3, :3], steps)
    length = np.linalg.norm(own, axis=1)
    moving = length > STANDING
    return bool(moving.any() and np.median(own[moving, axis] / length[moving]) > FORWARD)


def matrices(rows: Float64, file: Path) -> Float64:
    """Return (N, 4, 4) for rows (N, 12 or more); NaN for a row that has a NaN."""
    poses = np.tile(np.eye(4), (len(rows), 1, 1))
    poses[:, :3] = rows[:, :12].reshape(-1, 3, 4)
    unknown = np.isnan(poses).any(axis=(1, 2))
    wrong = np.flatnonzero(~(rigid(poses) | unknown))
    if wrong.size:
        raise Any2AnyError(f"Cannot read {file}", f"line {wrong[0] + 1} is {NO_POSE}", COPY)
    poses[unknown] = np.nan
    return poses


def _camera_from_lidar(folder: Path) -> Float64:
    """Return the calibration Tr (4, 4); without one, only the change of axes."""
    for name in ("Tr", "Tr_velo_cam"):
        matrix = calibration(folder / "calib.txt", name)
        if matrix is not None:
            return matrix
    return np.asarray(ROS_FROM_CAMERA.T)


def calibration(file: Path, name: str = "") -> Float64 | None:
    """Return the matrix (4, 4) of 12 numbers behind a name in a file of calibration; None where it is not there.

    name: "" for a file of these numbers alone. Raises Any2AnyError when they are no pose.
    """
    try:
        lines = reading.text(file).splitlines() if file.is_file() else []
    except (OSError, ValueError) as error:
        raise Any2AnyError(f"Cannot read {file}", str(error), COPY) from error
    values = next((line.split()[bool(name) :] for line in lines if not name or line.split(":")[0] == name), None)
    if values is None:
        return None
    try:
        matrix = np.vstack([np.array(values, dtype=np.float64).reshape(3, 4), [0, 0, 0, 1]])
    except ValueError as error:
        raise Any2AnyError(f"Cannot read {file}", f"{name or 'it'} is no 12 numbers: {error}", COPY) from error
    if not rigid(matrix[None]).all():
        raise Any2AnyError(f"Cannot read {file}", f"{name or 'it'} is {NO_POSE}", COPY)
    return matrix


def _inertial(files: list[Path]) -> Float64:
    """Return poses (N, 4, 4) from OXTS files, one row each: latitude, longitude, altitude, roll, pitch, yaw, …

    Positions are Mercator projections. The axes of the inertial unit are those of ROS. The map's origin is the position
    of the first row, and its x axis points east.
    """
    from scipy.spatial.transform import Rotation

    oxts = np.concatenate([numbers(file, 30)[:1, :6] for file in files])
    latitude, longitude, altitude = oxts[:, :3].T
    on_earth = (np.abs(latitude) < 90) & np.isfinite(oxts).all(axis=1)
    angles = np.where(on_earth[:, None], oxts, 0)
    scale = np.cos(np.radians(angles[0, 0])) * 6378137.0
    poses = np.tile(np.eye(4), (len(oxts), 1, 1))
    poses[:, :3, :3] = Rotation.from_euler("ZYX", angles[:, [5, 4, 3]]).as_matrix()
    poses[:, 0, 3] = scale * np.radians(longitude)
    poses[:, 1, 3] = scale * np.log(np.tan(np.pi / 4 + np.radians(angles[:, 0]) / 2))
    poses[:, 2, 3] = altitude
    wrong = np.flatnonzero(~(on_earth & rigid(poses)))
    if wrong.size:
        raise Any2AnyError(f"Cannot read {files[wrong[0]]}", "its row is no pose of an inertial unit on Earth", COPY)
    poses[:, :3, 3] -= poses[0, :3, 3]
    return poses


def numbers(file: Path, columns: int, delimiter: str | None = None) -> Float64:
    """Return the numbers (N, `columns` or more) of a text file. delimiter: between them; None: white space.

    Raises Any2AnyError when it holds anything else, and when it is too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of an empty file, which `enough` refuses
            lines = reading.lines(file, limits.LINES_BYTES)
            rows = np.loadtxt(lines, dtype=np.float64, ndmin=2, encoding="utf-8", delimiter=delimiter)
    except (OSError, ValueError, EOFError, zlib.error) as error:
        raise Any2AnyError(f"Cannot read {file}", str(error), COPY) from error
    if rows.shape[1] < columns:
        raise Any2AnyError(f"Cannot read {file}", f"{rows.shape[1]} numbers a line, not {columns}", COPY)
    return np.asarray(rows)


def enough(owner: Path, what: str, have: int, need: int) -> None:
    """Raise Any2AnyError when there is less of something than frames."""
    if have < need:
        raise Any2AnyError(f"The drive at {owner} is not whole", f"{have} {what} for {need} frames", COPY)
