"""A bounded queue between the thread that receives and a thread that works: the newest few items, nothing older."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Inbox(Generic[T]):
    """Keeps the newest `size` items, counts the dropped ones, and processes the items in a separate thread."""

    def __init__(self, size: int, work: Callable[[list[T]], None]) -> None:
        """work: is called with all waiting items, oldest first. It must not raise."""
        self._items: deque[T] = deque(maxlen=size)
        self._work = work
        self._changed = threading.Condition()
        self._closed = False
        self.dropped = 0
        self._thread = threading.Thread(target=self._run, name="inbox")
        self._thread.start()

    def put(self, item: T) -> None:
        """Add an item; the oldest waiting one is dropped when there are `size` already."""
        with self._changed:
            self.dropped += len(self._items) == self._items.maxlen
            self._items.append(item)
            self._changed.notify()

    def close(self) -> None:
        """Drop the waiting items, and return when the work in progress has ended."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._items or self._closed)
                if self._closed:
                    return
                items = list(self._items)
                self._items.clear()
            self._work(items)
