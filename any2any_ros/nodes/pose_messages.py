"""Converts poses to ROS messages and back."""

from __future__ import annotations

import numpy as np
from geometry_msgs.msg import Point, Pose, Quaternion

from any2any_ros.arrays import Float64
from any2any_ros.errors import Any2AnyError
from any2any_ros.poses import FARTHEST, is_rotation, rigid


def pose_message(pose: Float64) -> Pose:
    """Return a pose (4, 4) as a message. All of it is NaN when the pose is unknown (NaN) or its rotation is none."""
    return pose_messages(pose[None])[0]


def pose_messages(poses: Float64) -> list[Pose]:
    """Return poses (N, 4, 4) as messages, in a tenth of the time that N calls of `pose_message` take."""
    from scipy.spatial.transform import Rotation

    known, numbers = rigid(poses), np.full((len(poses), 7), np.nan)
    if known.any():
        numbers[known, :3] = poses[known, :3, 3]
        numbers[known, 3:] = Rotation.from_matrix(poses[known, :3, :3]).as_quat()
    return [
        Pose(position=Point(x=px, y=py, z=pz), orientation=Quaternion(x=x, y=y, z=z, w=w))
        for px, py, pz, x, y, z, w in numbers.tolist()
    ]


def pose_array(pose: Pose) -> Float64:
    """Return a pose message as a matrix (4, 4).

    Raises Any2AnyError when its quaternion is no rotation, and when its position is not finite or beyond all places.
    """
    from scipy.spatial.transform import Rotation

    p, q = pose.position, pose.orientation
    position, quaternion = (p.x, p.y, p.z), (q.x, q.y, q.z, q.w)
    if not (is_rotation(quaternion) and np.abs(position).max() < FARTHEST):
        why = f"its position is {position}, its quaternion {quaternion}"
        raise Any2AnyError("A pose cannot be used", why, "Give a position in metres and a quaternion of length 1")
    out = np.eye(4)
    out[:3, :3] = Rotation.from_quat(quaternion).as_matrix()
    out[:3, 3] = position
    return out
