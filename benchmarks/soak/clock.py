"""The robot's clock: the system's, or one that the campaign publishes on /clock and can move."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from rosgraph_msgs.msg import Clock

from any2any_ros.nodes import messages
from benchmarks.soak.drivers import NS

BEGINNING = 1000 * NS  # of the simulated time


class RobotClock:
    """Tells the time that drivers stamp with. jumps: monotonic times, s, at which it has jumped."""

    def __init__(self, node: Any, simulated: bool) -> None:
        self.simulated = simulated
        self._offset = BEGINNING - time.monotonic_ns()
        self._publisher = node.create_publisher(Clock, "/clock", 10) if simulated else None
        self.stopped = False
        self.jumps: list[float] = []
        self.on_jump: Callable[[], None] = lambda: None

    def now_ns(self) -> int:
        return time.monotonic_ns() + self._offset if self.simulated else time.time_ns()

    def publish(self) -> None:
        """Publish /clock, unless it is stopped or the robot lives by the system's clock."""
        if not self.stopped:
            self.tell(self.now_ns())

    def tell(self, stamp_ns: int) -> None:
        """Publish a time on /clock, true or not."""
        if self._publisher is not None:
            self._publisher.publish(Clock(clock=messages.time_message(stamp_ns)))

    def jump(self, seconds: float) -> None:
        """Jump ahead (or back, if negative) by seconds, and publish the new time at once."""
        self._offset += int(seconds * NS)
        self.jumped()
        self.publish()

    def jumped(self) -> None:
        """Note that the nodes see a jump now."""
        self.jumps.append(time.monotonic())
        self.on_jump()
