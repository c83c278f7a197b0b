"""Repeats a step in a separate thread, as a context manager."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any


class Repeated:
    """Calls `step` in a separate thread until the context is left, and then `free`."""

    def __init__(self, period: float, name: str | None = None) -> None:
        """period: seconds from one step to the next; 0: the next step begins at once."""
        self._period, self._done = period, threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def step(self) -> None:
        """Do the work of one step."""

    def free(self) -> None:
        """Free resources. It is called after the last step."""

    def __enter__(self) -> Any:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self.free()

    def _run(self) -> None:
        due = time.monotonic()
        while not self._done.wait(max(0.0, due - time.monotonic())):
            self.step()
            due = max(due + self._period, time.monotonic() - self._period)
