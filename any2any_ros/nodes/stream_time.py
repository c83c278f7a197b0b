"""The times of the parts of a stream such as sound, also when the stamps of single parts are wrong."""

from __future__ import annotations

from any2any_ros.samples import NS

APART_NS = 2 * NS  # stamp minus time of arrival changes by more than this from one part to the next: a step
AGREEING = 3  # parts in a row after a step, from which on the new clock is believed


class StreamTime:
    """Replaces stamps that step, as of a clock that jumps at random, by the time of arrival on the clock before.

    Otherwise each wrong stamp would look like a gap, and the stream would begin again and again.
    """

    def __init__(self) -> None:
        self._offset: int | None = None  # stamp minus time of arrival, ns
        self._other, self._count = 0, 0  # the same of the last parts that disagree, and how many they are

    def of(self, stamp_ns: int, received_ns: int) -> int:
        """Return the time of the part with this stamp, ns. received_ns: when it arrived."""
        offset = stamp_ns - received_ns
        self._count = self._count + 1 if abs(offset - self._other) <= APART_NS else 1
        self._other = offset
        if self._offset is None or abs(offset - self._offset) <= APART_NS or self._count >= AGREEING:
            self._offset = offset
            return stamp_ns
        return received_ns + self._offset
