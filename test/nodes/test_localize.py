"""The action `localize` over real DDS: a robot sends what it sees, and asks where it is."""

from dataclasses import replace

import numpy as np
import pytest
from geometry_msgs.msg import PoseWithCovarianceStamped
from rclpy.action import ActionClient
from retrieval_robot import FAST, NS, Robot, Sure
from sensor_msgs.msg import NavSatFix

from any2any_ros import action
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.nodes.retrieval_node import RetrievalNode
from any2any_ros.retrieval import calibration
from any2any_ros.retrieval.calibration import Calibration
from any2any_ros.retrieval.retriever import Retriever

Result = action.Localize.Result
CODES = {
    value: name for name in dir(Result) if name.isupper() for value in [getattr(Result, name)] if type(value) is int
}


class OfOne(Sure):
    """A confidence that accepts everything, and thinks of one place."""

    def probability(self, candidates, modalities):
        return np.array([0.9, *[0.0] * (len(candidates.near) - 1)])


class Asking(Robot):
    """A robot that asks where it is."""

    def __init__(self, bench, reference, node):
        super().__init__(bench, reference)
        self.node, self.client, self.second = node, ActionClient(bench.peer, action.Localize, "localize"), 0
        self.feedback = []
        bench.until(self.client.server_is_ready)

    def ask(self, **goal):
        """Send a goal; return its handle and the future of its result."""
        sent = self.client.send_goal_async(action.Localize.Goal(**goal), lambda m: self.feedback.append(m.feedback))
        self.bench.until(sent.done)
        return sent.result(), sent.result().get_result_async()

    def look(self, place, *modalities):
        """See a place, and wait for the answer."""
        self.second += 1
        for modality in modalities or ("camera", "lidar"):
            self.see(modality, place, self.second * NS)
        return self.answer()

    def told(self, future):
        self.bench.until(future.done)
        found = future.result().result
        return CODES[found.error_code], found


@pytest.fixture
def robot(bench, small_map):
    return started(bench, small_map)


def started(bench, small_map, confidence=OfOne(1), **parameters):
    folder, reference = small_map
    node = bench.node(RetrievalNode, map=str(folder), **(FAST | {"source_timeout": 30.0} | parameters))
    fitted = Calibration(RawMean(), None, reference.fingerprints, 5.0)
    fitted = replace(fitted, confidence=confidence) if confidence else fitted
    node.localizer.map.retriever = Retriever(node.localizer.map.reference, fitted)
    return Asking(bench, reference, node)


def test_two_looks_at_a_place_say_where_it_is(robot):
    _, future = robot.ask(timeout=30.0)
    robot.look(3), robot.look(3)
    code, found = robot.told(future)
    assert code == "LOCALIZED" and list(found.places) == ["place/03"] and found.probability == pytest.approx(0.9)
    assert found.pose.header.frame_id == "map" and found.pose.pose.pose.position.x == pytest.approx(30.0)
    assert found.pose.pose.covariance[0] > 0 and "place/03" in found.error_msg
    robot.bench.until(lambda: robot.feedback)
    assert list(robot.feedback[0].sensors) == ["camera", "lidar"] and robot.feedback[0].best == "place/03"


def test_only_the_sensors_of_the_goal_are_used(robot):
    _, future = robot.ask(timeout=30.0, sensors=["lidar"])
    for _ in range(2):
        robot.second += 1
        robot.see("camera", 9, robot.second * NS)
        robot.see("lidar", 3, robot.second * NS)
        robot.answer()
    code, found = robot.told(future)
    assert code == "LOCALIZED" and list(found.places) == ["place/03"]
    assert all(list(f.sensors) in ([], ["lidar"]) for f in robot.feedback)


def test_places_outside_the_region_are_no_candidates(robot):
    _, future = robot.ask(timeout=30.0, x=150.0, y=0.0, radius=35.0)
    for _ in range(20):
        robot.look(3)
        if future.done():
            break
    code, found = robot.told(future)
    assert code == "LOCALIZED" and 11 < int(found.places[0].split("/")[1]) < 19


def test_a_region_without_places_is_unmapped(robot):
    code, found = robot.told(robot.ask(timeout=30.0, y=900.0, radius=10.0)[1])
    assert code == "UNMAPPED" and "no place in the region" in found.error_msg
    assert np.isnan(found.pose.pose.pose.position.x)


def test_the_time_is_up(robot):
    code, found = robot.told(robot.ask(timeout=0.3)[1])
    assert code == "NO_SENSOR" and "check the encoders" in found.error_msg and not found.places
    _, future = robot.ask(timeout=0.6)
    robot.look(3)
    assert robot.told(future)[0] in ("TIMED_OUT", "AMBIGUOUS")


def test_it_can_be_canceled_and_a_newer_goal_replaces_it(robot):
    handle, future = robot.ask(timeout=60.0)
    canceled = handle.cancel_goal_async()
    robot.bench.until(canceled.done)
    assert robot.told(future)[0] == "CANCELED"
    _, first = robot.ask(timeout=60.0)
    second_handle, second = robot.ask(timeout=60.0)
    assert robot.told(first)[0] == "SUPERSEDED"
    robot.look(5), robot.look(5)
    assert robot.told(second)[0] == "LOCALIZED"
    late = second_handle.cancel_goal_async()
    robot.bench.until(late.done)
    assert not late.result().goals_canceling


NAN, INF = float("nan"), float("inf")
BAD = [
    ({"timeout": NAN}, "timeout"), ({"timeout": -1.0}, "timeout"), ({"timeout": INF}, "timeout"),
    ({"radius": -1.0}, "radius"), ({"radius": NAN}, "radius"), ({"radius": INF}, "radius"),
    ({"x": NAN, "radius": 5.0}, "centre"), ({"y": INF, "radius": 5.0}, "centre"), ({"x": 4.0}, "radius is 0"),
    ({"yaw": NAN, "yaw_range": 0.1}, "heading"), ({"yaw_range": -0.1}, "yaw_range"), ({"yaw": 1.0}, "yaw_range is 0"),
    ({"sensors": ["thermal"]}, "camera, lidar"), ({"sensors": [""]}, "camera, lidar"),
]  # fmt: skip


def test_goals_that_cannot_be_used_are_refused_and_say_why(robot):
    for goal, why in BAD:
        code, found = robot.told(robot.ask(**goal)[1])
        assert code == "BAD_GOAL" and why in found.error_msg, goal
    _, future = robot.ask(timeout=30.0)
    robot.look(3), robot.look(3)
    assert robot.told(future)[0] == "LOCALIZED"


def test_a_map_without_calibration_and_no_map_are_told(bench, small_map):
    robot = started(bench, small_map, None)
    assert robot.told(robot.ask()[1])[0] == "NOT_CALIBRATED"
    robot.node.localizer.close()
    assert robot.told(robot.ask()[1])[0] == "NO_MAP"


def test_when_the_node_is_deactivated_its_goal_ends(robot):
    _, future = robot.ask(timeout=60.0)
    robot.node.trigger_deactivate()
    assert robot.told(future)[0] == "NOT_ACTIVE"
    assert robot.told(robot.ask()[1])[0] == "NOT_ACTIVE"


def test_another_map_ends_it(robot):
    _, future = robot.ask(timeout=60.0)
    robot.node.localizer.map = replace(robot.node.localizer.map)
    robot.look(3)
    assert robot.told(future)[0] == "NO_MAP"


def pose_at(x, variance=25.0, frame="map"):
    out = PoseWithCovarianceStamped()
    out.header.frame_id, out.pose.pose.position.x, out.pose.pose.orientation.w = frame, x, 1.0
    out.pose.covariance[0] = out.pose.covariance[7] = variance
    return out


def test_a_prior_limits_goals_without_a_region(bench, small_map):
    robot = started(bench, small_map, prior="last_pose", prior_age=2.0)
    prior = bench.publisher(PoseWithCovarianceStamped, "last_pose")
    for bad in (pose_at(NAN), pose_at(150.0, 0.0), pose_at(150.0, NAN), pose_at(150.0, frame="odom")):
        prior.publish(bad)
    bench.spin(0.2)
    assert robot.node._localize.prior.region().everywhere
    prior.publish(pose_at(150.0))
    bench.until(lambda: not robot.node._localize.prior.region().everywhere)
    assert robot.node._localize.prior.region().radius == pytest.approx(15.0)
    _, future = robot.ask(timeout=30.0)
    for _ in range(20):
        robot.look(3)
        if future.done():
            break
    assert 13 <= int(robot.told(future)[1].places[0].split("/")[1]) <= 17
    bench.until(lambda: robot.node._localize.prior.region().everywhere)  # it is too old


def test_a_fix_is_a_prior_where_the_map_knows_where_on_earth_it_is(bench, small_map):
    robot = started(bench, small_map, prior="fix", prior_type="fix")
    fixes = bench.publisher(NavSatFix, "fix")
    fix = NavSatFix(latitude=49.0, longitude=8.0, altitude=100.0, position_covariance_type=2)
    fix.status.status = 0
    fix.position_covariance = (9.0 * np.eye(3)).ravel()
    fixes.publish(fix)
    bench.spin(0.2)
    assert robot.node._localize.prior.region().everywhere  # the map has no origin
    opened = robot.node.localizer.map
    opened.reference = replace(opened.reference, origin=(49.0, 8.0, 100.0))
    lost = NavSatFix(latitude=49.0, longitude=8.0, position_covariance_type=2)
    lost.status.status = -1
    for bad in (NavSatFix(latitude=NAN), NavSatFix(), lost, NavSatFix(latitude=49.0, longitude=8.0)):
        fixes.publish(bad)
    bench.spin(0.2)
    assert robot.node._localize.prior.region().everywhere
    fixes.publish(fix)
    bench.until(lambda: not robot.node._localize.prior.region().everywhere)
    found = robot.node._localize.prior.region()
    assert (found.x, found.y) == pytest.approx((0, 0), abs=1e-3) and found.radius == pytest.approx(10.0)


def test_a_map_saved_with_a_calibration_answers(bench, small_map):
    """As a user has it: nothing is put into the node by the test."""
    folder, reference = small_map
    calibration.save(Calibration(RawMean(), None, reference.fingerprints, 5.0), folder)
    robot = Asking(bench, reference, bench.node(RetrievalNode, map=str(folder), **FAST))
    assert robot.told(robot.ask()[1])[0] == "NOT_CALIBRATED"
