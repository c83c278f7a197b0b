"""Listens to the answers, and to what they were made from, with the wall time at which each came."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import any2any_ros.msg as msg
from any2any_ros.nodes import messages
from any2any_ros.nodes.peer import Peer
from any2any_ros.observation import Embedding
from any2any_ros.ranking import Ranking


@dataclass
class Recording:
    """Rankings and embeddings in order of arrival, each with the monotonic time (s) at which it came."""

    rankings: list[tuple[Ranking, float]] = field(default_factory=list)
    embeddings: list[tuple[Embedding, float]] = field(default_factory=list)


class Recorder(Peer):
    """Records `matches` and `embeddings` while entered."""

    def __init__(self, name: str = "recorder") -> None:
        super().__init__(name)
        self.recording = Recording()
        self.node.create_subscription(msg.Ranking, "matches", self._on_ranking, 100)
        self.node.create_subscription(msg.Embedding, "embeddings", self._on_embedding, 100)

    def listening_to(self, publishers: int) -> bool:
        """Whether that many encoders and a retrieval node are there to be heard."""
        encoders, answers = (self.node.count_publishers(topic) for topic in ("embeddings", "matches"))
        return bool(encoders >= publishers and answers > 0)

    def _on_ranking(self, message: msg.Ranking) -> None:
        self.recording.rankings.append((messages.ranking(message), time.monotonic()))

    def _on_embedding(self, message: msg.Embedding) -> None:
        self.recording.embeddings.append((messages.embedding(message), time.monotonic()))
