"""A node beside the robot's, with a thread of its own: whoever listens or asks from a program."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Any

import rclpy
from rclpy.executors import SingleThreadedExecutor


class Peer:
    """Spins its node while entered; rclpy must have been started."""

    def __init__(self, name: str) -> None:
        self.node = rclpy.create_node(name)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._spin, name=name)

    def free(self) -> None:
        """Free what must go before the node does."""

    def __enter__(self) -> Any:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()
        self.executor.shutdown()
        self.free()
        self.node.destroy_node()

    def _spin(self) -> None:
        while not self._done.is_set():
            self.executor.spin_once(timeout_sec=0.05)
