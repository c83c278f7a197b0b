"""The localization node over real DDS: rankings and odometry in; a state, map -> odom and initial poses out."""

import numpy as np
import pytest
from geometry_msgs.msg import PoseWithCovarianceStamped
from nav_msgs.msg import Odometry
from rclpy.qos import DurabilityPolicy, QoSProfile
from tf2_msgs.msg import TFMessage

from any2any_ros import msg
from any2any_ros.localization import planar
from any2any_ros.nodes import messages
from any2any_ros.nodes.localization_node import LocalizationNode
from any2any_ros.ranking import Match, Ranking

NS = 10**9
BEGIN = 1_700_000_000 * NS
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
START = np.array([20.0, 5.0, 0.5])  # where the odometry begins, in the map
COVARIANCE = np.diag([0.04, 0.04, 0.001])


def match(pose, name="place", probability=0.97, covariance=COVARIANCE):
    return Match(name, probability, 1.0, planar.matrix(pose), np.empty((0, 0)), covariance=covariance)


class Robot:
    """Drives straight on, a metre a second, and hears the node."""

    def __init__(self, bench, **parameters):
        self.bench, self.node = bench, bench.node(LocalizationNode, **parameters)
        self.states = bench.listen(msg.Localization, "localization", LATCHED)
        self.odometry, self.rankings = bench.publisher(Odometry, "odom"), bench.publisher(msg.Ranking, "matches")
        self.second = 0

    def drive(self, *matches, accepted=True, carried=0.0):
        """Drive a metre, and get an answer; without matches the right one. carried: m that odometry does not see."""
        self.second += 1
        stamp, way = BEGIN + self.second * NS, np.array([float(self.second), 0.0, 0.0])
        odometry = Odometry(child_frame_id="base_link", pose=_with(planar.matrix(way)))
        odometry.header.stamp, odometry.header.frame_id = messages.time_message(stamp), "odom"
        self.odometry.publish(odometry)
        frames = self.node._odometry
        self.bench.until(lambda: frames.pose(stamp, "") is not None)
        true = planar.after(START, way + np.array([carried, 0, 0]))
        found = matches or (match(true),)
        count = len(self.states)
        self.rankings.publish(
            messages.ranking_message(Ranking(found, ("lidar",), accepted=accepted, stamp_ns=stamp), "map")
        )
        self.bench.until(lambda: len(self.states) > count)
        return self.states[-1]


def _with(pose):
    from geometry_msgs.msg import PoseWithCovariance

    return PoseWithCovariance(pose=messages.pose_message(pose))


def test_answers_that_agree_make_it_localized_and_a_late_listener_hears_it(bench):
    robot = Robot(bench)
    found = [robot.drive() for _ in range(4)]
    assert [f.state for f in found] == [0, 2, 2, 2]
    last = found[-1]
    expected = planar.after(START, np.array([4.0, 0, 0]))
    assert last.header.frame_id == "map" and last.pose.pose.position.x == pytest.approx(expected[0], abs=1e-3)
    assert np.isnan(found[0].pose.pose.position.x) and 0 < last.pose.covariance[0] < 0.1
    late = []
    bench.peer.create_subscription(msg.Localization, "localization", late.append, LATCHED)
    bench.until(lambda: late)
    assert late[0].state == 2 and late[0].places == ["place"]
    (line,) = robot.node.status()
    assert "localized" in line.message


def test_map_to_odom_is_published_while_localized(bench):
    robot, heard = Robot(bench, publish_tf=True), bench.listen(TFMessage, "/tf")
    robot.drive()
    bench.spin(0.2)
    assert not heard
    for _ in range(3):
        robot.drive()
    bench.until(lambda: heard)
    (transform,) = heard[-1].transforms
    assert (transform.header.frame_id, transform.child_frame_id) == ("map", "odom")
    assert transform.transform.translation.x == pytest.approx(20.0, abs=1e-3)
    assert transform.transform.rotation.z == pytest.approx(np.sin(0.25), abs=1e-3)
    for _ in range(4):
        last = robot.drive(match(np.array([500.0, 0, 0])), carried=0)
    assert last.state in (3, 0)
    bench.spin(0.1)
    heard.clear()
    bench.spin(0.3)
    assert not heard


def test_another_localizer_is_told_once_and_not_while_it_is_healthy(bench):
    robot = Robot(bench, initial_pose=True, rest=0.0)
    told, health = (
        bench.listen(PoseWithCovarianceStamped, "initialpose"),
        bench.publisher(PoseWithCovarianceStamped, "amcl_pose"),
    )
    for _ in range(6):
        robot.drive()
    bench.until(lambda: told)
    bench.spin(0.2)
    assert len(told) == 1 and told[0].header.frame_id == "map"
    healthy = PoseWithCovarianceStamped()
    healthy.pose.covariance[0] = healthy.pose.covariance[7] = 0.01
    health.publish(healthy)
    bench.until(lambda: robot.node._handover.healthy(robot.node._handover._heard_ns))
    places = [robot.drive(carried=300.0).pose.pose.position.x for _ in range(8)]
    assert places[0] < 100 < 200 < places[-1] and len(told) == 1  # it was relocalized, and nobody was told
    healthy.pose.covariance[0] = 25.0
    health.publish(healthy)
    bench.until(lambda: not robot.node._handover.healthy(robot.node._handover._heard_ns))
    robot.drive(carried=300.0)
    bench.until(lambda: len(told) == 2)


def test_when_odometry_stops_the_transform_stops_and_no_callback_fails(bench):
    robot, heard = Robot(bench, publish_tf=True), bench.listen(TFMessage, "/tf")
    for _ in range(3):
        robot.drive()
    bench.until(lambda: heard)
    later = Ranking((match(START),), ("lidar",), accepted=True, stamp_ns=BEGIN + 9 * NS)
    count = len(robot.states)
    robot.rankings.publish(messages.ranking_message(later, "map"))
    bench.until(lambda: len(robot.states) > count)
    assert robot.states[-1].state == 0 and "odometry" in robot.states[-1].why
    bench.spin(0.1)
    heard.clear()
    bench.spin(0.3)
    assert not heard


def test_after_a_jump_of_the_clock_a_late_listener_hears_no_old_place(bench):
    robot = Robot(bench)
    for _ in range(3):
        last = robot.drive()
    assert last.state == 2
    robot.node._forget(None)
    late = []
    bench.peer.create_subscription(msg.Localization, "localization", late.append, LATCHED)
    bench.until(lambda: late)
    assert late[-1].state == 0 and np.isnan(late[-1].pose.pose.position.x)


def test_without_odometry_it_says_so(bench):
    node, states = bench.node(LocalizationNode), bench.listen(msg.Localization, "localization", LATCHED)
    publisher = bench.publisher(msg.Ranking, "matches")
    publisher.publish(
        messages.ranking_message(Ranking((match(START),), ("lidar",), accepted=True, stamp_ns=BEGIN), "map")
    )
    bench.until(lambda: states)
    assert states[0].state == 0 and "odometry" in states[0].why and node.status()


def test_garbage_on_its_topics_ends_nothing(bench):
    robot = Robot(bench, initial_pose=True)
    broken = msg.Ranking(modalities=["lidar"], reference_modalities=["lidar"], matches=[msg.Match(id="a")])
    robot.rankings.publish(broken)
    odometry = Odometry()
    odometry.pose.pose.position.x = float("nan")
    robot.odometry.publish(odometry)
    health = bench.publisher(PoseWithCovarianceStamped, "amcl_pose")
    bad = PoseWithCovarianceStamped()
    bad.pose.covariance[0] = float("nan")
    health.publish(bad)
    bench.spin(0.3)
    assert [robot.drive().state for _ in range(4)][-1] == 2
