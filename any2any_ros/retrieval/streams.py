"""What is known of the embeddings of one modality: the newest, how often they come, and whether it fell silent."""

from __future__ import annotations

from dataclasses import dataclass

from any2any_ros.observation import Embedding

SMOOTHING = 0.2  # weight of the newest period in the running mean


@dataclass
class Stream:
    """The embeddings of one modality.

    newest: the last embedding. stamp_ns: the stamp that it was taken at. received_ns: when the last one was received.
    period_ns: mean time between two embeddings; 0 before the second one. count: number of embeddings. silent: the last
    moment waited for this modality in vain. No other moment waits for it until it delivers again.
    """

    newest: Embedding
    stamp_ns: int
    received_ns: int
    period_ns: float = 0.0
    count: int = 1
    silent: bool = False

    def update(self, embedding: Embedding, stamp_ns: int, now_ns: int) -> None:
        step: float = max(0, stamp_ns - self.stamp_ns)
        if self.period_ns:
            step /= max(1, round(step / self.period_ns))  # dropped messages do not make the period longer
        self.period_ns += (step - self.period_ns) * (SMOOTHING if self.count > 1 else 1.0)
        self.newest, self.stamp_ns, self.received_ns, self.count = embedding, stamp_ns, now_ns, self.count + 1
        self.silent = False

    def due(self, until_ns: int) -> bool:
        """Whether the next embedding should have a stamp of `until_ns` or before."""
        return self.count == 1 or self.stamp_ns + self.period_ns <= until_ns
