"""Asks a retrieval node where the robot is."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rclpy.action import ActionClient
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node

import any2any_ros.action as action
from any2any_ros.errors import Any2AnyError
from any2any_ros.localization import planar
from any2any_ros.nodes import messages

Action = action.Localize
_CONSTANTS = {name: getattr(Action.Result, name) for name in dir(Action.Result) if name.isupper()}
CODES = {value: name for name, value in _CONSTANTS.items() if isinstance(value, int)}
LATE = 5.0  # s that a result may take beyond the goal's timeout


def ask(node: Node, wait: float, **goal: Any) -> dict[str, Any]:
    """Send a goal of the action `localize`, and return its result: code, why, probability, places, and of a robot that
    is localized x, y (metres) and yaw (radians) in the map's frame.

    wait: s for a node that answers. Raises Any2AnyError when none does.
    """
    executor, client = SingleThreadedExecutor(), ActionClient(node, Action, "localize")
    executor.add_node(node)

    def until(condition: Callable[[], Any], seconds: float, why: str) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                raise Any2AnyError("Nobody says where the robot is", why, "Start it: any2any bringup MAP")
            executor.spin_once(timeout_sec=0.05)

    try:
        until(client.server_is_ready, wait, f"no node offered the action localize in {wait:g} s")
        sent = client.send_goal_async(Action.Goal(**goal))
        until(sent.done, LATE, "the goal was not taken")
        done = sent.result().get_result_async()
        until(done.done, goal["timeout"] + LATE, "the result did not come in time")
        return _plain(done.result().result)
    finally:
        client.destroy()
        executor.shutdown()


def _plain(result: Any) -> dict[str, Any]:
    found = {
        "code": CODES[result.error_code], "why": result.error_msg, "probability": result.probability,
        "places": list(result.places),
    }  # fmt: skip
    if result.error_code != Action.Result.LOCALIZED:
        return found
    x, y, yaw = planar.of(messages.pose_array(result.pose.pose.pose)).tolist()
    return found | {"frame": result.pose.header.frame_id, "x": x, "y": y, "yaw": yaw}
