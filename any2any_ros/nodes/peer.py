"""A node that spins in a separate thread, for programs that listen to the robot or ask it."""

from __future__ import annotations

import rclpy
from rclpy.executors import SingleThreadedExecutor

from any2any_ros.nodes.repeated import Repeated


class Peer(Repeated):
    """Spins its node, as a context manager. rclpy must have been started."""

    def __init__(self, name: str) -> None:
        super().__init__(0.0, name)
        self.node = rclpy.create_node(name)
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)

    def step(self) -> None:
        self.executor.spin_once(timeout_sec=0.05)

    def free(self) -> None:
        self.executor.shutdown()
        self.node.destroy_node()
