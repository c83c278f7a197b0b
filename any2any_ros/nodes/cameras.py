"""Combines colour, depth, intrinsics and the camera's pose into camera views, by their stamps."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
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
from any2any_ros.nodes.inbox import Newest
from any2any_ros.nodes.lost import Lost
from any2any_ros.nodes.rate import Rate
from any2any_ros.objects.camera_view import CameraView
from any2any_ros.objects.proposals import Box
from any2any_ros.samples import NS

WAITING = 30  # poses, pictures of each kind, and detections that wait for the rest of their view
KINDS = ("camera", "depth")
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
        self._node, self._config, self._on_view = node, config, on_view
        self._subscriptions: list[Any] = []
        self.rates = {kind: Rate() for kind in KINDS}
        self.refused, self.error = Rate(), ""
        self.lost = {kind: Lost() for kind in KINDS}
        self._pictures: dict[str, Newest[tuple[int, Any]]] = {kind: Newest(WAITING) for kind in KINDS}
        self._unused = 0  # pictures that an other view has made obsolete
        self.reset()

    def reset(self) -> None:
        """Forget all messages."""
        for pictures in self._pictures.values():
            pictures.clear()
        self._poses: deque[tuple[int, Any]] = deque(maxlen=WAITING)
        self._boxes: deque[tuple[int, tuple[Box, ...]]] = deque(maxlen=WAITING)
        self._intrinsics: Any = None

    def open(self) -> None:
        c = self._config
        self._subscriptions = [
            self._subscribe(IMAGE, c.rgb_topic, partial(self._picture, "camera", "image"), lost=self.lost["camera"]),
            self._subscribe(IMAGE, c.depth_topic, partial(self._picture, "depth", "depth"), lost=self.lost["depth"]),
            self._subscribe("sensor_msgs/msg/CameraInfo", c.info_topic, self._info),
            self._subscribe("geometry_msgs/msg/PoseStamped", c.pose_topic, self._pose),
        ]
        if c.detections_topic:
            self._subscriptions.append(self._subscribe(DETECTIONS, c.detections_topic, self._detections, 10))

    def _subscribe(
        self, type_name: str, topic: str, take: Callable[[Any], None], qos: Any = SENSOR_DATA, lost: Lost | None = None
    ) -> Any:
        """Subscribe to serialised messages: rclpy would drop those that it cannot read without a word."""
        read, lost = messages.reader(type_name), lost or Lost()

        def receive(raw: bytes, info: dict[str, Any]) -> None:
            lost.take(info)
            try:
                take(read(raw))
            except Any2AnyError as error:
                self._refuse(error)

        return self._node.create_subscription(messages.message_class(type_name), topic, receive, qos, raw=True)

    def close(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        self.reset()

    @property
    def dropped(self) -> int:
        """Return how many pictures are in no view, because newer ones came before the rest of their view."""
        return self._unused + sum(pictures.dropped for pictures in self._pictures.values())

    @property
    def alive(self) -> tuple[str, ...]:
        """Return which of camera and depth have sent a picture within `source_timeout`."""
        now = self._node.now_ns()
        return tuple(kind for kind in KINDS if self.rates[kind].age(now) <= self._config.source_timeout)

    def state(self) -> tuple[bytes, str]:
        """Return level and text for the diagnostics: which cameras are alive, and what was refused a moment ago."""
        alive, now = self.alive, self._node.now_ns()
        level, text = DiagnosticStatus.OK, f"sees by {' and '.join(alive)}"
        if not alive:
            level, text = DiagnosticStatus.ERROR, "no camera is alive"
        elif len(alive) < len(KINDS):
            level, text = DiagnosticStatus.WARN, f"{text} alone"
        if self.refused.age(now) <= self._config.source_timeout:
            level, text = max(level, DiagnosticStatus.WARN), f"{text}; some messages are refused: {self.error}"
        return level, text

    def _picture(self, kind: str, decoded_as: str, message: Any) -> None:
        now = self._node.now_ns()
        picture = samples.decode(IMAGE, message, decoded_as)
        self.rates[kind].tick(now)
        stamp = samples.stamp_ns(message) or now
        self._pictures[kind].put((stamp, picture), picture.nbytes)
        self._combine(stamp)

    def _info(self, message: Any) -> None:
        matrix = np.array(message.k, dtype=np.float64).reshape(3, 3)
        if np.isfinite(matrix).all() and matrix[0, 0] > 0 and matrix[1, 1] > 0:
            self._intrinsics = matrix
        else:
            raise NO_INTRINSICS

    def _pose(self, message: Any) -> None:
        try:
            pose = messages.pose_array(message.pose)
        except Any2AnyError:  # it is not known yet
            return
        stamp = messages.time_ns(message.header.stamp)
        self._poses.append((stamp, pose))
        self._combine(stamp)

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
        stamp = messages.time_ns(message.header.stamp)
        self._boxes.append((stamp, tuple(boxes)))
        self._combine(stamp)

    def _combine(self, stamp: int) -> None:
        """Make the view around this stamp, as soon as a picture of every camera that is alive has arrived."""
        pose, pictures = self._near(self._poses, stamp), {k: self._near(self._pictures[k], stamp) for k in self.alive}
        with_detector = bool(self._config.detections_topic)
        boxes = self._near(self._boxes, stamp) if with_detector else None
        if pose is None or self._intrinsics is None or (with_detector and boxes is None) or not pictures:
            return
        if any(p is None for p in pictures.values()):
            return
        view = CameraView(stamp, self._intrinsics, pose, pictures.get("camera"), pictures.get("depth"), boxes)
        self._unused -= len(pictures)
        self._drop_until(stamp)
        self._on_view(view)

    def _near(self, items: Iterable[tuple[int, Any]], stamp: int) -> Any:
        """Return the item nearest to a stamp; None when it is more than `slop` away."""
        nearest = min(items, key=lambda item: abs(item[0] - stamp), default=None)
        return None if nearest is None or abs(nearest[0] - stamp) > self._config.slop * NS else nearest[1]

    def _drop_until(self, stamp: int) -> None:
        """Drop the pictures of this view and all before it: each picture is used once.

        After a jump of the clock back, pictures from before the jump have later stamps and stay.
        """
        until = stamp + self._config.slop * NS
        self._unused += sum(pictures.keep(lambda item: item[0] > until) for pictures in self._pictures.values())

    def _refuse(self, error: Any2AnyError) -> None:
        self.refused.tick(self._node.now_ns())
        self.error = str(error)
        self._node.get_logger().warning(self.error, throttle_duration_sec=5.0)
