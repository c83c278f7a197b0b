"""A robot along a street whose localizer and lifecycle manager are small ones that use the topics of AMCL and Nav2."""

import mounted_drives
import numpy as np
from bag_files import STORE
from geometry_msgs.msg import PoseWithCovariance, PoseWithCovarianceStamped
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from nav_msgs.msg import Odometry
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import PointCloud2

from any2any_ros import msg
from any2any_ros.localization import planar
from any2any_ros.nodes import messages

NS = 10**9
BEGIN = 1_700_000_000
STATES = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
KNOWS, LOST = 0.01, 25.0  # m^2, variances of x and y
SETTLE = 0.5  # s until a node that has just started knows the reader of its reply, too
NEAR = 1.0  # m from the truth up to which its scans fit its map


class Manager:
    """Configures and activates nodes as Nav2's lifecycle manager does, without bonds."""

    def __init__(self, bench, names):
        for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
            for name in names:
                client = bench.peer.create_client(ChangeState, f"{name}/change_state")
                bench.until(client.service_is_ready, 30.0)
                bench.spin(SETTLE)
                future = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
                bench.until(future.done, 30.0)
                assert future.result().success, name


class StandIn:
    """A localizer: it begins at `initialpose`, follows odometry, and publishes `amcl_pose`.

    Its covariance is small while its scans fit, which they do near the true place.
    """

    def __init__(self, bench):
        self.bench, self.pose, self.told = bench, None, []
        bench.peer.create_subscription(PoseWithCovarianceStamped, "initialpose", self._begin, 10)
        self.publisher = bench.publisher(PoseWithCovarianceStamped, "amcl_pose")

    def _begin(self, message):
        self.told.append(message)
        self.pose = planar.of(messages.pose_array(message.pose.pose))

    def off(self, true):
        """Return how far it is from the truth, m."""
        return np.inf if self.pose is None else float(np.hypot(*(self.pose - true)[:2]))

    def drive(self, motion, true):
        """Follow a motion (3,) by odometry, and publish. true (3,)."""
        self.pose = None if self.pose is None else planar.after(self.pose, motion)
        out = PoseWithCovarianceStamped()
        out.header.frame_id = "map"
        out.pose.pose = messages.pose_message(planar.matrix(np.zeros(3) if self.pose is None else self.pose))
        out.pose.covariance[0] = out.pose.covariance[7] = KNOWS if self.off(true) < NEAR else LOST
        self.publisher.publish(out)


class Robot:
    """Drives along the street of mounted_drives, 2 m a step."""

    STEP = 2.0

    def __init__(self, bench):
        self.bench, self.localizer = bench, StandIn(bench)
        self.states = bench.listen(msg.Localization, "localization", STATES)
        self.lidar, self.wheels = bench.publisher(PointCloud2, "/lidar/points"), bench.publisher(Odometry, "odom")
        self.true, self.driven, self.second = np.array([4.0, 0.5, 0.0]), np.array([0.0, 0.0, 1.0]), 0

    def carry(self, x):
        """Put the robot down elsewhere; its odometry does not see it."""
        self.true = np.array([x, -0.5, 0.05])

    def drive(self, steps):
        """Drive so many steps; return the states after them."""
        found = []
        for _ in range(steps):
            motion = np.array([self.STEP, 0.0, 0.0])
            self.true, self.driven = planar.after(self.true, motion), planar.after(self.driven, motion)
            self.second += 1
            stamp = (BEGIN + self.second) * NS
            odometry = Odometry(child_frame_id="base_link")
            odometry.pose = PoseWithCovariance(pose=messages.pose_message(planar.matrix(self.driven)))
            odometry.header.stamp, odometry.header.frame_id = messages.time_message(stamp), "odom"
            self.wheels.publish(odometry)
            self.localizer.drive(motion, self.true)
            count = len(self.states)
            cloud = mounted_drives.cloud(
                mounted_drives.HOUSES, planar.matrix(self.true), mounted_drives.ORDINARY, stamp
            )
            self.lidar.publish(STORE.serialize_cdr(cloud, mounted_drives.CLOUD).tobytes())
            self.bench.until(lambda count=count: len(self.states) > count, 20.0)
            self.bench.spin(0.1)
            found.append(self.states[-1].state)
        return found
