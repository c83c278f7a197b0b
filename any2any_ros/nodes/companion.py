"""A client of the grounding node: gives commands, and watches which objects are remembered."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from rclpy.action import ActionClient
from visualization_msgs.msg import Marker, MarkerArray

import any2any_ros.action as action
from any2any_ros.arrays import Float64
from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes import messages
from any2any_ros.nodes.peer import Peer
from any2any_ros.ranking import Ranking

Action = action.RetrieveObject
_CONSTANTS = {name: getattr(Action.Result, name) for name in dir(Action.Result) if name.isupper()}
CODES = {value: name for name, value in _CONSTANTS.items() if isinstance(value, int)}
Box = tuple[Float64, Float64]  # low and high corner (3,) in the map, m


@dataclass(frozen=True, eq=False)
class Reply:
    """The reply to a command.

    code: name of the error code. text: what to tell the user. heard: the words that were recognised. centre (3,): of
    the first object, metres in the map; None without an object. states: the feedback. arrived: monotonic time, s.
    """

    code: str
    text: str
    heard: str
    ranking: Ranking
    centre: Float64 | None
    states: tuple[str, ...]
    arrived: float


class Companion(Peer):
    """Gives commands and watches the node, as a context manager."""

    def __init__(self, name: str = "companion") -> None:
        super().__init__(name)
        self._client = ActionClient(self.node, Action, "retrieve_object")
        self.node.create_subscription(MarkerArray, "object_markers", self._on_markers, 10)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 10)
        self.boxes: dict[str, Box] = {}  # of the remembered objects, by id
        self.status = ""  # message of the node's diagnostics
        self.look_seconds: list[float] = []  # time that the node took for a picture, sampled at 1 Hz

    def free(self) -> None:
        self._client.destroy()
        super().free()

    def is_heard(self) -> bool:
        """Return whether a grounding node takes commands."""
        return bool(self._client.server_is_ready()) and self.node.count_publishers("object_markers") > 0

    def ask(self, text: str, patience: float, speak: Callable[[], None] = lambda: None) -> Reply:
        """Give a command and return the reply. With text "" the node listens, and `speak` is called when it does.

        patience: s; half of it is for listening. Raises Any2AnyError when no reply comes within it.
        """
        states: list[str] = []
        listened, answered = threading.Event(), threading.Event()

        def feedback(message: Any) -> None:
            states.append(message.feedback.state)
            if message.feedback.state == "listening":
                listened.set()

        deadline = time.monotonic() + patience
        replies: list[Any] = []

        def send() -> None:
            goal = self._client.send_goal_async(Action.Goal(text=text, timeout=patience / 2), feedback)
            goal.add_done_callback(lambda future: future.result().get_result_async().add_done_callback(done))

        def done(future: Any) -> None:
            replies.extend([future.result().result, time.monotonic()])
            answered.set()

        # In the thread that spins: otherwise the answer may arrive before rclpy has registered the goal.
        self.executor.create_task(send)
        if not text:
            self._within(listened, deadline, "was not listened for")
            speak()
        self._within(answered, deadline, "was not answered")
        return _reply(replies[0], tuple(states), replies[1])

    @staticmethod
    def _within(event: threading.Event, deadline: float, what: str) -> None:
        if not event.wait(max(0.0, deadline - time.monotonic())):
            raise Any2AnyError(f"A command {what}", "no reply came in time", "Read the node's log")

    def _on_markers(self, message: MarkerArray) -> None:
        names = {m.id: m.text for m in message.markers if m.ns == "names"}
        boxes = [m for m in message.markers if m.ns == "objects" and m.action == Marker.ADD]
        self.boxes = {names[m.id]: _box(m) for m in boxes}

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {v.key: v.value for v in status.values}
            try:
                looks, seconds = int(values["looks"]), float(values["look_seconds"])
            except (KeyError, ValueError):  # the line of another node, or one that only looks like the grounding node's
                continue
            self.status = status.message
            if looks:
                self.look_seconds.append(seconds)


def _box(marker: Marker) -> Box:
    p, size = marker.pose.position, marker.scale
    centre, half = np.array([p.x, p.y, p.z]), np.array([size.x, size.y, size.z]) / 2
    return centre - half, centre + half


def _reply(result: Any, states: tuple[str, ...], arrived: float) -> Reply:
    ranking = messages.ranking(result.ranking)
    return Reply(
        CODES[result.error_code], result.error_msg, result.heard, ranking,
        ranking.matches[0].pose[:3, 3] if ranking.matches else None, states, arrived,
    )  # fmt: skip
