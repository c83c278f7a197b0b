"""Where a sensor is by odometry, from Odometry messages or /tf, and from where /tf_static says that it is mounted."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from nav_msgs.msg import Odometry
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile, qos_profile_sensor_data
from tf2_msgs.msg import TFMessage

from any2any_ros import names
from any2any_ros.arrays import Float64
from any2any_ros.nodes import messages
from any2any_ros.poses import FARTHEST, is_rotation
from any2any_ros.samples import NS

CAPACITY = 1000  # messages: 10 s at 100 Hz
WAIT = 0.02  # s for the message that was measured after a sensor's
NEAR = NS // 10  # ns after the last message, whose pose still counts
NEVER = -(10**18)  # ns
LATCHED = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class SensorOdometry:
    """Keeps the newest poses of the robot. The executor's thread adds them, the encoder's asks for them."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._subscriptions: list[Any] = []
        self._changed = threading.Condition()
        self._frames = ("", "")  # of the odometry, and of the robot
        self._newest_ns = NEVER
        self._moving: Any = None
        self._static: Any = None

    @property
    def frames(self) -> tuple[str, str]:
        """Return the frames of the odometry and of the robot; "" before they are known."""
        return self._frames

    def open(self, name: str) -> None:
        """Subscribe to a topic, or to two frames of /tf (names.odometry). Do nothing for ""."""
        if not name:
            return
        from any2any_ros.geometry.transforms import TransformBuffer  # SciPy, which most encoders do not need

        self._moving, self._static = TransformBuffer(CAPACITY), TransformBuffer()
        topic, frames = names.odometry(name)
        make = self._node.create_subscription
        if frames:
            self._frames = frames
            self._subscriptions.append(make(TFMessage, topic, self._receive_transforms, qos_profile_sensor_data))
        else:
            self._subscriptions.append(make(Odometry, topic, self._receive, qos_profile_sensor_data))
        self._subscriptions.append(make(TFMessage, "/tf_static", self._receive_static, LATCHED))

    def close(self) -> None:
        """Unsubscribe, and forget all messages."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions.clear()
        with self._changed:
            self._newest_ns = NEVER

    def pose(self, stamp_ns: int, sensor_frame: str) -> Float64 | None:
        """Return the pose (4, 4) of a sensor in the frame of the odometry; None where it is unknown.

        Waits shortly for the message after the stamp. A sensor that /tf_static does not know counts as mounted where
        the robot's frame is.
        """
        with self._changed:
            if self._newest_ns < stamp_ns - NS:  # none, or odometry has fallen silent
                return None
            self._changed.wait_for(lambda: self._newest_ns >= stamp_ns, WAIT)
            if self._newest_ns < stamp_ns - NEAR:
                return None
            pose = self._moving.lookup(*self._frames, [min(stamp_ns, self._newest_ns)])[0]
            return None if np.isnan(pose).any() else pose @ self._static.mounting(self._frames[1], sensor_frame)

    def state(self, now_ns: int) -> str:
        """Return where odometry comes from, for the diagnostics; "" when nobody asked for it."""
        if not self._subscriptions:
            return ""
        silent = " (silent)" if self._newest_ns < now_ns - NS else ""
        return f"{self._subscriptions[0].topic_name}{silent}"

    def _receive(self, message: Odometry) -> None:
        p, q = message.pose.pose.position, message.pose.pose.orientation
        self._frames = (message.header.frame_id.lstrip("/") or "odom", message.child_frame_id.lstrip("/") or "robot")
        self._add(self._frames, message.header.stamp, (p.x, p.y, p.z, q.x, q.y, q.z, q.w))

    def _receive_transforms(self, message: TFMessage) -> None:
        for transform in message.transforms:
            frames = (transform.header.frame_id.lstrip("/"), transform.child_frame_id.lstrip("/"))
            if frames == self._frames:
                self._add(frames, transform.header.stamp, row_of(transform))

    def _receive_static(self, message: TFMessage) -> None:
        with self._changed:
            fill(self._static, message)

    def _add(self, frames: tuple[str, str], stamp: Any, row: tuple[float, ...]) -> None:
        if not usable(row):  # the driver does not know yet where it is, or has diverged
            return
        stamp_ns = messages.time_ns(stamp)
        with self._changed:
            if stamp_ns < self._newest_ns - NS:  # the clock jumped back
                self._moving, self._newest_ns = type(self._moving)(CAPACITY), NEVER
            self._moving.add(*frames, row, stamp_ns)
            self._newest_ns = max(self._newest_ns, stamp_ns)
            self._changed.notify_all()


def fill(buffer: Any, message: TFMessage, moving: bool = False) -> None:
    """Add the usable transforms of a message to a TransformBuffer. moving: they hold at their stamps, not always."""
    for transform in message.transforms:
        if usable(row := row_of(transform)):
            stamp = messages.time_ns(transform.header.stamp) if moving else None
            buffer.add(transform.header.frame_id, transform.child_frame_id, row, stamp)


def row_of(transform: Any) -> tuple[float, ...]:
    """Return the row of a TransformStamped, as geometry/transforms.py has it."""
    p, q = transform.transform.translation, transform.transform.rotation
    return (p.x, p.y, p.z, q.x, q.y, q.z, q.w)


def usable(row: tuple[float, ...]) -> bool:
    """Return whether a row is a pose: some drivers publish zeros or NaN at first."""
    return is_rotation(row[3:]) and bool(np.abs(row[:3]).max() < FARTHEST)
