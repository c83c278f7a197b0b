"""Where the robot is, as a node: rankings and odometry in; a guarded state, map -> odom and initial poses out.

ros2 run any2any_ros localization_node --ros-args -p odometry:=/odom -p publish_tf:=true
"""

from __future__ import annotations

import sys
import time

import numpy as np
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

import any2any_ros.msg as msg
from any2any_ros.errors import Any2AnyError
from any2any_ros.localization.answer import Answer
from any2any_ros.localization.guard import Guard, GuardConfig, Localization, State
from any2any_ros.localization.handover import Handover, HandoverConfig
from any2any_ros.localization.hypotheses import FollowConfig
from any2any_ros.node_config import LocalizationNodeConfig
from any2any_ros.nodes import localization_messages as converted
from any2any_ros.nodes import messages, parameters, runtime
from any2any_ros.nodes.lifecycle import ANY_JUMP_BACK, STEADY, ManagedNode, diagnostic
from any2any_ros.nodes.sensor_odometry import SensorOdometry

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
NOTHING = Localization(State.UNKNOWN, "no ranking has come since the node, or the clock, began")
WARNED = (State.LOST, State.AMBIGUOUS)


class LocalizationNode(ManagedNode):
    """Subscribes to `matches` and to odometry when activated."""

    def __init__(self) -> None:
        super().__init__("localization")
        self.config = parameters.declare(self, LocalizationNodeConfig)
        self._guard = Guard(parameters.declare(self, GuardConfig), parameters.declare(self, FollowConfig))
        self._handover = Handover(parameters.declare(self, HandoverConfig))
        self._odometry = SensorOdometry(self)
        self._active = False

    def configure(self) -> None:
        self._found, self._frame_id, self._told = NOTHING, "", 0
        self._states = self.create_lifecycle_publisher(msg.Localization, "localization", LATCHED)
        self._outlets = [self._states]
        if self.config.initial_pose:
            self._initial = self.create_lifecycle_publisher(PoseWithCovarianceStamped, "initialpose", 1)
            self._outlets.append(self._initial)
        if self.config.publish_tf:
            self._transforms = self.create_lifecycle_publisher(TFMessage, "/tf", 100)
            self._outlets.append(self._transforms)

    def activate(self) -> None:
        self._guard.reset()
        self._odometry.open(self.config.odometry)
        self._heard = [self.create_subscription(msg.Ranking, "matches", self._receive, 10)]
        if self.config.initial_pose:
            self._heard.append(
                self.create_subscription(PoseWithCovarianceStamped, self.config.localizer_pose, self._hear, 1)
            )
        self._jumps = self.get_clock().create_jump_callback(ANY_JUMP_BACK, post_callback=self._forget)
        self._timer = self.create_timer(1 / self.config.tf_rate, self._send_transform, clock=STEADY)
        self._active = True

    def deactivate(self) -> None:
        if self._active:
            self._active = False
            self._jumps.unregister()
            self.destroy_timer(self._timer)
            for subscription in self._heard:
                self.destroy_subscription(subscription)
            self._odometry.close()

    def cleanup(self) -> None:
        for publisher in self._outlets:
            self.destroy_lifecycle_publisher(publisher)

    def _receive(self, message: msg.Ranking) -> None:
        try:
            ranking = messages.ranking(message)
        except Any2AnyError as error:
            self.get_logger().error(str(error), throttle_duration_sec=5.0)
            return
        odometry = self._odometry.pose(ranking.stamp_ns, self.config.base_frame or self._odometry.frames[1])
        self._frame_id, before = message.header.frame_id, self._found.state
        self._found = found = self._guard.take(Answer.of(ranking, odometry))
        if found.state is not before:
            self.get_logger().info(f"{found.state.name.lower()}: {found.why}")
        self._states.publish(converted.localization_message(found, self._frame_id))
        if self.config.initial_pose and self._handover.tells(found, time.monotonic_ns()):
            self._initial.publish(converted.initial_pose(found, self._frame_id))
            self._told += 1

    def _hear(self, message: PoseWithCovarianceStamped) -> None:
        """Take a pose of the other localizer."""
        self._handover.hear(np.array(message.pose.covariance).reshape(6, 6), time.monotonic_ns())

    def _send_transform(self) -> None:
        if self.config.publish_tf and self._found.state is State.LOCALIZED:
            child = self._odometry.frames[0]
            sent = converted.transform(self._found, self.now_ns(), self._frame_id, child)
            self._transforms.publish(TFMessage(transforms=[sent]))

    def _forget(self, jump: object) -> None:
        self.get_logger().info("the clock jumped: where the robot was is forgotten")
        self._guard.reset()
        self._found = NOTHING
        self._states.publish(converted.localization_message(NOTHING, self._frame_id))  # it is latched

    def status(self) -> list[DiagnosticStatus]:
        if not self._active:
            return []
        found = self._found
        level = DiagnosticStatus.WARN if found.state in WARNED else DiagnosticStatus.OK
        text = f"{found.state.name.lower()}: {found.why}"
        line = diagnostic(
            level, f"{self.label}: place", text,
            probability=found.probability, odometry=self._odometry.state(self.now_ns()),
            places=", ".join(found.places), initial_poses=self._told,
        )  # fmt: skip
        return [line]


def main() -> int:
    return runtime.main(LocalizationNode)


if __name__ == "__main__":
    sys.exit(main())
