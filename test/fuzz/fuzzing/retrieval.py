"""What a retrieval node is sent: the stream of embeddings, and requests. Needs rclpy."""

from __future__ import annotations

import shutil
from functools import partial
from typing import Any

from geometry_msgs.msg import Pose
from rclpy.executors import SingleThreadedExecutor
from rclpy.serialization import serialize_message

from any2any_ros import msg, srv
from any2any_ros.nodes import messages
from any2any_ros.nodes.retrieval_node import RetrievalNode

from . import folders, ros
from .boundary import Boundary
from .choices import Choices
from .mutation import text
from .ros import as_rclpy, embedding, refuse
from .ros_messages import mutated_message
from .stored import SAMPLES, wrong_ranking

MOST_PLACES = 200  # of a map with added ones; then it is opened again
Request = tuple[str, dict[str, Any]]


class Retrieval:
    """A retrieval node with a map. It is called as its executor calls it."""

    def __init__(self) -> None:
        self.folder = folders.scratch() / "map"
        shutil.copytree(SAMPLES / "refined", self.folder, dirs_exist_ok=True)
        self.node = RetrievalNode()
        self.node.autostart()
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self._open()

    def close(self) -> None:
        self.executor.shutdown()
        self.node.trigger_shutdown()
        self.node.destroy_node()

    def _open(self) -> None:
        self.node.localizer.open(self.folder, lambda known: dict.fromkeys(known, 2.0))

    def take(self, request: Request) -> Any:
        kind, fields = request
        if len(self.node.localizer.reference) > MOST_PLACES:
            self._open()
        embeddings = [as_rclpy(message, msg.Embedding) for message in fields["embeddings"]]
        if kind == "stream":
            return self._stream(embeddings)
        services = self.node.map_services
        if kind == "rank":
            asked = srv.Rank.Request(embeddings=embeddings, text=fields["text"], k=fields["k"])
            response = self._run(services._rank, asked, srv.Rank.Response())
        else:
            pose = as_rclpy(fields["pose"], Pose)
            asked = srv.AddPlace.Request(embeddings=embeddings, id=fields["text"], pose=pose)
            response = self._run(services._add_place, asked, srv.AddPlace.Response())
        serialize_message(response)
        if response.error_code:
            refuse(response.error_msg)
        return [messages.ranking(response.ranking)] if kind == "rank" else []

    def _run(self, service: Any, request: Any, response: Any) -> Any:
        """Answer a request as the executor does: some wait for a thread."""
        task = self.executor.create_task(service, request, response)
        self.executor.spin_until_future_complete(task, timeout_sec=30)
        return task.result()

    def _stream(self, embeddings: list[Any]) -> Any:
        health = self.node.health
        health.error = ""
        for message in embeddings:
            self.node._arrivals._receive(message, {})
        self.node._arrivals._flush()
        self.node._watch_sensors()
        self.node.status()
        if health.error:
            refuse(health.error)
        return []


def _valid(kind: str, choices: Choices) -> Request:
    some = [embedding(choices, m) for m in ("camera", "lidar") if choices.often(0.8)]
    name = f"place/{choices.getrandbits(60)}" if kind == "add_place" else ""
    fields = {"embeddings": some or [embedding(choices)], "text": name, "k": choices.one(0, 1, 5, 1000)}
    return kind, {**fields, "pose": ros.pose(choices)}


def _changed(choices: Choices, request: Request) -> Request:
    kind, fields = request[0], dict(request[1])
    name = choices.choice(sorted(fields))
    if name == "embeddings":
        fields[name] = _embeddings(choices, list(fields[name]))
    elif name == "text":
        fields[name] = text(choices, fields[name]).encode("utf-8", "ignore").decode().replace("\x00", "")
    elif name == "k":
        fields[name] = choices.one(0, 1, 7, 10**6, 2**31, 2**32 - 1)
    else:
        fields[name] = mutated_message(choices, fields[name])
    return kind, fields


def _embeddings(choices: Choices, some: list[Any]) -> list[Any]:
    if not some or choices.often(0.2):
        return some * choices.one(0, 2, 40)
    at = choices.randrange(len(some))
    return [*some[:at], mutated_message(choices, some[at]), *some[at + 1 :]]


def _wrong(request: Any, rankings: Any) -> str:
    return next(filter(None, map(wrong_ranking, rankings)), "")


BOUNDARIES = tuple(
    Boundary(
        f"retrieval node: {kind}", partial(_valid, kind), lambda request: ros.once(Retrieval).take(request), _wrong,
        _changed, milliseconds=2.5,
    )
    for kind in ("stream", "rank", "add_place")
)  # fmt: skip
