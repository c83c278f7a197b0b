"""Groups embeddings into observations: which modalities are alive, and when a moment is complete. No clock, no ROS.

Embeddings whose stamps differ by at most `slop` belong to one moment. A moment is complete when every alive modality
whose next embedding is due has delivered it. A slower modality contributes its newest embedding. No modality blocks
another: after `AliveConfig.wait` the caller closes the moment with `flush`, and a modality that has not delivered
contributes its newest embedding, too. A modality that has been silent for its `source_timeout` is left out. Stamps that
cannot be right are replaced first (stamps.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from any2any_ros.config import AliveConfig
from any2any_ros.observation import Embedding, Observation
from any2any_ros.retrieval.moments import Moment, Moments
from any2any_ros.retrieval.stamps import EARLY_NS, LEAST_NS, Stamps, Taken
from any2any_ros.retrieval.streams import Stream
from any2any_ros.samples import NS


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
        self.set_timeouts(source_timeouts or {})
        self.slop_ns = int(config.slop * NS)
        self.stamps = Stamps(self.timeout_ns)
        self.restarts = 0  # how often the time of the sensors has begun again
        self.reset()

    def set_timeouts(self, source_timeouts: Mapping[str, float]) -> None:
        """source_timeouts: as for a new assembler."""
        self._timeout_ns = {m: int(t * NS) for m, t in source_timeouts.items()}

    def reset(self) -> None:
        """Forget all embeddings, because the clock has jumped."""
        self.stamps.forget()
        self._restart()

    def go_on(self, source_timeouts: Mapping[str, float], expected: Iterable[str], kept: Iterable[str]) -> None:
        """Go on with the modalities of another map. kept: those whose embeddings it can use; others are forgotten."""
        self.set_timeouts(source_timeouts)
        self._expected = frozenset(expected)
        self._never_received &= self._expected
        for modality in set(self.streams) - set(kept):
            del self.streams[modality], self.stamps.clocks[modality]

    def _restart(self) -> None:
        self.streams: dict[str, Stream] = {}
        self._never_received = set(self._expected)
        self._moments = Moments(self.slop_ns)
        self._now_ns = 0
        self.restarts += 1

    def timeout_ns(self, modality: str) -> int:
        return self._timeout_ns.get(modality, int(self.config.source_timeout * NS))

    def alive(self, now_ns: int) -> tuple[str, ...]:
        """Return the modalities received within their timeout, sorted."""
        received = (m for m, s in self.streams.items() if -LEAST_NS <= now_ns - s.received_ns <= self.timeout_ns(m))
        return tuple(sorted(received))

    def add(self, embedding: Embedding, now_ns: int) -> list[Observation]:
        """Take one embedding; return the moments that are complete now, oldest first (usually none or one)."""
        if now_ns < self._now_ns - LEAST_NS:
            self.reset()
        self._now_ns, modality, before = now_ns, embedding.modality, self.stamps.ahead_ns
        taken = self.stamps.judge(embedding, now_ns)
        if taken is None:
            return []
        complete: list[Observation] = []
        if self._clock_set_back(taken, before):
            complete = self._begin_again(modality, taken, now_ns)
        newest_ns = self.streams[modality].stamp_ns if modality in self.streams else taken.stamp_ns
        sensor_now_ns = now_ns + self.stamps.ahead_ns
        moment = self._moments.of(modality, taken, newest_ns, sensor_now_ns)
        if not taken.newest:
            self.stamps.out_of_order(modality, now_ns, used=moment is None or moment.open)
        if moment is None:
            if self._moments.open is not None:  # a new moment closes the old one
                complete.append(self._close(self._moments.open, now_ns))
            moment = self._moments.begin(taken, sensor_now_ns)
        self._receive(embedding, taken, now_ns)
        self._never_received.discard(modality)
        self._moments.join(moment, modality, taken)
        if moment.open and not self._awaited(moment, now_ns):
            complete.append(self._close(moment, now_ns))
        return complete

    @property
    def waiting(self) -> bool:
        """Whether a moment is open; close it with `flush` after AliveConfig.wait."""
        return self._moments.open is not None

    def flush(self, now_ns: int) -> Observation | None:
        """Close the open moment with what has been received; None when no moment is open."""
        moment = self._moments.open
        return None if moment is None else self._close(moment, now_ns)

    def now(self, now_ns: int) -> Observation:
        """Return the newest embedding of every alive modality, whether or not a moment is open."""
        streams = [self.streams[m] for m in self.alive(now_ns)]
        return Observation.of((s.newest for s in streams), max((s.stamp_ns for s in streams), default=now_ns))

    def _clock_set_back(self, taken: Taken, ahead_ns: int) -> bool:
        """Whether the sensors' clock was set back, so that moments lie in the future. ahead_ns: of the clock before."""
        last = self._moments.last
        return last is not None and self.stamps.ahead_ns < ahead_ns - EARLY_NS and taken.stamp_ns < last.stamp_ns

    def _begin_again(self, modality: str, taken: Taken, now_ns: int) -> list[Observation]:
        """Forget the moments, which lie in the future; and all embeddings, if a recording has begun again."""
        self._moments = Moments(self.slop_ns)
        if not taken.set_back:
            return []
        first = self.stamps.begin_again(modality)
        self._restart()
        return [moment for embedding in first for moment in self.add(embedding, now_ns)]

    def _receive(self, embedding: Embedding, taken: Taken, now_ns: int) -> None:
        if embedding.modality not in self.alive(now_ns):
            self.streams[embedding.modality] = Stream(embedding, taken.stamp_ns, now_ns)
        elif taken.newest:
            self.streams[embedding.modality].update(embedding, taken.stamp_ns, now_ns)
        else:
            self.streams[embedding.modality].received_ns = now_ns

    def _awaited(self, moment: Moment, now_ns: int) -> list[str]:
        """Return the modalities that an open moment still waits for: those due, and expected ones never received."""
        until = moment.stamp_ns + self.slop_ns
        absent = (m for m in self.alive(now_ns) if m not in moment.delivered)
        due = [m for m in absent if not self.streams[m].silent and self.streams[m].due(until)]
        return due + sorted(self._never_received)

    def _close(self, moment: Moment, now_ns: int) -> Observation:
        for modality in self._awaited(moment, now_ns):
            if modality in self.streams:
                self.streams[modality].silent = True
        self._never_received.clear()
        self._moments.close(moment)
        return Observation.of((self._used(m, moment) for m in self.alive(now_ns)), moment.stamp_ns)

    def _used(self, modality: str, moment: Moment) -> Embedding:
        """Return the embedding that a modality contributes: its newest one; for a moment of the past, the nearest."""
        nearest = self.stamps.nearest(modality, moment.stamp_ns) if moment.past else None
        return nearest or self.streams[modality].newest
