"""Groups embeddings into observations: which modalities are alive, and when a moment is complete. No clock, no ROS.

Embeddings whose stamps differ by at most `slop` belong to one moment. A moment is complete when every alive modality
whose next embedding is due has delivered it. A slower modality contributes its newest embedding. No modality blocks
another: after `AliveConfig.wait` the caller closes the moment with `flush`, and a modality that has not delivered
contributes its newest embedding, too. A modality that has been silent for its `source_timeout` is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from any2any_ros.config import AliveConfig
from any2any_ros.observation import Embedding, Observation
from any2any_ros.samples import NS

SMOOTHING = 0.2  # weight of the newest period in the running mean


@dataclass
class Stream:
    """The embeddings of one modality.

    newest: the last embedding. received_ns: when it was received. period_ns: mean time between two embeddings; 0 before
    the second one. count: number of embeddings. silent: the last moment waited for this modality in vain. No other
    moment waits for it until it delivers again.
    """

    newest: Embedding
    received_ns: int
    period_ns: float = 0.0
    count: int = 1
    silent: bool = False

    def update(self, embedding: Embedding, now_ns: int) -> None:
        step: float = embedding.stamp_ns - self.newest.stamp_ns
        if self.period_ns:
            step /= max(1, round(step / self.period_ns))  # dropped messages do not make the period longer
        self.period_ns += (step - self.period_ns) * (SMOOTHING if self.count > 1 else 1.0)
        self.newest, self.received_ns, self.count = embedding, now_ns, self.count + 1
        self.silent = False

    def due(self, until_ns: int) -> bool:
        """Whether the next embedding should have a stamp of `until_ns` or before."""
        return self.count == 1 or self.newest.stamp_ns + self.period_ns <= until_ns


class Assembler:
    """Collects embeddings into observations. Times are ns of the robot's clock (simulated or not)."""

    def __init__(
        self,
        config: AliveConfig = AliveConfig(),
        source_timeouts: Mapping[str, float] | None = None,
        expected: Iterable[str] = (),
    ) -> None:
        """source_timeouts: seconds, for modalities whose timeout differs from `config`. expected: the modalities that
        the first moment waits for."""
        self.config, self._expected = config, frozenset(expected)
        self._timeout_ns = {m: int(t * NS) for m, t in (source_timeouts or {}).items()}
        self._slop_ns = int(config.slop * NS)
        self.reset()

    def reset(self) -> None:
        """Forget all embeddings, because the clock has jumped."""
        self.streams: dict[str, Stream] = {}
        self._never_received = set(self._expected)
        self._moment_ns: int | None = None  # the smallest stamp of the newest moment
        self._delivered: set[str] = set()  # modalities of the newest moment
        self._closed_ns = -1  # stamp of the last moment that was closed
        self.waiting = False  # whether the newest moment is open; close it with `flush` after AliveConfig.wait

    def timeout_ns(self, modality: str) -> int:
        return self._timeout_ns.get(modality, int(self.config.source_timeout * NS))

    def alive(self, now_ns: int) -> tuple[str, ...]:
        """Return the modalities received within their timeout, sorted."""
        received = (m for m, s in self.streams.items() if now_ns - s.received_ns <= self.timeout_ns(m))
        return tuple(sorted(received))

    def add(self, embedding: Embedding, now_ns: int) -> list[Observation]:
        """Take one embedding; return the moments that are complete now, oldest first (usually none or one)."""
        if self._out_of_order(embedding):
            return []
        complete = []
        if not self._belongs_to_moment(embedding, now_ns):
            if self.waiting:  # a new moment closes the old one
                complete.append(self._close(now_ns))
            self._moment_ns, self._delivered, self.waiting = embedding.stamp_ns, set(), True
        elif self.waiting and embedding.stamp_ns > self._closed_ns:
            assert self._moment_ns is not None
            # A text without a stamp has the stamp of its arrival, which is late. The moment takes the sensors' stamp.
            if self._moment_ns - embedding.stamp_ns <= self._slop_ns:
                self._moment_ns = min(self._moment_ns, embedding.stamp_ns)
        self._receive(embedding, now_ns)
        self._never_received.discard(embedding.modality)
        self._delivered.add(embedding.modality)
        if self.waiting and not self._awaited(now_ns):
            complete.append(self._close(now_ns))
        return complete

    def flush(self, now_ns: int) -> Observation | None:
        """Close the open moment with what has been received; None when no moment is open."""
        return self._close(now_ns) if self.waiting else None

    def now(self, now_ns: int) -> Observation:
        """Return the newest embedding of every alive modality, whether or not a moment is open."""
        newest = [self.streams[m].newest for m in self.alive(now_ns)]
        stamp = max((e.stamp_ns for e in newest), default=now_ns)
        return Observation({e.modality: e.vector for e in newest}, stamp, {e.modality: e.stamp_ns for e in newest})

    def _out_of_order(self, embedding: Embedding) -> bool:
        """Whether the embedding is not newer than the last one of its modality.

        A jump back by more than the timeout is no disorder: the recording has started again, and so does the assembler.
        """
        stream = self.streams.get(embedding.modality)
        if stream is None or embedding.stamp_ns > stream.newest.stamp_ns:
            return False
        if stream.newest.stamp_ns - embedding.stamp_ns > self.timeout_ns(embedding.modality):
            self.reset()
            return False
        return True

    def _belongs_to_moment(self, embedding: Embedding, now_ns: int) -> bool:
        """Whether the embedding belongs to the newest moment, open or closed.

        An embedding that is too late for a closed moment starts none of its own. It is used in the next one.
        """
        if self._moment_ns is None:
            return False
        # An earlier stamp is late, unless the moment lies ahead of the robot's clock: then the clock of one driver is
        # fast, and its stamp must not make all other embeddings late.
        late = embedding.stamp_ns <= self._moment_ns <= now_ns + self._slop_ns
        return late or (
            embedding.modality not in self._delivered and embedding.stamp_ns - self._moment_ns <= self._slop_ns
        )

    def _receive(self, embedding: Embedding, now_ns: int) -> None:
        if embedding.modality in self.alive(now_ns):
            self.streams[embedding.modality].update(embedding, now_ns)
        else:
            self.streams[embedding.modality] = Stream(embedding, now_ns)

    def _awaited(self, now_ns: int) -> list[str]:
        """Return the modalities that the open moment still waits for: those due, and expected ones never received."""
        assert self._moment_ns is not None
        until = self._moment_ns + self._slop_ns
        absent = (m for m in self.alive(now_ns) if m not in self._delivered)
        due = [m for m in absent if not self.streams[m].silent and self.streams[m].due(until)]
        return due + sorted(self._never_received)

    def _close(self, now_ns: int) -> Observation:
        assert self._moment_ns is not None
        for modality in self._awaited(now_ns):
            if modality in self.streams:
                self.streams[modality].silent = True
        self._never_received.clear()
        self.waiting, self._closed_ns = False, self._moment_ns
        return replace(self.now(now_ns), stamp_ns=self._moment_ns)
