"""What the verbs that speak ROS share. ROS itself is imported only when such a verb runs."""

from __future__ import annotations

import argparse
import importlib.util
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from any2any_ros.errors import Any2AnyError

if TYPE_CHECKING:
    from rclpy.node import Node


def prepare() -> None:
    """Raise Any2AnyError when rclpy or our own messages are not installed."""
    for module, remedy in (
        ("rclpy", "Install it: pip install 'any2any_ros[ros]', or source your ROS 2"),
        ("any2any_ros.msg", "Build the messages: pip install . in the checkout, or colcon build and source it"),
    ):
        if importlib.util.find_spec(module) is None:
            raise Any2AnyError("ROS 2 is not ready", f"there is no module {module}", remedy)


def add_profile_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dds-profile", default="", metavar="PROFILE",
        help="Fast DDS transport: robot (16 MB shared memory), loopback (nothing leaves this machine), a file; "
        "default: as the environment says",
    )  # fmt: skip


@contextmanager
def node(name: str, dds_profile: str = "") -> Iterator[Node]:
    """Give an rclpy node of that name, and take it down in order."""
    import rclpy

    from any2any_ros.nodes import runtime, topology

    if dds_profile:
        os.environ.update(topology.environment(dds_profile))
    runtime.start([])
    made = rclpy.create_node(name)
    try:
        yield made
    finally:
        made.destroy_node()
        rclpy.try_shutdown()
