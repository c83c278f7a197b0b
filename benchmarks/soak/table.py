"""A table with objects beside the grounding node: cameras that look at it, and somebody who asks for things."""

from __future__ import annotations

import array
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.action import ActionClient
from rclpy.qos import qos_profile_sensor_data
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, Image

import any2any_ros.action as action
from any2any_ros.nodes import messages
from benchmarks.soak.garbage import garbage
from benchmarks.soak.kinds import ALLOWANCE

LOOK = 1.0  # s between two pictures
ASK = 2.0  # s between two commands
WORDS = ("the red mug", "bring me the blue bowl", "a green bottle", "?!")
TOPICS = {f"{kind}_topic": f"table/{kind}" for kind in ("rgb", "depth", "info", "pose")}  # parameters of the node


@dataclass
class Command:
    """One command: when it was sent (monotonic, s), why its answer may be missing, and s until it; None: none came."""

    at: float
    excuse: str
    seconds: float | None = None

    @property
    def skipped(self) -> bool:
        return self.seconds is None or self.seconds > ALLOWANCE


class Table:
    """Publishes the frames of a table again and again, and sends commands.

    silent: whether the colour camera sends nothing. garbage: share of useless pictures.
    """

    def __init__(self, node: Any, frames: Path) -> None:
        with np.load(frames, allow_pickle=False) as stored:
            self._frames = {name: stored[name] for name in stored.files}
        self.silent, self.garbage = False, 0.0
        self.commands: list[Command] = []
        self._rng, self._count = np.random.default_rng(0), 0
        self._client = ActionClient(node, action.RetrieveObject, "retrieve_object")
        kinds = {"rgb": Image, "depth": Image, "info": CameraInfo, "pose": PoseStamped}
        self._to = {
            k: node.create_publisher(c, TOPICS[f"{k}_topic"], qos_profile_sensor_data) for k, c in kinds.items()
        }

    def answered(self) -> bool:
        """Ask, unless an answer is due, and return whether a command was answered."""
        waiting = bool(self.commands) and time.monotonic() - self.commands[-1].at < LOOK
        if not waiting and self._client.server_is_ready():
            self.ask("")
        return any(command.seconds is not None for command in self.commands)

    def look(self, stamp_ns: int) -> None:
        """Send the messages of one frame."""
        i = self._count % len(self._frames["rgb"])
        self._count += 1
        self._to["info"].publish(CameraInfo(k=self._frames["intrinsics"].ravel()))
        if not self.silent:
            self._to["rgb"].publish(self._picture(self._frames["rgb"][i], "rgb8", stamp_ns))
        self._to["depth"].publish(self._picture(self._frames["depth"][i], "16UC1", stamp_ns))
        pose = PoseStamped(pose=messages.pose_message(self._frames["pose"][i]))
        pose.header.stamp = messages.time_message(stamp_ns)
        self._to["pose"].publish(pose)

    def _picture(self, pixels: Any, encoding: str, stamp_ns: int) -> bytes:
        message = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding, step=pixels[0].nbytes)
        message.data = array.array("B", np.ascontiguousarray(pixels).tobytes())
        message.header.stamp = messages.time_message(stamp_ns)
        data = bytes(serialize_message(message))
        return garbage(data, self._rng) if self._rng.random() < self.garbage else data

    def ask(self, excuse: str) -> None:
        """Send a command without waiting for its answer."""
        command = Command(time.monotonic(), excuse)
        self.commands.append(command)

        def ended(future: Any) -> None:
            command.seconds = time.monotonic() - command.at

        def accepted(future: Any) -> None:
            future.result().get_result_async().add_done_callback(ended)

        goal = action.RetrieveObject.Goal(text=WORDS[len(self.commands) % len(WORDS)])
        self._client.send_goal_async(goal).add_done_callback(accepted)

    def close(self) -> None:
        self._client.destroy()
