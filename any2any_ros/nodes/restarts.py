"""When a process that has ended is started again. No ROS."""

from __future__ import annotations

from collections.abc import Iterable

SOON = 5.0  # s of life, below which a process that ended would probably end again at once
PAUSE = 1.0  # s until such a process is started again


class Restarts:
    """Which processes wait for their next start. Times are monotonic seconds.

    A process that has lived for a while is started again at once: a robot waits for it. One that has ended soon after
    its start waits, so that a node which cannot start does not keep a processor busy.
    """

    def __init__(self, names: Iterable[str], now: float) -> None:
        """names: of the processes, which were all started just now."""
        self._started = dict.fromkeys(names, now)
        self._due: dict[str, float] = {}

    def started(self, name: str, now: float) -> None:
        """Note that a process was started."""
        self._started[name] = now
        self._due.pop(name, None)

    def ended(self, name: str, now: float) -> bool:
        """Note that a process has ended; return whether that is new."""
        new = name not in self._due
        if new:
            lived = now - self._started[name]
            self._due[name] = now if lived >= SOON else now + PAUSE
        return new

    def forget(self, name: str) -> None:
        """Let a process that has ended never be due."""
        self._due.pop(name, None)

    def due(self, now: float) -> list[str]:
        """Return the processes that are to be started again now."""
        return [name for name, at in self._due.items() if at <= now]
