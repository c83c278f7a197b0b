"""Saves the remembered objects while the robot sees, so that a node that was killed starts with them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from any2any_ros.errors import Any2AnyError
from any2any_ros.objects.object_memory import ObjectMemory


class ObjectSaving:
    """Writes a memory to a folder when it has changed."""

    def __init__(self, folder: str, period: float) -> None:
        """folder: "": nothing is saved. period: s between two saves."""
        self._folder, self._period = folder, period
        self._version, self._tried = -1, time.monotonic()

    def save_now_and_then(self, memory: ObjectMemory, complain: Callable[[str], object]) -> None:
        """Save as `save` does, when the last time was a period ago or earlier. complain: is told of a full disk."""
        if time.monotonic() >= self._tried + self._period:
            try:
                self.save(memory)
            except Any2AnyError as error:
                complain(str(error))

    def save(self, memory: ObjectMemory) -> None:
        """Write the objects, if they have changed since. Raises Any2AnyError when the folder cannot be written to."""
        self._tried = time.monotonic()
        if self._folder and memory.version != self._version:
            memory.save(Path(self._folder))
            self._version = memory.version
