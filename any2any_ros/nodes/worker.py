"""A thread for what takes long in answering a request: the node goes on meanwhile, and the request waits."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import Future as Job
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from rclpy.node import Node
from rclpy.task import Future

from any2any_ros.errors import Any2AnyError

T = TypeVar("T")
NICENESS = 10  # nine tenths of a processor are left to others that need it


class Stopped(Any2AnyError):
    """The node was taken down before the work was done."""


class Worker:
    """One thread of low priority, which works off one job after the other.

    The callback of a service awaits `result`. Its callback group must let other callbacks run meanwhile.
    """

    def __init__(self, node: Node, name: str) -> None:
        self._node, self._pool, self._closed = node, ThreadPoolExecutor(1, name, _be_nice), False

    async def result(self, work: Callable[[], T]) -> T:
        """Return work(), which runs in the thread. What it raises is raised here. Raises Stopped after `close`."""
        if self._closed:
            raise Stopped("The request was not answered", "the node was taken down meanwhile", "Ask again")
        done: Future = Future()

        def wake(job: Job[Any]) -> None:
            done.set_result(None)
            if self._node.executor is not None:
                self._node.executor.wake()  # or it would see this only when the next message comes

        job = self._pool.submit(work)
        job.add_done_callback(wake)
        await done
        return job.result()

    def close(self) -> None:
        """Return when the work in progress has ended. No more is accepted."""
        self._closed = True
        self._pool.shutdown()


def _be_nice() -> None:
    """Lower the priority of this thread. Linux has one for each thread; elsewhere it stays as it is."""
    if sys.platform == "linux":
        thread = threading.get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)
