"""Who is alive, and when one moment is complete: embeddings in, observations out. Knows no clock and no ROS.

Messages whose stamps lie within `slop` form one moment. It is complete once every alive modality whose next
message is due has spoken; a slower sensor contributes its newest embedding. No sensor blocks another: what has
not come when the caller's patience (`AliveConfig.wait`) ends is left at its newest embedding, and what is silent
for its `source_timeout` is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from any2any_ros.config import AliveConfig
from any2any_ros.observation import Embedding, Observation

NS = 1_000_000_000
SMOOTHING = 0.2  # of the running estimate of a sensor's period


@dataclass
class Source:
    """What is known of one modality: its newest embedding, when that came, how often they come, and whether
    it let the last moment pass in silence (nobody waits for it again before it speaks)."""

    newest: Embedding
    received_ns: int
    period_ns: float = 0.0
    count: int = 1
    silent: bool = False

    def update(self, embedding: Embedding, now_ns: int) -> None:
        step: float = embedding.stamp_ns - self.newest.stamp_ns
        if self.period_ns:
            step /= max(1, round(step / self.period_ns))  # messages were lost: its period is what it was
        self.period_ns += (step - self.period_ns) * (SMOOTHING if self.count > 1 else 1.0)
        self.newest, self.received_ns, self.count = embedding, now_ns, self.count + 1
        self.silent = False

    def due(self, until_ns: int) -> bool:
        """Whether a message stamped `until_ns` or before is to be expected."""
        return self.count == 1 or self.newest.stamp_ns + self.period_ns <= until_ns


class Assembler:
    """Collects embeddings into observations. Times are ns of the robot's clock (simulated or not)."""

    def __init__(
        self,
        config: AliveConfig = AliveConfig(),
        source_timeouts: Mapping[str, float] | None = None,
        expected: Iterable[str] = (),
    ) -> None:
        """source_timeouts: seconds, by modality, where they differ. expected: who may speak in the first moment."""
        self.config, self._expected = config, frozenset(expected)
        self._timeout_ns = {m: int(t * NS) for m, t in (source_timeouts or {}).items()}
        self._slop_ns = int(config.slop * NS)
        self.reset()

    def reset(self) -> None:
        """Forget everything heard: the clock has jumped."""
        self.sources: dict[str, Source] = {}
        self._unheard = set(self._expected)
        self._moment: int | None = None  # the newest moment: its earliest stamp
        self._spoken: set[str] = set()  # who has spoken in it
        self._told = -1  # stamp of the last moment that was closed
        self.waiting = False  # whether it is still open: `flush` it when the patience ends

    def timeout_ns(self, modality: str) -> int:
        return self._timeout_ns.get(modality, int(self.config.source_timeout * NS))

    def alive(self, now_ns: int) -> tuple[str, ...]:
        """Return the modalities heard within their timeout, sorted."""
        heard = (m for m, s in self.sources.items() if now_ns - s.received_ns <= self.timeout_ns(m))
        return tuple(sorted(heard))

    def add(self, embedding: Embedding, now_ns: int) -> list[Observation]:
        """Take one embedding; return the moments that are ready now, oldest first (usually none or one)."""
        if self._out_of_order(embedding):
            return []
        ready = []
        if not self._belongs_to_moment(embedding, now_ns):
            if self.waiting:  # nobody waits for the old moment once a new one has begun
                ready.append(self._close(now_ns))
            self._moment, self._spoken, self.waiting = embedding.stamp_ns, set(), True
        elif self.waiting and embedding.stamp_ns > self._told:
            assert self._moment is not None
            # A text without a stamp bears the later one of its arrival: the moment is the sensors'.
            if self._moment - embedding.stamp_ns <= self._slop_ns:
                self._moment = min(self._moment, embedding.stamp_ns)
        self._hear(embedding, now_ns)
        self._unheard.discard(embedding.modality)
        self._spoken.add(embedding.modality)
        if self.waiting and not self._awaited(now_ns):
            ready.append(self._close(now_ns))
        return ready

    def flush(self, now_ns: int) -> Observation | None:
        """Close the open moment with what is there; None when none is open."""
        return self._close(now_ns) if self.waiting else None

    def now(self, now_ns: int) -> Observation:
        """Return the newest embedding of everything alive, whether or not a moment is open."""
        newest = [self.sources[m].newest for m in self.alive(now_ns)]
        stamp = max((e.stamp_ns for e in newest), default=now_ns)
        return Observation({e.modality: e.vector for e in newest}, stamp, {e.modality: e.stamp_ns for e in newest})

    def _out_of_order(self, embedding: Embedding) -> bool:
        """Whether it is no newer than its predecessor; a jump back by more than the timeout is a new start."""
        source = self.sources.get(embedding.modality)
        if source is None or embedding.stamp_ns > source.newest.stamp_ns:
            return False
        if source.newest.stamp_ns - embedding.stamp_ns > self.timeout_ns(embedding.modality):
            self.reset()
            return False
        return True

    def _belongs_to_moment(self, embedding: Embedding, now_ns: int) -> bool:
        # Also to one that is closed: it came too late for that, serves the next, and is no moment of its own.
        if self._moment is None:
            return False
        # Moments never go back in time, unless the last one lies ahead of the robot's clock: some driver's is fast.
        late = embedding.stamp_ns <= self._moment <= now_ns + self._slop_ns
        return late or (embedding.modality not in self._spoken and embedding.stamp_ns - self._moment <= self._slop_ns)

    def _hear(self, embedding: Embedding, now_ns: int) -> None:
        if embedding.modality in self.alive(now_ns):
            self.sources[embedding.modality].update(embedding, now_ns)
        else:
            self.sources[embedding.modality] = Source(embedding, now_ns)

    def _awaited(self, now_ns: int) -> list[str]:
        """Return who is due in this moment and has not spoken: once let down, nobody waits for a sensor again."""
        assert self._moment is not None
        until = self._moment + self._slop_ns
        absent = (m for m in self.alive(now_ns) if m not in self._spoken)
        due = [m for m in absent if not self.sources[m].silent and self.sources[m].due(until)]
        return due + sorted(self._unheard)

    def _close(self, now_ns: int) -> Observation:
        assert self._moment is not None
        for modality in self._awaited(now_ns):
            if modality in self.sources:
                self.sources[modality].silent = True
        self._unheard.clear()
        self.waiting, self._told = False, self._moment
        return replace(self.now(now_ns), stamp_ns=self._moment)
