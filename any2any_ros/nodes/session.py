"""Starts a temporary node in a program that is not a node itself: the command, the demos and the benchmarks.

ROS is imported only when it is needed, so that this file can be imported without ROS.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from any2any_ros.errors import Any2AnyError

if TYPE_CHECKING:
    from rclpy.node import Node


def require_ros() -> None:
    """Raise Any2AnyError when rclpy or our own messages are not installed."""
    for module, remedy in (
        ("rclpy", "Install it: pip install 'any2any_ros[ros]', or source your ROS 2"),
        ("any2any_ros.msg", "Build the messages: pip install . in the checkout, or colcon build and source it"),
    ):
        if importlib.util.find_spec(module) is None:
            raise Any2AnyError("ROS 2 is not ready", f"there is no module {module}", remedy)


@contextmanager
def node(name: str, dds_profile: str = "") -> Iterator[Node]:
    """Start an rclpy node of that name; destroy it in the end. dds_profile: as in nodes/topology.py."""
    import rclpy

    from any2any_ros.nodes import runtime, topology

    if dds_profile:
        os.environ.update(topology.environment(dds_profile))
    runtime.start([])
    created = rclpy.create_node(name)
    try:
        yield created
    finally:
        created.destroy_node()
        rclpy.try_shutdown()
