"""ROS in this process: nodes that are made once, and messages as rclpy has them. Needs rclpy."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar

import numpy as np
import rclpy
from rclpy.serialization import deserialize_message

from any2any_ros.birds_eye.image import PACKED
from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes import runtime, topology

from .choices import Choices
from .ros_messages import header, make, serialised

T = TypeVar("T")
_made: dict[Callable[[], Any], Any] = {}


@cache
def start() -> None:
    """Start ROS on this machine only, on a domain of its own."""
    os.environ.update(topology.environment("loopback"), ROS_DOMAIN_ID=str(random.randint(1, 100)))
    runtime.start([])


def once(make: Callable[[], T]) -> T:
    """Return what `make` makes, which has `close`: the same each time, until ROS is shut down."""
    if make not in _made:
        start()
        _made[make] = make()
    return _made[make]


def close() -> None:
    """Close what was made, and shut ROS down."""
    for made in _made.values():
        made.close()
    _made.clear()
    rclpy.try_shutdown()
    start.cache_clear()


def refuse(why: str) -> None:
    """Count an input as refused. A node tells so in a response, in its log or in its diagnostics."""
    raise Any2AnyError("The node refuses it", why, "Send another")


def as_rclpy(message: Any, cls: Any) -> Any:
    """Return a message of rosbags as one of rclpy: through the wire."""
    return deserialize_message(serialised(message), cls)


def embedding(choices: Choices, modality: str = "camera") -> Any:
    """Return an embedding that the map of test/formats understands."""
    return make(
        "any2any_ros/msg/Embedding", header=header(choices, choices.one(3.25, 3.5, 4.0)), modality=modality,
        encoder=f"{modality}-1", vector=choices.arrays.normal(size=6).astype(np.float32),
        encode_seconds=0.01, birds_eye=choices.arrays.integers(0, 256, choices.one(0, PACKED)).astype(np.uint8),
    )  # fmt: skip


def pose(choices: Choices) -> Any:
    """Return a pose."""
    point = make("geometry_msgs/msg/Point", x=1.0, y=-2.0, z=0.5)
    return make("geometry_msgs/msg/Pose", position=point, orientation=make("geometry_msgs/msg/Quaternion", w=1.0))
