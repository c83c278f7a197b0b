"""The truth about every moment that was sent, and which ranking answered it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from any2any_ros.config import AliveConfig
from benchmarks.soak.kinds import ALLOWANCE, CYCLE, TEXT

LIMIT = ALLOWANCE  # s from the sending of a moment until its ranking comes at the latest
SLOP_NS = int(AliveConfig().slop * 1e9)  # a message this near to a moment belongs to it


@dataclass
class Moment:
    """One moment of all sensors.

    at: monotonic time, s. stamp_ns: of its messages. alive: sensors that sent it properly, and whose process runs.
    sane: those of them that have been alive for longer than the source timeout: every ranking must use them. excuse:
    why a ranking may be missing; "": it may not. places: ids that are right. delay: s until the ranking; None: there
    was none. lacking: the sane sensors that the ranking did not use. right, accepted: the ranking's first match.
    """

    at: float
    stamp_ns: int
    alive: frozenset[str]
    sane: frozenset[str]
    excuse: str = ""
    places: frozenset[str] = frozenset()
    delay: float | None = None
    lacking: tuple[str, ...] = ()
    right: bool = False
    accepted: bool = False

    @property
    def skipped(self) -> bool:
        return self.delay is None and bool(self.alive)

    def take(self, answer: Answer) -> None:
        """Note a ranking, if it is the first one from a proper message of this moment, and comes in time."""
        near = (m for m, stamp in answer.stamps.items() if abs(stamp - self.stamp_ns) <= SLOP_NS)
        if self.delay is None and answer.at - self.at <= LIMIT and any(m in self.alive or m == TEXT for m in near):
            self.delay = max(0.0, answer.at - self.at)
            self.lacking = tuple(sorted(self.sane - set(answer.stamps)))
            self.right, self.accepted = answer.first in self.places, answer.accepted


@dataclass(frozen=True)
class Answer:
    """One ranking: when it arrived (monotonic, s), the stamp of the message of each sensor it used, its first match."""

    at: float
    stamps: Mapping[str, int]
    first: str = ""
    accepted: bool = False


@dataclass
class Ledger:
    """Moments and the answers to them. Answers may be noted in another thread than moments.

    answers: when each ranking arrived.
    """

    moments: list[Moment] = field(default_factory=list)
    answers: list[float] = field(default_factory=list)
    _recent: deque[Moment] = field(default_factory=lambda: deque(maxlen=round(2 * LIMIT / CYCLE)))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, moment: Moment) -> None:
        """Note a moment. It must be noted before its messages are published."""
        with self._lock:
            self.moments.append(moment)
            self._recent.append(moment)

    def excuse(self, since: float, why: str) -> None:
        """Note that something changed while moments sent since then were on their way."""
        with self._lock:
            for moment in self._recent:
                if moment.at >= since and moment.delay is None:
                    moment.excuse, moment.sane = moment.excuse or why, frozenset()

    def answer(self, answer: Answer) -> None:
        """Note a ranking and which moments it answers."""
        with self._lock:
            self.answers.append(answer.at)
            for moment in self._recent:
                moment.take(answer)

    def all_used(self) -> bool:
        """Return whether the last ranking of a moment used all sensors."""
        last = next((m for m in reversed(self.moments) if m.delay is not None), None)
        return last is not None and not last.lacking

    def skipped(self, start: float, end: float) -> list[Moment]:
        """Return the moments without a ranking that were sent from `start` until `end`."""
        return [m for m in self.moments if m.skipped and start <= m.at < end]
