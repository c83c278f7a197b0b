"""Poses of a camera in the map from /tf and /tf_static, for the times of its pictures."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from tf2_msgs.msg import TFMessage

from any2any_ros.arrays import Float64
from any2any_ros.nodes.sensor_odometry import CAPACITY, LATCHED, fill

WAITING = 30  # pictures whose pose is not known yet


class CameraPose:
    """Subscribes while it is open, and tells the pose of each picture once all transforms on the way are known."""

    def __init__(self, node: Node, take: Callable[[int, Float64], None]) -> None:
        """take: is called with a stamp, ns, and the pose (4, 4) of the camera then."""
        self._node, self._take = node, take
        self._subscriptions: list[Any] = []

    def open(self, topic: str, frames: tuple[str, str]) -> None:
        """frames: the map's, and the camera's optical one."""
        from any2any_ros.geometry.transforms import TransformBuffer  # SciPy

        self._frames, self._buffer = frames, TransformBuffer(CAPACITY)
        self._stamps: deque[int] = deque(maxlen=WAITING)
        make = self._node.create_subscription
        self._subscriptions = [
            make(TFMessage, topic, self._receive, QoSProfile(depth=100)),
            make(TFMessage, f"{topic}_static", self._receive_static, LATCHED),
        ]

    def close(self) -> None:
        """Unsubscribe, and forget all transforms."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()

    def want(self, stamp_ns: int) -> None:
        """Ask for the pose at the time of a picture. Does nothing while it is closed."""
        if self._subscriptions:
            self._stamps.append(stamp_ns)
            self._tell()

    def _receive(self, message: TFMessage) -> None:
        fill(self._buffer, message, moving=True)
        self._tell()

    def _receive_static(self, message: TFMessage) -> None:
        fill(self._buffer, message)
        self._tell()

    def _tell(self) -> None:
        for stamp in list(self._stamps):
            pose = self._buffer.pose(*self._frames, stamp)
            if pose is not None:
                self._stamps.remove(stamp)
                self._take(stamp, pose)
