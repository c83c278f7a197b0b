"""Measures how often something happens, and when it last happened."""

from __future__ import annotations

from collections import deque

from any2any_ros.samples import NS

WINDOW = 20  # ticks from which the rate is computed


class Rate:
    """Counts ticks. Times are ns of one clock."""

    def __init__(self) -> None:
        self._ticks: deque[int] = deque(maxlen=WINDOW)
        self.count = 0

    def tick(self, now_ns: int) -> None:
        if self._ticks and now_ns < self._ticks[-1]:
            self._ticks.clear()  # the clock jumped back
        self._ticks.append(now_ns)
        self.count += 1

    def age(self, now_ns: int) -> float:
        """Return the seconds since the last tick; infinite before the first, and when the clock has jumped back."""
        if not self._ticks or now_ns < self._ticks[-1] - NS:
            return float("inf")
        return max(0.0, (now_ns - self._ticks[-1]) / NS)

    def hertz(self, now_ns: int) -> float:
        """Return the rate over the last ticks, Hz. It falls while no tick comes."""
        if len(self._ticks) < 2 or now_ns <= self._ticks[0]:
            return 0.0
        return (len(self._ticks) - 1) * NS / (max(now_ns, self._ticks[-1]) - self._ticks[0])
