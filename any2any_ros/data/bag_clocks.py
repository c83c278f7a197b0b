"""Which time a message of a bag has, and whether sensors and poses have one clock.

A message has two times: its stamp, when a sensor measured, and when it was recorded. The recorder gives the second one
to all topics by one clock. So a sensor whose stamps are early or late by seconds, compared with those of the poses that
were recorded beside it, has another clock: its poses would be those of another place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from any2any_ros import samples
from any2any_ros.arrays import Flags, Int64
from any2any_ros.data.trajectory import range_text
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS

SAME_CLOCK = NS  # ns that stamps may be off by the way from sensor to recorder
FEW = 0.1  # share of a topic's messages with wrong stamps that are left without a pose; with more, the clock is wrong
SURE = 20  # messages with wrong stamps after which no more need be encoded
OFF = "its stamp is seconds away from when it was recorded"
RECEIVED = "received"
CURE = (
    "Set the clocks and record again, or take the times of recording: --stamps received; if the stamps are right and "
    "the recorder's times are not: --stamps header"
)


def stamp_of(message: Any, received: int, stamps: str) -> int:
    """Return the time of a message, ns. stamps: as in PoseConfig. One without a stamp has the time of recording."""
    return received if stamps == RECEIVED else samples.stamp_ns(message) or received


def in_order(topic: str, stamps_ns: Int64) -> Flags:
    """Return (N,): which stamps, in the order of recording, are not from before the others.

    Raises Any2AnyError when many are: the clock stepped back, and one time stands for two places.
    """
    late = np.maximum.accumulate(stamps_ns) - stamps_ns if len(stamps_ns) else stamps_ns
    wrong = late > SAME_CLOCK
    if wrong.mean() > FEW if len(wrong) else False:
        first = int(np.argmax(wrong))
        raise Any2AnyError(
            f"The clock of {topic} stepped back",
            f"by {late[first] / NS:.1f} s, at message {first + 1} of {len(late)}, so one time stands for two places",
            "Record again with a steady clock, or take the times of recording: --stamps received",
        )
    return np.asarray(~wrong)


@dataclass(eq=False)
class _Topic:
    stamps: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    off: list[int] = field(default_factory=list)  # ns that wrong stamps are ahead

    @property
    def other(self) -> bool:
        """Whether so many stamps are wrong that the clock is another one."""
        return len(self.off) > FEW * len(self.stamps)


@dataclass(eq=False)
class Clocks:
    """Compares the stamps of sensors with those of the poses. stamps: as in PoseConfig; only "auto" compares.

    pose_stamps, pose_received (N,): ns, by the time of recording; pose_topic: their name. Poses of a file were not
    recorded: `pose_received` is empty, and what tells the clocks apart is when the file begins and ends. doubtful:
    stamps that are wrong. certain: a sensor has another clock, and `check` will say so.
    """

    stamps: str
    pose_topic: str = ""
    pose_stamps: Int64 = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    pose_received: Int64 = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    doubtful: set[int] = field(default_factory=set)
    certain: bool = False
    _topics: dict[str, _Topic] = field(default_factory=dict)

    def stamp(self, topic: str, message: Any, received: int) -> int:
        """Return the time of a sensor's message, ns."""
        stamp = stamp_of(message, received, self.stamps)
        if self.stamps == "auto" and len(self.pose_stamps):
            seen = self._topics.setdefault(topic, _Topic())
            seen.stamps.append(stamp)
            seen.received.append(received)
            ahead = stamp - received - self._pose_ahead(received) if len(self.pose_received) else 0
            if abs(ahead) > SAME_CLOCK:
                seen.off.append(ahead)
                self.doubtful.add(stamp)
                self.certain |= len(seen.off) >= SURE and seen.other
        return stamp

    def check(self) -> None:
        """Raise Any2AnyError when one of the sensors has another clock."""
        for topic, seen in self._topics.items():
            if seen.other or (len(self.pose_received) == 0 and self._fits_recording(seen)):
                raise self._other(topic, seen)

    def _fits_recording(self, seen: _Topic) -> bool:
        """Return whether a file of poses begins and ends when the sensor was recorded, not when it says it measured."""
        stamps, received = np.array(seen.stamps), np.array(seen.received)
        seen.off = (stamps - received).tolist()
        apart = [abs(int(t[i]) - int(self.pose_stamps[i])) for t in (stamps, received) for i in (0, -1)]
        return bool(abs(np.median(seen.off)) > SAME_CLOCK and sum(apart[2:]) < sum(apart[:2]))

    def _pose_ahead(self, received: int) -> int:
        """Return how far the stamp of the pose that was recorded at about this time is ahead of its recording, ns."""
        row = max(int(np.searchsorted(self.pose_received, received, side="right")) - 1, 0)
        return int(self.pose_stamps[row] - self.pose_received[row])

    def _other(self, topic: str, seen: _Topic) -> Any2AnyError:
        ahead = float(np.median(seen.off)) / NS
        how = f"{abs(ahead):.1f} s {'ahead' if ahead > 0 else 'behind'}"
        return Any2AnyError(
            f"The stamps of {topic} and of the poses ({self.pose_topic}) are not of one clock",
            f"by the times of recording, {topic} is {how}: the stamps of {topic} are "
            f"{range_text(np.array(seen.stamps))}, those of {self.pose_topic} {range_text(self.pose_stamps)}",
            CURE,
        )


def timed(messages: Iterable[tuple[Any, int, Any]], clocks: Clocks) -> Iterator[tuple[Any, int, int, Any]]:
    """Yield (connection, time received, time of the sensor, message) of (connection, time received, message), in ns.

    Raises Any2AnyError, at the end, when a sensor has another clock than the poses; before, it yields no more.
    """
    for connection, received, message in messages:
        stamp = clocks.stamp(connection.topic, message, received)
        if not clocks.certain:
            yield connection, received, stamp, message
    clocks.check()
