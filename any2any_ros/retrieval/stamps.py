"""Judges the stamps of embeddings: which sensor's clock is wrong, what came twice, and what is late. No clock, no ROS.

The offset of an embedding is its stamp minus the time of its arrival, negative by the time that encoding took. Sensors
whose offsets agree share a clock, and the clock that most sensors share is right. The robot's clock counts like one
more sensor once the sensors have agreed with it, and decides where two groups have the same size. Without that, a bag
that is replayed with old stamps and without /clock would have nothing but wrong stamps.

An embedding of a sensor whose clock is wrong is taken at its arrival, on the clock of the others. So it still counts,
and the stamps of one sensor cannot spoil the moments of the others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median_low
from typing import NamedTuple

import numpy as np

from any2any_ros.observation import Embedding
from any2any_ros.samples import NS

ROBOT = ""  # stands for the robot's clock among the modalities
LEAST_NS = NS  # how far the stamps of a sensor may be behind in any case: encoding takes time
EARLY_NS = NS // 4  # how far they may be ahead of the robot's clock: a simulated clock moves in steps
MEMORY = 8  # embeddings of a sensor among which one may come twice, or in another order than they were measured
SLOW_NS = 2 * NS // 5  # an embedding that comes later after it was measured is worth a warning
RECENTLY_NS = 5 * NS  # an incident is shown for this long


@dataclass
class Incidents:
    """How often something went wrong, and when it last did. Times are ns of the robot's clock."""

    count: int = 0
    last_ns: int | None = None

    def add(self, now_ns: int) -> None:
        self.count, self.last_ns = self.count + 1, now_ns

    def recent(self, now_ns: int) -> bool:
        return self.last_ns is not None and 0 <= now_ns - self.last_ns <= RECENTLY_NS


@dataclass
class SensorClock:
    """The stamps of one modality.

    received_ns, offset_ns: of the last embedding; None: there was none since the robot's clock jumped. newest: the last
    one in order. memory: the last few, as they came. wrong: whether its stamps disagree with the others'. doubted: the
    last one, if it was dropped because it was far behind. error_ns: how far its last wrong stamp was ahead of the
    others' clock. alone: whether only the robot's clock contradicted it, and no other sensor. still: whether that stamp
    was the same as the one before. taken_ns: the stamp that the newest was taken at. lag_ns: how late the last slow
    embedding came. at_arrival, repeated, reordered, late, slow: how many embeddings were taken at their arrival, came
    twice, came after newer ones, came too late to be used, and came late.
    """

    received_ns: int | None = None
    offset_ns: int = 0
    newest: Embedding | None = None
    memory: deque[Embedding] = field(default_factory=lambda: deque(maxlen=MEMORY))
    wrong: bool = False
    doubted: Embedding | None = None
    error_ns: int = 0
    alone: bool = False
    still: bool = False
    taken_ns: int = 0
    lag_ns: int = 0
    at_arrival: Incidents = field(default_factory=Incidents)
    repeated: Incidents = field(default_factory=Incidents)
    late: Incidents = field(default_factory=Incidents)
    reordered: Incidents = field(default_factory=Incidents)
    slow: Incidents = field(default_factory=Incidents)

    def take(self, embedding: Embedding, wrong: bool) -> None:
        """Remember an embedding that is the newest. After a step of the clock, those before it are forgotten."""
        if wrong != self.wrong or (self.newest is not None and embedding.stamp_ns < self.newest.stamp_ns):
            self.memory.clear()
        self.memory.append(embedding)
        self.newest, self.wrong, self.doubted = embedding, wrong, None

    def forget(self) -> None:
        """Forget the stamps, but not what was counted."""
        self.received_ns, self.newest, self.wrong, self.doubted = None, None, False, None
        self.memory.clear()


class Taken(NamedTuple):
    """How an embedding is taken. stamp_ns: at which stamp. newest: whether it is the newest of its modality. own:
    whether the stamp is its own, not its arrival. set_back: whether the modality's stamps were far ahead before."""

    stamp_ns: int
    newest: bool = True
    own: bool = True
    set_back: bool = False


class Stamps:
    """Decides for each embedding at which stamp it is taken, if at all. Times are ns; `now_ns` is the robot's clock."""

    def __init__(self, timeout_ns: Callable[[str], int]) -> None:
        """timeout_ns: returns how long after its last embedding a modality counts as alive. Its stamps may be as far
        behind those of the others, or one second."""
        self._timeout_ns = timeout_ns
        self.clocks: dict[str, SensorClock] = {}
        self.offset_ns: int | None = None  # of the clock that is right; None before the first embedding

    def forget(self) -> None:
        """Forget all stamps, because the robot's clock has jumped."""
        self.offset_ns = None
        for clock in self.clocks.values():
            clock.forget()

    def begin_again(self, modality: str) -> list[Embedding]:
        """Forget the stamps of all modalities but one, with which a recording turned out to have begun again.

        Return the embeddings of the others that were dropped as far behind: they were the first ones of the recording.
        """
        others = [clock for m, clock in self.clocks.items() if m != modality]
        first = [c.doubted for c in others if c.doubted is not None and self._usual(c.offset_ns)]
        for clock in others:
            clock.forget()
        return first

    @property
    def ahead_ns(self) -> int:
        """Return how far the sensors' clock is ahead of the robot's; 0 when both are the same clock."""
        offset = self.offset_ns or 0
        return 0 if -LEAST_NS <= offset <= EARLY_NS else offset

    def limit_ns(self, modality: str) -> int:
        """Return how far the stamps of a modality may be behind those of another."""
        return EARLY_NS if modality == ROBOT else max(LEAST_NS, self._timeout_ns(modality))

    def judge(self, embedding: Embedding, now_ns: int) -> Taken | None:
        """Return how an embedding is taken; None: it came twice or too late, and is not used."""
        stamp, clock = embedding.stamp_ns, self.clocks.setdefault(embedding.modality, SensorClock())
        clock.offset_ns = stamp - now_ns
        behind = -1 if clock.newest is None else clock.newest.stamp_ns - stamp
        set_back = behind > self.limit_ns(embedding.modality)
        if behind >= 0 and not set_back and any(stamp == e.stamp_ns for e in clock.memory):
            return self._repeated(clock, embedding, now_ns)
        clock.received_ns = now_ns
        if not self._agrees(embedding.modality, now_ns):
            return self._wrong(clock, embedding, now_ns, behind)
        if clock.offset_ns < self.ahead_ns - SLOW_NS:
            clock.lag_ns = self.ahead_ns - clock.offset_ns
            clock.slow.add(now_ns)
        if behind < 0 or set_back or clock.wrong:
            clock.take(embedding, wrong=False)
            clock.taken_ns = stamp
            return Taken(stamp, set_back=set_back)
        if len(clock.memory) == MEMORY and stamp < min(e.stamp_ns for e in clock.memory):
            self.out_of_order(embedding.modality, now_ns, used=False)
            return None
        clock.memory.append(embedding)
        return Taken(stamp, newest=False)

    def out_of_order(self, modality: str, now_ns: int, used: bool) -> None:
        """Count an embedding that came after a newer one. used: whether it was not too late for its moment."""
        clock = self.clocks[modality]
        clock.reordered.add(now_ns)
        if not used:
            clock.late.add(now_ns)

    def nearest(self, modality: str, stamp_ns: int) -> Embedding | None:
        """Return the embedding of the last few that was measured nearest to a stamp; None where the clock is wrong."""
        clock = self.clocks[modality]
        return None if clock.wrong else min(clock.memory, key=lambda e: abs(e.stamp_ns - stamp_ns), default=None)

    def _repeated(self, clock: SensorClock, embedding: Embedding, now_ns: int) -> Taken | None:
        """Judge an embedding whose stamp is known: a message that came twice, or a clock that stands still."""
        newest = clock.newest
        if newest is None or newest.stamp_ns != embedding.stamp_ns or np.array_equal(newest.vector, embedding.vector):
            clock.repeated.add(now_ns)
            return None
        clock.received_ns = now_ns
        return self._at_arrival(clock, embedding, now_ns, still=True)

    def _wrong(self, clock: SensorClock, embedding: Embedding, now_ns: int, behind: int) -> Taken | None:
        """Judge an embedding whose stamp disagrees with the others'. behind: ns behind its sensor's newest stamp.

        A single one that is far behind is a late message. After two in a row, the sensor's clock was set back.
        """
        far = behind > self.limit_ns(embedding.modality)
        if (far and not clock.wrong and clock.doubted is None) or (clock.wrong and behind > 0 and not far):
            clock.doubted = embedding
            clock.late.add(now_ns)
            return None
        return self._at_arrival(clock, embedding, now_ns)

    def _at_arrival(self, clock: SensorClock, embedding: Embedding, now_ns: int, still: bool = False) -> Taken:
        offset = self.offset_ns or 0
        clock.take(embedding, wrong=True)
        clock.error_ns, clock.still = clock.offset_ns - offset, still
        clock.at_arrival.add(now_ns)
        stamp = now_ns + offset
        if 0 <= clock.taken_ns - stamp < LEAST_NS:  # the robot's clock stands still: no two moments have one stamp
            stamp = clock.taken_ns + 1
        clock.taken_ns = stamp
        return Taken(stamp, own=False)

    def _agrees(self, modality: str, now_ns: int) -> bool:
        """Return whether the last stamp of a modality is on the clock that most share. Find out which clock that is.

        Where two groups have the same size, the one that agrees with the robot's clock is right, or else the one that
        was right until now.
        """
        clock, before = self.clocks[modality], self.offset_ns
        if self._usual(clock.offset_ns):
            return True
        offsets = {ROBOT: 0} | {m: c.offset_ns for m, c in self.clocks.items() if self._alive(m, now_ns)}
        robot_counts = before is not None and self.ahead_ns == 0
        voters = [m for m in offsets if m != ROBOT or robot_counts]
        groups = {m: [n for n in voters if self._together(m, n, offsets)] for m in voters}

        def standing(m: str) -> tuple[int, bool, int]:
            return len(groups[m]), self._together(m, ROBOT, offsets), -abs(offsets[m] - (before or 0))

        group = groups[max(voters, key=standing)]
        self.offset_ns = median_low(offsets[m] for m in group)
        clock.alone = group == [ROBOT]
        return modality in group and (ROBOT not in group or self._together(modality, ROBOT, offsets))

    def _alive(self, modality: str, now_ns: int) -> bool:
        received = self.clocks[modality].received_ns
        return received is not None and now_ns - received <= self._timeout_ns(modality)

    def _usual(self, offset_ns: int) -> bool:
        """Return whether an offset is so near to the right clock that no other sensor needs to be asked."""
        if self.offset_ns is None or (offset_ns > EARLY_NS) != (self.offset_ns > EARLY_NS):
            return False
        return abs(offset_ns - self.offset_ns) <= LEAST_NS // 2

    def _together(self, one: str, other: str, offsets: dict[str, int]) -> bool:
        """Return whether two modalities share a clock. A wrong clock must come nearer to count as right again."""
        lag = offsets[other] - offsets[one]
        limit = self.limit_ns(one if lag > 0 else other)
        doubt = any(m != ROBOT and self.clocks[m].wrong for m in (one, other))
        return abs(lag) <= (limit // 2 if doubt else limit)
