"""The last few moments, and which of them an embedding belongs to. Times, now_ns too, are ns on the sensors' clock."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from any2any_ros.retrieval.stamps import Taken
from any2any_ros.samples import NS

ARRIVAL_NS = NS // 4  # how long after a moment an embedding without a stamp of its own may arrive, and belong to it
NEVER = -(2**63)
MEMORY = 64  # moments among which that of a late embedding is looked for


@dataclass(eq=False)
class Moment:
    """stamp_ns: the smallest stamp. past: whether the modality that opened it had delivered a newer embedding before.
    future: whether it was opened before its time. delivered: the modalities that belong to it. open: whether others may
    still deliver."""

    stamp_ns: int
    past: bool = False
    future: bool = False
    delivered: set[str] = field(default_factory=set)
    open: bool = True


class Moments:
    """Moments in the order in which they were opened. Only the last one can be open."""

    def __init__(self, slop_ns: int) -> None:
        """slop_ns: stamps that differ by at most this much belong to one moment."""
        self._slop_ns = slop_ns
        self._moments: deque[Moment] = deque(maxlen=MEMORY)
        self._closed_ns = NEVER  # stamp of the last moment that was closed
        self._newest: Moment | None = None  # with the largest stamp, without those of the future

    @property
    def last(self) -> Moment | None:
        return self._moments[-1] if self._moments else None

    @property
    def open(self) -> Moment | None:
        return self._moments[-1] if self._moments and self._moments[-1].open else None

    def begin(self, taken: Taken, now_ns: int) -> Moment:
        """Open a moment at the stamp of an embedding."""
        moment = Moment(taken.stamp_ns, past=not taken.newest, future=self._in_future(taken, now_ns))
        self._moments.append(moment)
        # A moment of the future must not make the embeddings of all others late.
        if not moment.future and (self._newest is None or taken.stamp_ns > self._newest.stamp_ns):
            self._newest = moment
        return moment

    def join(self, moment: Moment, modality: str, taken: Taken) -> None:
        """Add a modality to its moment.

        A text without a stamp has the stamp of its arrival, which is late. The moment takes the sensors' stamp.
        """
        moment.delivered.add(modality)
        moves = moment.open and taken.own and self._closed_ns < taken.stamp_ns
        if moves and (moment.future or self._near(moment, taken.stamp_ns)):
            moment.stamp_ns = min(moment.stamp_ns, taken.stamp_ns)

    def close(self, moment: Moment) -> None:
        moment.open, self._closed_ns = False, moment.stamp_ns

    def of(self, modality: str, taken: Taken, newest_ns: int, now_ns: int) -> Moment | None:
        """Return the moment that an embedding belongs to, open or closed; None: it opens a new one.

        An embedding that is too late for a closed moment opens none. If it is the newest of its modality, the next
        moment uses it. newest_ns: stamp of the newest one of its modality until now.
        """
        last, newest, stamp = self.last, self._newest, taken.stamp_ns
        if last is None:
            return None
        if not taken.newest:
            near = next((m for m in reversed(self._moments) if self._near(m, stamp)), None)
            leads = newest is None or newest_ns >= newest.stamp_ns
            return near or (None if leads else newest)
        if modality not in last.delivered and self._inexact(last, taken, now_ns):
            return last
        for moment in (last, newest):
            if moment is not None and modality not in moment.delivered and self._near(moment, stamp):
                return moment
        late = newest is not None and stamp <= newest.stamp_ns
        return (last if last.open else newest) if late else None

    def _inexact(self, last: Moment, taken: Taken, now_ns: int) -> bool:
        """Whether an embedding belongs to the last moment because one of their two stamps cannot be right."""
        if last.open:
            return not taken.own or self._in_future(taken, now_ns) or (last.future and taken.stamp_ns < last.stamp_ns)
        return not taken.own and taken.stamp_ns - last.stamp_ns <= ARRIVAL_NS

    def _in_future(self, taken: Taken, now_ns: int) -> bool:
        return taken.stamp_ns > now_ns + self._slop_ns

    def _near(self, moment: Moment, stamp_ns: int) -> bool:
        return abs(stamp_ns - moment.stamp_ns) <= self._slop_ns
