"""The odometry of a bag, for encoders that put the samples of the last metres together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from any2any_ros.arrays import Float64
from any2any_ros.config import PoseConfig
from any2any_ros.data import bag_poses
from any2any_ros.data.bag_poses import PoseSource
from any2any_ros.data.bag_reader import BagReader
from any2any_ros.data.bag_transforms import TRANSFORMS, static_transforms, transforms
from any2any_ros.data.report import SensorReport
from any2any_ros.data.trajectory import Trajectory
from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry.transforms import TransformBuffer, before, interpolated
from any2any_ros.samples import NS

ODOMETRY = "nav_msgs/msg/Odometry"
USUAL = ("odom", "odometry/filtered", "odometry")  # topics, the likeliest first
FRAMES = ("odom", ("base_link", "base_footprint"))  # parent and children in /tf
GAP = 1 * NS  # ns between two poses; between them, none is interpolated


@dataclass(frozen=True, eq=False)
class BagOdometry:
    """Poses of the robot in a frame that drifts.

    frame: the robot's, "" where unknown. static: tells where sensors are mounted.
    """

    trajectory: Trajectory
    frame: str
    static: TransformBuffer

    def pose(self, stamp_ns: int, sensor_frame: str) -> Float64 | None:
        """Return the pose (4, 4) of a sensor; None where it is unknown.

        A sensor whose mounting is unknown counts as mounted where the robot's frame is.
        """
        stamps, at = self.trajectory.stamps_ns, np.array([stamp_ns], dtype=np.int64)
        if len(stamps) == 0:
            return None
        row = int(before(stamps, at)[0])
        pose = interpolated(stamps[row : row + 2], self.trajectory.poses[row : row + 2], at)[0]
        if np.isnan(pose).any() or (stamps[row] != stamp_ns and stamps[row + 1] - stamps[row] > GAP):
            return None
        return np.asarray(pose @ self.static.mounting(self.frame, sensor_frame))


NO_ODOMETRY = BagOdometry(Trajectory.of([], np.empty((0, 4, 4)), ""), "", TransformBuffer())


def read(reader: BagReader, settings: PoseConfig, report: SensorReport) -> BagOdometry:
    """Return the odometry of a bag. report: gets a line that says where it comes from.

    Raises Any2AnyError when the settings name a topic that is not there, or that holds no poses.
    """
    name = settings.odometry
    if name == "auto":
        name = _likeliest(reader)
    if not name or name == "none":
        report.note("No odometry is used: scans are put together by what they show alone")
        return NO_ODOMETRY
    source = PoseSource(name, settings=PoseConfig(stamps=settings.stamps, pose_axes="ros"))
    try:
        found = bag_poses.read(reader, source, SensorReport())
    except Any2AnyError as error:
        if settings.odometry != "auto":
            raise
        report.note(f"The odometry {name} is not used: {error}")
        return NO_ODOMETRY
    report.note(f"Odometry comes from {name}")
    return BagOdometry(found.trajectory, found.frame, static_transforms(reader, source.name))


def _likeliest(reader: BagReader) -> str:
    """Return the topic that holds the odometry by its name or its type; "" for none."""
    topics = sorted({c.topic.lstrip("/") for c in reader.connections if c.msgtype == ODOMETRY})
    usual = [name for name in USUAL if name in topics]
    if usual or len(topics) == 1:
        return f"/{(usual or topics)[0]}"
    return _in_transforms(reader) if any(c.msgtype in TRANSFORMS for c in reader.connections) else ""


def _in_transforms(reader: BagReader) -> str:
    """Return the frames of /tf that hold the odometry; "" for none."""
    parent, children = FRAMES
    for _, _, transform in transforms(reader, "/tf"):
        child = transform.child_frame_id.lstrip("/")
        if transform.header.frame_id.lstrip("/") == parent and child in children:
            return f"/tf:{parent}.{child}"
    return ""


def frame_of(message: Any) -> str:
    """Return the frame of a sensor's message; "" where it has none."""
    return str(message.header.frame_id).lstrip("/") if hasattr(message, "header") else ""
