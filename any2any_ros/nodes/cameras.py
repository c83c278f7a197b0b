"""Subscribes to colour, depth, intrinsics, the camera's pose and detections, and turns them into camera views."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data as SENSOR_DATA

from any2any_ros import limits, samples
from any2any_ros.errors import Any2AnyError
from any2any_ros.node_config import GroundingNodeConfig
from any2any_ros.nodes import messages
from any2any_ros.nodes.endpoints import own_mismatch
from any2any_ros.nodes.missed import Missed
from any2any_ros.nodes.rate import Rate
from any2any_ros.nodes.views import KINDS, Views
from any2any_ros.objects.camera_view import CameraView

IMAGE = "sensor_msgs/msg/Image"
DETECTIONS = "vision_msgs/msg/Detection2DArray"
LARGEST = 1e6  # pixels: a coordinate beyond lies in no picture
NO_BOX = Any2AnyError("A detection cannot be used", "its box is not finite or lies in no picture", "Check the detector")
NO_INTRINSICS = Any2AnyError(
    "Cannot use the intrinsics", "the matrix k of CameraInfo has no focal lengths", "Calibrate the camera"
)


class Cameras:
    """Subscribes while it is open, and makes one CameraView for every moment of the cameras that are alive."""

    def __init__(self, node: Node, config: GroundingNodeConfig, on_view: Callable[[CameraView], None]) -> None:
        """on_view: takes each view. It runs in the executor's thread and must return quickly."""
        self._node, self._config = node, config
        self._subscriptions: list[Any] = []
        self.views = Views(config.slop, config.source_timeout, bool(config.detections_topic), on_view)
        self.refused, self.error = Rate(), ""
        self._missed: dict[str, Missed] = {}  # by topic

    def open(self) -> None:
        c = self._config
        self._subscriptions = [
            self._subscribe(IMAGE, c.rgb_topic, partial(self._picture, "camera", "image")),
            self._subscribe(IMAGE, c.depth_topic, partial(self._picture, "depth", "depth")),
            self._subscribe("sensor_msgs/msg/CameraInfo", c.info_topic, self._info),
            self._subscribe("geometry_msgs/msg/PoseStamped", c.pose_topic, self._pose),
        ]
        if c.detections_topic:
            self._subscriptions.append(self._subscribe(DETECTIONS, c.detections_topic, self._detections, 10))

    def _subscribe(self, type_name: str, topic: str, take: Callable[[Any], None], qos: Any = SENSOR_DATA) -> Any:
        """Subscribe to serialised messages: rclpy would drop those that it cannot read without a word."""
        read, missed = messages.reader(type_name), self._missed.setdefault(topic, Missed())

        def receive(raw: bytes, info: dict[str, Any]) -> None:
            missed.take(info)
            try:
                take(read(raw))
            except Any2AnyError as error:
                self._refuse(error)

        return self._node.create_subscription(messages.message_class(type_name), topic, receive, qos, raw=True)

    def close(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        self.views.clear()

    @property
    def missed(self) -> int:
        """Return how many pictures the middleware dropped."""
        topics = (self._config.rgb_topic, self._config.depth_topic)
        return sum(self._missed[topic].count for topic in topics if topic in self._missed)

    @property
    def alive(self) -> tuple[str, ...]:
        """Return which of camera and depth have sent a picture within `source_timeout`."""
        return self.views.alive(self._node.now_ns())

    def state(self) -> tuple[bytes, str]:
        """Return level and text for the diagnostics: which cameras are alive, and what is wrong."""
        now = self._node.now_ns()
        alive, warnings = self.views.alive(now), list(self.views.troubles(now))
        warnings += filter(None, (own_mismatch(self._node, s.topic_name) for s in self._subscriptions))
        if self.refused.age(now) <= self._config.source_timeout:
            warnings.append(f"some messages are refused: {self.error}")
        level, text = DiagnosticStatus.OK, f"sees by {' and '.join(alive)}"
        if len(alive) < len(KINDS) or warnings:
            level = DiagnosticStatus.WARN
        if not alive:
            level, text = DiagnosticStatus.ERROR, "no camera is alive"
        elif len(alive) < len(KINDS):
            text += " alone"
        return level, "; ".join([text, *warnings])

    def _picture(self, kind: str, decoded_as: str, message: Any) -> None:
        now = self._node.now_ns()
        picture = samples.decode(IMAGE, message, decoded_as)
        self.views.add_picture(kind, samples.stamp_ns(message) or now, picture, now)

    def _info(self, message: Any) -> None:
        matrix = np.array(message.k, dtype=np.float64).reshape(3, 3)
        if np.isfinite(matrix).all() and matrix[0, 0] > 0 and matrix[1, 1] > 0:
            self.views.intrinsics = matrix
        else:
            raise NO_INTRINSICS

    def _pose(self, message: Any) -> None:
        try:
            pose = messages.pose_array(message.pose)
        except Any2AnyError:  # it is not known yet
            return
        self.views.add_pose(messages.time_ns(message.header.stamp), pose, self._node.now_ns())

    def _detections(self, message: Any) -> None:
        boxes = []
        limits.check("detections", len(message.detections), limits.BOXES, "boxes", "Raise the detector's threshold")
        for detection in message.detections:
            centre, w, h = detection.bbox.center.position, detection.bbox.size_x, detection.bbox.size_y
            corners = np.array([centre.x - w / 2, centre.y - h / 2, centre.x + w / 2, centre.y + h / 2])
            if np.abs(corners).max() < LARGEST:  # NaN is not
                boxes.append(tuple(np.round(corners).astype(int).tolist()))
            else:
                self._refuse(NO_BOX)
        self.views.add_boxes(messages.time_ns(message.header.stamp), tuple(boxes), self._node.now_ns())

    def _refuse(self, error: Any2AnyError) -> None:
        self.refused.tick(self._node.now_ns())
        self.error = str(error)
        self._node.get_logger().warning(self.error, throttle_duration_sec=5.0)
