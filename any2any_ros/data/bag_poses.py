"""The robot's poses in a ROS 2 bag, interpolated between messages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation, Slerp

from any2any_ros import samples
from any2any_ros.arrays import Float64
from any2any_ros.data import bag_messages
from any2any_ros.data.bag_reader import BagReader
from any2any_ros.data.bag_reading import decoded
from any2any_ros.errors import Any2AnyError
from any2any_ros.poses import FARTHEST, is_rotation

POSE_TYPES = (bag_messages.POSE, "geometry_msgs/msg/PoseWithCovarianceStamped", "nav_msgs/msg/Odometry")


def poses_at(reader: BagReader, topic: str, stamps: Iterable[int]) -> Float64:
    """Return the poses (N, 4, 4) at the stamps, ns; NaN before the first message of the topic and after the last.

    topic: of one of POSE_TYPES. Raises Any2AnyError for another type, and where the bag is damaged.
    """
    times = np.array(list(stamps), dtype=np.int64)
    poses = np.full((len(times), 4, 4), np.nan)
    connections = [c for c in reader.connections if c.topic.lstrip("/") == topic.lstrip("/")]
    known = dict(sorted(_poses_in(reader, connections)))
    if len(known) < 2:
        return poses
    known_times = np.array(list(known), dtype=np.int64)
    rows = np.array(list(known.values()))
    inside = (times >= known_times[0]) & (times <= known_times[-1])
    # Counted from the first pose: float64 cannot tell nanoseconds since 1970 apart.
    at, known_at = times[inside] - known_times[0], known_times - known_times[0]
    poses[inside] = np.eye(4)
    poses[inside, :3, :3] = Slerp(known_at, Rotation.from_quat(rows[:, 3:]))(at).as_matrix()
    for axis in range(3):
        poses[inside, axis, 3] = np.interp(at, known_at, rows[:, axis])
    return poses


def _poses_in(reader: BagReader, connections: list[Any]) -> Iterable[tuple[int, tuple[float, ...]]]:
    """Yield (stamp, (x, y, z, qx, qy, qz, qw)) of every pose message."""
    for connection in connections:
        if connection.msgtype not in POSE_TYPES:
            raise Any2AnyError(
                f"Topic {connection.topic} holds no poses", f"its type is {connection.msgtype}",
                f"Choose a topic of type {', '.join(POSE_TYPES)}",
            )  # fmt: skip
    for _, received, message in decoded(reader, connections) if connections else ():
        pose = message.pose.pose if hasattr(message.pose, "pose") else message.pose
        p, q = pose.position, pose.orientation
        row = (p.x, p.y, p.z, q.x, q.y, q.z, q.w)
        # Some drivers publish zeros until they know where they are.
        if np.abs(row[:3]).max() < FARTHEST and is_rotation(row[3:]):
            yield samples.stamp_ns(message) or received, row
