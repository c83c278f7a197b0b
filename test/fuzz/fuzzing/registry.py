"""All boundaries."""

from __future__ import annotations

import importlib.util
from functools import cache

from . import (
    bag_content,
    containers,
    pose_sources,
    recordings,
    ros1_messages,
    samples_in,
    sensor_messages,
    stored,
    texts,
)
from .boundary import Boundary


@cache
def boundaries() -> dict[str, Boundary]:
    """Return every boundary by its name. Those of nodes are left out where rclpy is not installed."""
    modules = (
        sensor_messages,
        ros1_messages,
        samples_in,
        recordings,
        bag_content,
        containers,
        pose_sources,
        stored,
        texts,
    )
    known = [boundary for module in modules for boundary in module.BOUNDARIES]
    if importlib.util.find_spec("rclpy"):
        from . import grounding, node_messages, retrieval

        known += [*node_messages.BOUNDARIES, *retrieval.BOUNDARIES, *grounding.BOUNDARIES]
    return {boundary.name: boundary for boundary in known}


def close() -> None:
    """End what the boundaries of nodes have started."""
    if importlib.util.find_spec("rclpy"):
        from . import ros

        ros.close()
