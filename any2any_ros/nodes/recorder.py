"""Records rankings and embeddings with the times at which they arrived."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

import any2any_ros.msg as msg
from any2any_ros.nodes import messages
from any2any_ros.nodes.peer import Peer
from any2any_ros.observation import Embedding
from any2any_ros.ranking import Ranking


@dataclass
class ReceivedMessages:
    """Rankings and embeddings in order of arrival, each with its monotonic arrival time in seconds."""

    rankings: list[tuple[Ranking, float]] = field(default_factory=list)
    embeddings: list[tuple[Embedding, float]] = field(default_factory=list)


class Recorder(Peer):
    """Records the topics `matches` and `embeddings`, as a context manager."""

    def __init__(self, name: str = "recorder") -> None:
        super().__init__(name)
        self.received = ReceivedMessages()
        self.node.create_subscription(msg.Ranking, "matches", self._on_ranking, 100)
        self.node.create_subscription(msg.Embedding, "embeddings", self._on_embedding, 100)

    def listening_to(self, publishers: int) -> bool:
        """Return whether a retrieval node and at least `publishers` encoders are discovered."""
        encoders, answers = (self.node.count_publishers(topic) for topic in ("embeddings", "matches"))
        return bool(encoders >= publishers and answers > 0)

    def _on_ranking(self, message: msg.Ranking) -> None:
        self.received.rankings.append((messages.ranking(message), time.monotonic()))

    def _on_embedding(self, message: msg.Embedding) -> None:
        self.received.embeddings.append((messages.embedding(message), time.monotonic()))
