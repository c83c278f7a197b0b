"""The robot's clock as a node sees it: it may stand still, jump, or be told a time that is none."""

from __future__ import annotations

import time
from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.clock import JumpThreshold, ROSClock, TimeJump
from rclpy.duration import Duration

from any2any_ros.samples import NS

STILL_NS = 2 * NS  # a clock that stands still for longer than this has stopped
JUMP_NS = 5 * NS  # a step ahead that is larger is a jump
RECENTLY_NS = 5 * NS  # a jump is shown for this long
JUMPS = JumpThreshold(min_forward=Duration(nanoseconds=JUMP_NS), min_backward=Duration(nanoseconds=-1))


class RobotClock:
    """Tells the time in ns, and what is wrong with the clock.

    While a simulated clock stands still, its time goes on after STILL_NS, so that sensors that are silent become stale.
    """

    def __init__(self, clock: ROSClock, steady_ns: Callable[[], int] = time.monotonic_ns) -> None:
        """steady_ns: returns a time that neither jumps nor stands still."""
        self._clock, self._steady_ns = clock, steady_ns
        self._last_ns, self._moved_ns = 0, steady_ns()  # the last time that was told, and since when
        self._event, self._event_ns = "", 0  # the last jump, and when it was, in steady time
        self._jumps = clock.create_jump_callback(JUMPS, post_callback=self._on_jump)

    @property
    def simulated(self) -> bool:
        return bool(self._clock.ros_time_is_active)

    def now_ns(self) -> int:
        """Return the time."""
        return self._read() + max(0, self._still_ns() - STILL_NS)

    def refused(self, error: str) -> None:
        """Note a message on /clock that has no time."""
        self._note(f"a message on /clock is not used: {error}")

    def state(self) -> tuple[bytes, str]:
        """Return the level and the text of a diagnostic line."""
        self._read()
        still, recent = self._still_ns(), self._steady_ns() - self._event_ns <= RECENTLY_NS
        level, causes = DiagnosticStatus.WARN, [self._event] if self._event and recent else []
        if self.simulated and still > STILL_NS and self._last_ns == 0:
            level = DiagnosticStatus.ERROR
            causes.append(f"use_sim_time is set, but no time has come on /clock for {still / NS:.1f} s")
        elif self.simulated and still > STILL_NS:
            causes.append(f"the clock has stood still for {still / NS:.1f} s: has /clock ended, or been paused?")
        if causes:
            return level, "; ".join(causes)
        return DiagnosticStatus.OK, "the clock of /clock" if self.simulated else "the clock of the system"

    def _read(self) -> int:
        now = int(self._clock.now().nanoseconds)
        if now != self._last_ns:
            self._last_ns, self._moved_ns = now, self._steady_ns()
        return now

    def _still_ns(self) -> int:
        return self._steady_ns() - self._moved_ns

    def _on_jump(self, jump: TimeJump) -> None:
        seconds = jump.delta.nanoseconds / NS
        if self._last_ns != 0:  # the first message on /clock is no jump
            self._note(f"the clock jumped {'back' if seconds < 0 else 'ahead'} by {abs(seconds):.1f} s")

    def _note(self, event: str) -> None:
        self._event, self._event_ns = event, self._steady_ns()
