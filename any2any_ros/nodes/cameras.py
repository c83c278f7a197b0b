"""Subscribes to colour, depth, intrinsics, the camera's pose and detections, and turns them into camera views."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data as SENSOR_DATA

from any2any_ros import limits, names, samples
from any2any_ros.arrays import Float64
from any2any_ros.errors import Any2AnyError
from any2any_ros.node_config import GroundingNodeConfig
from any2any_ros.nodes import messages
from any2any_ros.nodes.camera_pose import CameraPose
from any2any_ros.nodes.endpoints import own_mismatch
from any2any_ros.nodes.missed import Missed
from any2any_ros.nodes.rate import Rate
from any2any_ros.nodes.views import KINDS, Views
from any2any_ros.objects import lens
from any2any_ros.objects.camera_view import CameraView

IMAGE = "sensor_msgs/msg/Image"
COMPRESSED = "sensor_msgs/msg/CompressedImage"
COMPRESSED_TOPICS = ("/compressed", "/compressedDepth")
RECTIFIED = "image_rect"  # in the name of a topic: image_proc has taken the distortion out, and p holds
DETECTIONS = "vision_msgs/msg/Detection2DArray"
LARGEST = 1e6  # pixels: a coordinate beyond lies in no picture
NO_BOX = Any2AnyError("A detection cannot be used", "its box is not finite or lies in no picture", "Check the detector")
NO_INTRINSICS = Any2AnyError(
    "Cannot use the intrinsics", "the matrix k of CameraInfo, or p of a rectified one, has no focal lengths",
    "Calibrate the camera",
)  # fmt: skip


class Cameras:
    """Subscribes while it is open, and makes one CameraView for every moment of the cameras that are alive."""

    def __init__(self, node: Node, config: GroundingNodeConfig, on_view: Callable[[CameraView], None]) -> None:
        """on_view: takes each view. It runs in the executor's thread and must return quickly."""
        self._node, self._config = node, config
        self._subscriptions: list[Any] = []
        self.views = Views(config.slop, config.source_timeout, bool(config.detections_topic), self._view)
        self._on_view = on_view
        self._lens: tuple[str, Float64] = ("", np.empty(0))
        self._transforms = CameraPose(node, self._add_pose)
        self.refused, self.error = Rate(), ""
        self._missed: dict[str, Missed] = {}  # by topic

    def open(self) -> None:
        c = self._config
        self._subscriptions = [
            self._pictures(c.rgb_topic, "camera", "image"),
            self._pictures(c.depth_topic, "depth", "depth"),
            self._subscribe("sensor_msgs/msg/CameraInfo", c.info_topic, self._info),
        ]
        topic, frames = names.odometry(c.pose_topic)
        if frames:
            self._transforms.open(topic, frames)
        else:
            self._subscriptions.append(self._subscribe("geometry_msgs/msg/PoseStamped", topic, self._pose))
        if c.detections_topic:
            self._subscriptions.append(self._subscribe(DETECTIONS, c.detections_topic, self._detections, 10))

    def _pictures(self, topic: str, kind: str, decoded_as: str) -> Any:
        """Subscribe to pictures; the name of the topic says whether they are compressed, as image_transport does."""
        type_name = COMPRESSED if topic.endswith(COMPRESSED_TOPICS) else IMAGE
        return self._subscribe(type_name, topic, partial(self._picture, kind, type_name, decoded_as))

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
        self._transforms.close()
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

    def _picture(self, kind: str, type_name: str, decoded_as: str, message: Any) -> None:
        now = self._node.now_ns()
        picture = samples.decode(type_name, message, decoded_as)
        stamp = samples.stamp_ns(message) or now
        self.views.add_picture(kind, stamp, picture, now)
        self._transforms.want(stamp)

    def _info(self, message: Any) -> None:
        rectified = RECTIFIED in self._config.rgb_topic
        columns = np.array(message.p if rectified else message.k, dtype=np.float64).reshape(3, -1)
        matrix = columns[:, :3]
        if not (np.isfinite(matrix).all() and matrix[0, 0] > 0 and matrix[1, 1] > 0):
            raise NO_INTRINSICS
        numbers = np.array([] if rectified else message.d, dtype=np.float64)
        if np.any(numbers):
            lens.check(message.distortion_model, numbers)
        self._lens, self.views.intrinsics = (message.distortion_model, numbers), matrix

    def _view(self, view: CameraView) -> None:
        self._on_view(lens.straight(view, *self._lens))

    def _pose(self, message: Any) -> None:
        try:
            pose = messages.pose_array(message.pose)
        except Any2AnyError:  # it is not known yet
            return
        self.views.add_pose(messages.time_ns(message.header.stamp), pose, self._node.now_ns())

    def _add_pose(self, stamp_ns: int, pose: Float64) -> None:
        self.views.add_pose(stamp_ns, pose, self._node.now_ns())

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
