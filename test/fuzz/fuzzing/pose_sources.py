"""Where the poses of a recording come from: topics of every type in a bag, and trajectory files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros.data import bag_poses, trajectory_files
from any2any_ros.data.bag_poses import PoseSource
from any2any_ros.data.bag_reading import open_reader
from any2any_ros.data.trajectory import Trajectory
from any2any_ros.poses import rigid

from . import folders
from .bag_content import Message, changed, written
from .boundary import Boundary
from .choices import Choices
from .folders import Files, mutated_files
from .ros_messages import make

ODOMETRY, FIX, TF = "nav_msgs/msg/Odometry", "sensor_msgs/msg/NavSatFix", "tf2_msgs/msg/TFMessage"
SOURCES = {ODOMETRY: "/odom", FIX: "/fix", TF: "/tf:map.base"}
TUM = "".join(f"{100 + i / 10} {i} 0 0 0 0 0 1\n" for i in range(9)).encode()
KITTI = "".join(f"1 0 0 {i} 0 1 0 0 0 0 1 0\n" for i in range(9)).encode()
TIMES = "".join(f"{100 + i / 10}\n" for i in range(9)).encode()


def _header(stamp: int, frame: str) -> Any:
    time = make("builtin_interfaces/msg/Time", sec=stamp // 10**9, nanosec=stamp % 10**9)
    return make("std_msgs/msg/Header", stamp=time, frame_id=frame)


def _transforms(stamp: int, parent: str, child: str, x: float) -> Any:
    transform = make(
        "geometry_msgs/msg/Transform",
        translation=make("geometry_msgs/msg/Vector3", x=x),
        rotation=make("geometry_msgs/msg/Quaternion", w=1.0),
    )
    one = make(
        "geometry_msgs/msg/TransformStamped", header=_header(stamp, parent), child_frame_id=child, transform=transform
    )
    return make(TF, transforms=[one])


def _message(kind: str, stamp: int, x: float) -> Any:
    if kind == TF:
        return _transforms(stamp, "map", "odom", x)
    if kind == FIX:
        return make(FIX, header=_header(stamp, "gps"), latitude=49.0 + 1e-5 * x, longitude=8.4)
    pose = make("geometry_msgs/msg/Pose", orientation=make("geometry_msgs/msg/Quaternion", w=1.0))
    with_covariance = make("geometry_msgs/msg/PoseWithCovariance", pose=pose)
    return make(ODOMETRY, header=_header(stamp, "odom"), child_frame_id="base", pose=with_covariance)


def _messages(kind: str, choices: Choices) -> list[Message]:
    found: list[Message] = []
    for i in range(4):
        stamp = 3_000_000_000 + i * 500_000_000
        found.append((SOURCES[kind].partition(":")[0], kind, stamp, _message(kind, stamp, float(i))))
    found.append(("/tf_static", TF, 3_000_000_000, _transforms(0, "odom", "base", 1.0)))
    return found


def _read(kind: str, found: list[Message]) -> Trajectory:
    def cross(folder: Path) -> Trajectory:
        written(found, folder / "bag")
        with open_reader(folder / "bag") as reader:
            return bag_poses.read(reader, PoseSource(SOURCES[kind])).trajectory

    return folders.on_disk(cross)({})


def _wrong(given: Any, trajectory: Trajectory) -> str:
    at = np.array([0, 10**9, 3_100_000_000, 2**62], dtype=np.int64)
    located = trajectory.at(at)
    for poses in (trajectory.poses, located.poses[[not why for why in located.reasons]]):
        if not rigid(poses).all():
            return f"poses {poses}"
    known = np.isnan(located.poses).all(axis=(1, 2)) == [bool(why) for why in located.reasons]
    return "" if (np.diff(trajectory.stamps_ns) > 0).all() and known.all() else f"stamps {trajectory.stamps_ns}"


def _files(choices: Choices) -> Files:
    return {"slam.txt": choices.one(TUM, KITTI), "times.txt": TIMES}


BOUNDARIES = (
    *(
        Boundary(f"bag, {SOURCES[kind]}", partial(_messages, kind), partial(_read, kind), _wrong, changed,
                 milliseconds=60, seconds=5.0, megabytes=128)
        for kind in SOURCES
    ),
    Boundary(
        "trajectory file", _files, folders.on_disk(lambda folder: trajectory_files.read(folder / "slam.txt")), _wrong,
        mutated_files, milliseconds=3,
    ),
)  # fmt: skip
