"""Counts the messages of a topic that the middleware dropped before a node could take them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

PUBLISHERS = 64  # whose numbers are remembered
FAR = 10_000  # messages; a larger step in the numbers is another publisher


class Missed:
    """Counts the gaps in the numbers that publishers give to their messages.

    A message does not say which publisher it is from. It is taken for one of that whose last number is nearest. Where
    that is wrong, the gap is counted with another message.
    """

    def __init__(self) -> None:
        self._last: deque[int] = deque(maxlen=PUBLISHERS)
        self.count = 0

    def take(self, info: Mapping[str, Any]) -> None:
        """Take what rclpy tells of the next message that was received."""
        number = info.get("publication_sequence_number")  # ROS 2 before Jazzy does not tell it
        if number is None:
            return
        before = max((last for last in self._last if number - FAR <= last < number), default=None)
        if before is not None:
            self._last.remove(before)
            self.count += number - before - 1
        self._last.append(number)
