"""Where up is for the sensor of an encoder node, by /tf_static."""

from __future__ import annotations

import threading
from typing import Any, cast

from rclpy.node import Node
from tf2_msgs.msg import TFMessage

from any2any_ros.geometry.upright import GROUND, SEES, Upright, expected_height, upright
from any2any_ros.nodes.sensor_odometry import LATCHED, fill
from any2any_ros.protocols import Encoder


class Standing:
    """Keeps an encoder upright while its sensor's frame, or what is known of it, changes."""

    def __init__(self, node: Node) -> None:
        self._node, self._lock = node, threading.Lock()
        self._subscription: Any = None

    def open(self, encoder: Encoder, base_frame: str) -> Encoder:
        """Subscribe to /tf_static, and return the encoder that stands. base_frame: the robot's; "": do nothing."""
        self._base_frame = base_frame.lstrip("/")
        if not base_frame or encoder.accepts not in SEES:
            return encoder
        from any2any_ros.geometry.transforms import TransformBuffer  # SciPy

        self._buffer, self._frame, self._expected = TransformBuffer(), "", expected_height(encoder)
        self._encoder = Upright(encoder)
        self._subscription = self._node.create_subscription(TFMessage, "/tf_static", self._receive, LATCHED)
        return cast(Encoder, self._encoder)

    def close(self) -> None:
        """Unsubscribe."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def see(self, frame: str) -> None:
        """Take the frame of the message that is encoded next."""
        if self._subscription is not None and frame != self._frame:
            with self._lock:
                self._frame = frame
                self._turn()

    def _turn(self) -> None:
        mounting, ground = (self._buffer.pose(parent, self._frame) for parent in (self._base_frame, GROUND))
        height = None if ground is None else float(ground[2, 3])
        self._encoder.transform = None if mounting is None else upright(mounting, height, self._expected)

    def _receive(self, message: TFMessage) -> None:
        with self._lock:
            fill(self._buffer, message)
            if self._frame:
                self._turn()
