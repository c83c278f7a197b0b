"""Something done again and again beside the rest, from entering until leaving."""

from __future__ import annotations

import threading
import time
from types import TracebackType
from typing import Any


class Repeated:
    """Calls `step` in a thread of its own, then `free`."""

    def __init__(self, period: float, name: str | None = None) -> None:
        """period: s from one step to the next; 0: at once."""
        self._period, self._done = period, threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def step(self) -> None: ...

    def free(self) -> None:
        """Free what was taken, once no step will follow."""

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
