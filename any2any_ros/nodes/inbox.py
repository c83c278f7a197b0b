"""What waits between the thread that receives and a thread that works: the newest few items, nothing older."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from any2any_ros import limits

T = TypeVar("T")


class Newest(Generic[T]):
    """The newest items: at most `count`, and at most `limits.WAITING_BYTES` beside the newest one.

    Older ones are dropped and counted.
    """

    def __init__(self, count: int) -> None:
        self._count, self._bytes = count, 0
        self._items: deque[tuple[T, int]] = deque()
        self.dropped = 0

    def put(self, item: T, size: int = 0) -> None:
        """Add an item of `size` bytes."""
        self._items.append((item, size))
        self._bytes += size
        while len(self._items) > self._count or (self._bytes > limits.WAITING_BYTES and len(self._items) > 1):
            self._bytes -= self._items.popleft()[1]
            self.dropped += 1

    def keep(self, wanted: Callable[[T], bool]) -> int:
        """Remove the items that are not wanted, without counting them as dropped; return how many."""
        before = len(self._items)
        self._items = deque(entry for entry in self._items if wanted(entry[0]))
        self._bytes = sum(size for _, size in self._items)
        return before - len(self._items)

    def clear(self) -> None:
        self.keep(lambda item: False)

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[T]:
        return (item for item, _ in self._items)


class Inbox(Generic[T]):
    """Keeps the newest items, and processes them in a separate thread."""

    def __init__(self, size: int, work: Callable[[list[T]], None]) -> None:
        """size: items that wait at most. work: is called with all of them, oldest first. It must not raise."""
        self._items: Newest[T] = Newest(size)
        self._work = work
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="inbox")
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Return how many items a newer one has replaced before they were processed."""
        return self._items.dropped

    def put(self, item: T, size: int = 0) -> None:
        """Add an item of `size` bytes, in place of older ones when too many wait."""
        with self._changed:
            self._items.put(item, size)
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
