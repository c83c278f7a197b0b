"""The drivers of the robot's sensors: each publishes prepared messages, properly or as a fault wants it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from rclpy.qos import QoSProfile, ReliabilityPolicy

from any2any_ros.nodes import messages
from benchmarks.soak.garbage import garbage
from benchmarks.soak.kinds import CYCLE
from benchmarks.speed._player import DEPTH, Part, write_stamp

NS = 10**9
Later = Callable[[float, Callable[[], None]], None]  # seconds from now, what to do


class Driver:
    """Publishes the messages of one sensor. Faults set its attributes, and set them back.

    silent: sends nothing. delay: returns the seconds until a message is sent. copies: of each message. garbage: share
    of useless messages. stamp: from the true stamp to that which is sent, ns. times: messages for each moment.
    """

    def __init__(self, node: Any, part: Part, later: Later, reliable: bool = False) -> None:
        self._node, self._part, self._later = node, part, later
        self._rng = np.random.default_rng(0)
        self.silent, self.copies, self.garbage, self.times = False, 1, 0.0, 1
        self.delay: Callable[[], float] = lambda: 0.0
        self.stamp: Callable[[int], int] = lambda stamp: stamp
        self._publisher: Any = None
        self.reliable = reliable
        self.open(reliable)

    def open(self, reliable: bool) -> None:
        """Start publishing with this QoS."""
        self.close()
        reliability = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        qos = QoSProfile(depth=DEPTH, reliability=reliability)
        self._publisher = self._node.create_publisher(
            messages.message_class(self._part.type_name), self._part.topic, qos
        )

    def close(self) -> None:
        """End the publisher."""
        publisher, self._publisher = self._publisher, None
        if publisher is not None:
            self._node.destroy_publisher(publisher)

    def tick(self, moment: int, stamp_ns: int) -> None:
        """Send the message of a moment."""
        if self.silent:
            return
        self._send(moment, stamp_ns)
        for i in range(1, self.times):
            seconds = i * CYCLE / self.times
            self._after(seconds, functools.partial(self._send, moment, stamp_ns + int(seconds * NS)))

    def _send(self, moment: int, stamp_ns: int) -> None:
        message = self._part.raw[moment % len(self._part.raw)]
        if self._part.stamped:
            write_stamp(message, self.stamp(stamp_ns))
        data = bytes(message)
        if self._rng.random() < self.garbage:
            data = garbage(data, self._rng)
        for _ in range(self.copies):
            self._after(self.delay(), functools.partial(self._publish, data))

    def _after(self, seconds: float, do: Callable[[], None]) -> None:
        if seconds > 0:
            self._later(seconds, do)
        else:
            do()

    def _publish(self, data: bytes) -> None:
        if self._publisher is not None:
            self._publisher.publish(data)
