"""Colour, depth, intrinsics and the camera's pose, put together by their stamps; whichever of the two is alive."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, Image

from any2any_ros import samples
from any2any_ros.config import GroundingNodeConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes import messages
from any2any_ros.nodes.rate import Rate
from any2any_ros.objects.grounder import Look
from any2any_ros.objects.proposals import Box
from any2any_ros.samples import NS

KEPT = 30  # poses, pictures of each kind, detections
KINDS = ("camera", "depth")


class Cameras:
    """Subscribes while it is open, and hands over a Look for every moment of the cameras that are alive."""

    def __init__(self, node: Node, config: GroundingNodeConfig, look: Callable[[Look], None]) -> None:
        """look: takes what is seen; it must not take long."""
        self._node, self._config, self._look = node, config, look
        self._subscriptions: list[Any] = []
        self.rates = {kind: Rate() for kind in KINDS}
        self.refused, self.error = 0, ""
        self.reset()

    def reset(self) -> None:
        self._pictures: dict[str, deque[tuple[int, Any]]] = {kind: deque(maxlen=KEPT) for kind in KINDS}
        self._poses: deque[tuple[int, Any]] = deque(maxlen=KEPT)
        self._boxes: deque[tuple[int, tuple[Box, ...]]] = deque(maxlen=KEPT)
        self._intrinsics: Any = None

    def open(self) -> None:
        c, listen = self._config, self._node.create_subscription
        self._subscriptions = [
            listen(Image, c.rgb_topic, lambda m: self._picture("camera", "image", m), qos_profile_sensor_data),
            listen(Image, c.depth_topic, lambda m: self._picture("depth", "depth", m), qos_profile_sensor_data),
            listen(CameraInfo, c.info_topic, self._info, qos_profile_sensor_data),
            listen(PoseStamped, c.pose_topic, self._pose, qos_profile_sensor_data),
        ]
        if c.detections_topic:
            detections = messages.message_class("vision_msgs/msg/Detection2DArray")
            self._subscriptions.append(listen(detections, c.detections_topic, self._detections, 10))

    def close(self) -> None:
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []
        self.reset()

    @property
    def alive(self) -> tuple[str, ...]:
        """Return which of camera and depth were heard of lately."""
        now = self._node.now_ns()
        return tuple(kind for kind in KINDS if self.rates[kind].age(now) <= self._config.source_timeout)

    def _picture(self, kind: str, decoded_as: str, message: Image) -> None:
        now = self._node.now_ns()
        try:
            picture = samples.decode("sensor_msgs/msg/Image", message, decoded_as)
        except Any2AnyError as error:
            self._complain(error)
            return
        self.rates[kind].tick(now)
        stamp = samples.stamp_ns(message) or now
        self._pictures[kind].append((stamp, picture))
        self._try(stamp)

    def _info(self, message: CameraInfo) -> None:
        matrix = np.array(message.k, dtype=np.float64).reshape(3, 3)
        if np.isfinite(matrix).all() and matrix[0, 0] > 0 and matrix[1, 1] > 0:
            self._intrinsics = matrix
        else:
            self._complain(Any2AnyError("Cannot use the intrinsics", "they are not those of a camera", "Calibrate it"))

    def _pose(self, message: PoseStamped) -> None:
        try:
            pose = messages.pose_array(message.pose)
        except ValueError:  # a quaternion of zeros
            return
        if np.isfinite(pose).all():
            stamp = messages.time_ns(message.header.stamp)
            self._poses.append((stamp, pose))
            self._try(stamp)

    def _detections(self, message: Any) -> None:
        boxes = []
        for detection in message.detections:
            centre, w, h = detection.bbox.center.position, detection.bbox.size_x, detection.bbox.size_y
            x, y = centre.x, centre.y
            boxes.append((round(x - w / 2), round(y - h / 2), round(x + w / 2), round(y + h / 2)))
        stamp = messages.time_ns(message.header.stamp)
        self._boxes.append((stamp, tuple(boxes)))
        self._try(stamp)

    def _try(self, stamp: int) -> None:
        """Hand over the moment around this stamp as soon as everything that is alive has come."""
        pose, pictures = self._near(self._poses, stamp), {k: self._near(self._pictures[k], stamp) for k in self.alive}
        boxes = self._near(self._boxes, stamp) if self._config.detections_topic else ()
        if pose is None or boxes is None or self._intrinsics is None or not pictures:
            return
        if any(p is None for p in pictures.values()):
            return
        given = boxes if self._config.detections_topic else None
        try:
            look = Look(stamp, self._intrinsics, pose, pictures.get("camera"), pictures.get("depth"), given)
        except Any2AnyError as error:
            self._complain(error)
            return
        self._forget(stamp)
        self._look(look)

    def _near(self, items: deque[tuple[int, Any]], stamp: int) -> Any:
        nearest = min(items, key=lambda item: abs(item[0] - stamp), default=None)
        return None if nearest is None or abs(nearest[0] - stamp) > self._config.slop * NS else nearest[1]

    def _forget(self, stamp: int) -> None:
        """A picture is looked at once; one that comes after a clock's jump back is not older than it."""
        for waiting in self._pictures.values():
            kept = [item for item in waiting if item[0] > stamp + self._config.slop * NS]
            waiting.clear()
            waiting.extend(kept)

    def _complain(self, error: Any2AnyError) -> None:
        self.refused, self.error = self.refused + 1, str(error)
        self._node.get_logger().warning(self.error, throttle_duration_sec=5.0)
