"""Where the robot is known to be before it looks: by a pose or a satellite fix on a topic."""

from __future__ import annotations

from typing import Any

import numpy as np
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import NavSatFix

from any2any_ros.arrays import Float64
from any2any_ros.errors import Any2AnyError
from any2any_ros.localization.region import EVERYWHERE, Region
from any2any_ros.node_config import RetrievalNodeConfig
from any2any_ros.nodes import messages
from any2any_ros.nodes.lifecycle import ManagedNode
from any2any_ros.retrieval.localizer import Localizer
from any2any_ros.samples import NS

TYPES = {"pose": PoseWithCovarianceStamped, "fix": NavSatFix}


class Prior:
    """Keeps the newest message of a topic; `region` returns where it says that the robot is."""

    def __init__(self, node: ManagedNode, localizer: Localizer, hit_radius: float) -> None:
        """hit_radius: m, of the smallest region: two places may be as far from each other."""
        self._node, self._localizer, self._least = node, localizer, 2 * hit_radius
        self._subscription: Any = None
        self._region, self._stamp_ns = EVERYWHERE, 0

    def open(self, config: RetrievalNodeConfig) -> None:
        """Subscribe to `config.prior`; do nothing when it is empty."""
        self._age = int(config.prior_age * NS)
        if config.prior:
            receive = {"pose": self._receive_pose, "fix": self._receive_fix}[config.prior_type]
            self._subscription = self._node.create_subscription(
                TYPES[config.prior_type], config.prior, receive, qos_profile_sensor_data
            )

    def close(self) -> None:
        """Unsubscribe, and forget the message."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        self._subscription, self._region = None, EVERYWHERE

    def region(self) -> Region:
        """Return where the robot is; EVERYWHERE while nothing recent says it."""
        old = abs(self._node.now_ns() - self._stamp_ns) > self._age
        return EVERYWHERE if old else self._region

    def _receive_pose(self, message: PoseWithCovarianceStamped) -> None:
        reference = self._localizer.reference
        if reference is not None and message.header.frame_id not in ("", reference.frame_id):
            why = f"its frame is '{message.header.frame_id}', that of the map '{reference.frame_id}'"
            return self._refuse(why, "Publish it in the map's frame")
        try:
            pose = messages.pose_array(message.pose.pose)
            self._use(pose, np.array(message.pose.covariance).reshape(6, 6))
        except Any2AnyError as error:
            self._refuse(error.why, error.remedy)

    def _receive_fix(self, message: NavSatFix) -> None:
        from any2any_ros.data import earth  # pymap3d, which only such a robot needs

        reference = self._localizer.reference
        if reference is None or reference.origin is None:
            return self._refuse("the map has no origin on Earth", "Build the map with poses from satellites")
        why = earth.fault(message.latitude, message.longitude) or ("it has no fix" if message.status.status < 0 else "")
        if why:
            return self._refuse(why, "Wait for a fix")
        fix = np.array([[message.latitude, message.longitude, message.altitude]])
        pose, covariance = np.eye(4), np.zeros((6, 6))
        pose[:3, 3] = earth.metres(fix, reference.origin)[0]
        covariance[:3, :3] = np.array(message.position_covariance).reshape(3, 3)
        if message.position_covariance_type == NavSatFix.COVARIANCE_TYPE_UNKNOWN:
            return self._refuse("the receiver does not say how far it errs", "Let it fill in the covariance")
        try:
            self._use(pose, covariance)
        except Any2AnyError as error:
            self._refuse(error.why, error.remedy)

    def _use(self, pose: Float64, covariance: Float64) -> None:
        self._region, self._stamp_ns = Region.around(pose, covariance, self._least), self._node.now_ns()

    def _refuse(self, why: str, remedy: str) -> None:
        error = Any2AnyError("A prior cannot be used", why, remedy)
        self._node.get_logger().warning(str(error), throttle_duration_sec=5.0)
