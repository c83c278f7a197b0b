"""Listens to the answers, and to what they were made from, with the wall time at which each came."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from types import TracebackType

import rclpy
from rclpy.executors import SingleThreadedExecutor

from any2any_ros import msg
from any2any_ros.nodes import messages
from any2any_ros.observation import Embedding, Ranking


@dataclass
class Recording:
    """Rankings and embeddings in order of arrival, each with the monotonic time (s) at which it came."""

    rankings: list[tuple[Ranking, float]] = field(default_factory=list)
    embeddings: list[tuple[Embedding, float]] = field(default_factory=list)


class Recorder:
    """Records `matches` and `embeddings` in a thread of its own while entered; rclpy must have been started."""

    def __init__(self, name: str = "recorder") -> None:
        self.recording = Recording()
        self._node = rclpy.create_node(name)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self._node)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._spin, name=name)
        self._node.create_subscription(msg.Ranking, "matches", self._on_ranking, 100)
        self._node.create_subscription(msg.Embedding, "embeddings", self._on_embedding, 100)

    def __enter__(self) -> Recorder:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self._executor.shutdown()
        self._node.destroy_node()

    def listening_to(self, publishers: int) -> bool:
        """Whether that many encoders and a retrieval node are there to be heard."""
        return self._node.count_publishers("embeddings") >= publishers and self._node.count_publishers("matches") > 0

    def _spin(self) -> None:
        while not self._done.is_set():
            self._executor.spin_once(timeout_sec=0.05)

    def _on_ranking(self, message: msg.Ranking) -> None:
        self.recording.rankings.append((messages.ranking(message), time.monotonic()))

    def _on_embedding(self, message: msg.Embedding) -> None:
        self.recording.embeddings.append((messages.embedding(message), time.monotonic()))
