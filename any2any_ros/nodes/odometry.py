"""Remembers recent odometry, and returns the robot's pose at a stamp."""

from __future__ import annotations

from collections import deque

from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.subscription import Subscription

from any2any_ros.arrays import Float64
from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes import messages
from any2any_ros.samples import NS

CAPACITY = 1000  # messages: 10 s at 100 Hz
NEAR = int(0.5 * NS)  # a message farther from a stamp is not used for it


class OdometryBuffer:
    """Keeps the newest messages of a topic; `pose` returns the one nearest to a stamp."""

    def __init__(self, node: Node) -> None:
        self._poses: deque[tuple[int, Float64]] = deque(maxlen=CAPACITY)
        self._node = node
        self._subscription: Subscription | None = None

    def open(self, topic: str) -> None:
        """Subscribe to a topic; do nothing when its name is empty."""
        if topic:
            self._subscription = self._node.create_subscription(Odometry, topic, self._receive, qos_profile_sensor_data)

    def close(self) -> None:
        """Unsubscribe, and forget all messages."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription = None
        self._poses.clear()

    def pose(self, stamp_ns: int) -> Float64 | None:
        """Return the robot's pose (4, 4) in the frame of its odometry; None without a message near the stamp."""
        nearest = min(self._poses, key=lambda item: abs(item[0] - stamp_ns), default=None)
        return None if nearest is None or abs(nearest[0] - stamp_ns) > NEAR else nearest[1]

    def _receive(self, message: Odometry) -> None:
        try:
            pose = messages.pose_array(message.pose.pose)
        except Any2AnyError:  # the driver does not know yet where it is, or has diverged
            return
        stamp = messages.time_ns(message.header.stamp)
        if self._poses and stamp < self._poses[-1][0]:  # the clock jumped back
            self._poses.clear()
        self._poses.append((stamp, pose))
