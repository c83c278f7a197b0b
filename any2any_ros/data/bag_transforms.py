"""The transforms of a bag: messages of /tf and /tf_static, of ROS 2 and ROS 1."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from any2any_ros.data.bag_reader import BagReader
from any2any_ros.data.bag_reading import decoded, leave_out
from any2any_ros.geometry.transforms import TransformBuffer
from any2any_ros.poses import FARTHEST, is_rotation

TRANSFORMS = ("tf2_msgs/msg/TFMessage", "tf/msg/tfMessage")


def transforms(reader: BagReader, topic: str) -> Iterator[tuple[Any, int, Any]]:
    """Yield (connection, time received in ns, TransformStamped) of a topic; nothing when the bag has none of it."""
    found = [c for c in reader.connections if c.topic.lstrip("/") == topic.lstrip("/") and c.msgtype in TRANSFORMS]
    for connection, received, message in decoded(reader, found, leave_out) if found else ():
        for transform in message.transforms:
            yield connection, received, transform


def static_transforms(reader: BagReader, topic: str = "/tf") -> TransformBuffer:
    """Return the transforms that hold at all times: of the topic beside `topic`, if it is one of transforms, or else of
    /tf_static."""
    buffer = TransformBuffer()
    beside = f"{topic}_static".lstrip("/")
    static = beside if any(c.topic.lstrip("/") == beside for c in reader.connections) else "/tf_static"
    for _, _, transform in transforms(reader, static):
        row = row_of(transform.transform.translation, transform.transform.rotation)
        if not fault(row):
            buffer.add(transform.header.frame_id, transform.child_frame_id, row)
    return buffer


def row_of(position: Any, rotation: Any) -> tuple[float, ...]:
    """Return the row of a position and a quaternion, as geometry/transforms.py has it."""
    return (position.x, position.y, position.z, rotation.x, rotation.y, rotation.z, rotation.w)


def fault(row: tuple[float, ...]) -> str:
    """Return why x y z and a quaternion are no pose; "" when they are one. Some drivers publish zeros at first."""
    if not is_rotation(row[3:]):
        return f"its quaternion {row[3:]} is no rotation"
    return "" if np.abs(row[:3]).max() < FARTHEST else f"its position {row[:3]} is no place"
