"""The health of a node's process: exceptions of its callbacks, whether it was started again, and whether it waits for
a processor. No ROS.

Linux counts for each thread how long it was running, and how long it waited for a processor although it could run.
Where the second is longer than the first, other processes take the computer's time, and answers come late.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from any2any_ros.config import RESTARTS

RECENT = 5.0  # s for which a failure is shown as an error, and for which a process says that it was started again
LOOKS = 3  # looks at the clock of the process over which waiting is judged; a node looks once a second
LEAST = 0.1  # share of the time that a process must wait at least before it is said to wait: an idle one rarely runs

OK, WARN, ERROR = b"\x00", b"\x01", b"\x02"  # levels of a DiagnosticStatus


@dataclass(frozen=True)
class Times:
    """Monotonic time, and how long the threads of the process have been running and waiting for a processor, s."""

    at: float
    running: float = 0.0
    waiting: float = 0.0


def own_times() -> Times:
    """Return the times of this process. They are zero where the system does not count them."""
    running = waiting = 0
    for file in Path("/proc/self/task").glob("*/schedstat"):
        try:
            ran, waited = file.read_text().split()[:2]
        except (OSError, ValueError):  # the thread has ended
            continue
        running, waiting = running + int(ran), waiting + int(waited)
    return Times(time.monotonic(), running / 1e9, waiting / 1e9)


class ProcessHealth:
    """What the line "process" of a node's diagnostics says."""

    def __init__(self, times: Callable[[], Times] = own_times) -> None:
        self._times = times
        self._looks: deque[Times] = deque([times()], maxlen=LOOKS + 1)
        self._failures, self._error, self._failed_at = 0, "", float("-inf")
        self._began, restarts = self._looks[0].at, os.environ.get(RESTARTS, "")
        self._restarts = int(restarts) if restarts.isdecimal() else 0

    def failed(self, error: str) -> None:
        """Count an exception of a callback, a timer or a service."""
        self._failures, self._error, self._failed_at = self._failures + 1, error, self._times().at

    def state(self) -> tuple[bytes, str, dict[str, Any]]:
        """Return level, text and values of the line, over the last few calls."""
        self._looks.append(self._times())
        first, last = self._looks[0], self._looks[-1]
        elapsed = max(last.at - first.at, 1e-9)
        # The times of a thread are gone when it ends.
        running, waiting = max(0.0, last.running - first.running), max(0.0, last.waiting - first.waiting)
        level, causes = OK, []
        if waiting > max(running, LEAST * elapsed):
            level = WARN
            causes.append(f"waits for a processor longer than it computes: {waiting:.1f} s of the last {elapsed:.0f} s")
        if self._restarts and last.at - self._began <= RECENT:
            level = WARN
            causes.append(f"started again, {self._restarts} times by now, because it had ended")
        if last.at - self._failed_at <= RECENT:
            level = ERROR
            causes.append(f"a callback failed: {self._error}")
        values = {"running": running / elapsed, "waiting": waiting / elapsed, "failures": self._failures}
        counted = {**values, "restarts": self._restarts, "last_failure": self._error}
        return level, "; ".join(causes) or "running", counted
