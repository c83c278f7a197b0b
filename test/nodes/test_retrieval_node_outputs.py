"""What the retrieval node publishes beside its matches: places, markers, diagnostics."""

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseWithCovarianceStamped
from retrieval_robot import NS, Sure, started
from visualization_msgs.msg import MarkerArray

from any2any_ros.trust.drift import Difference, DriftTest


@pytest.fixture
def robot(bench, small_map):
    return started(bench, *small_map)


def test_an_accepted_answer_becomes_a_place_and_markers(robot):
    robot.node.localizer.retriever.confidence = Sure()
    places = robot.bench.listen(PoseWithCovarianceStamped, "place")
    pictures = robot.bench.listen(MarkerArray, "markers", 1)
    robot.see("camera", 3, NS)
    heard = robot.answer()
    robot.bench.until(lambda: places and pictures)
    assert heard.accepted and heard.probability == pytest.approx(0.9) and len(heard.place_set) == 3
    assert heard.ambiguous  # places are 10 m apart
    pose = places[0].pose
    assert pose.pose.position.x == 30.0 and places[0].header.frame_id == "map"
    covariance = np.array(pose.covariance).reshape(6, 6)
    assert (np.linalg.eigvalsh(covariance) > 0).all() and covariance[0, 0] > 100  # as wide as the set
    kinds = {marker.ns for marker in pictures[0].markers}
    assert {"matches", "place_set"} <= kinds


def test_nothing_is_accepted_without_calibration(robot):
    places = robot.bench.listen(PoseWithCovarianceStamped, "place")
    robot.see("camera", 3, NS)
    heard = robot.answer()
    robot.bench.until(lambda: robot.node.localizer.alive)  # at the next look, well before it is stale
    line = robot.node.status()[0]
    assert line.level == DiagnosticStatus.WARN and "calibrate" in line.message
    robot.bench.spin(0.2)
    assert not heard.accepted and np.isnan(heard.probability) and not places


def test_diagnostics_name_every_sensor_of_the_map(robot):
    for i in range(1, 5):
        robot.see("camera", 3, i * NS // 10)
        robot.answer()
        robot.bench.spin(0.05)
    robot.bench.until(lambda: robot.node.localizer.alive == ("camera",))
    lines = {line.name: line for line in robot.node.status()}
    assert lines["retrieval: camera"].message == "alive" and lines["retrieval: lidar"].message == "never received"
    rate = next(v.value for v in lines["retrieval: camera"].values if v.key == "rate")
    assert float(rate) == pytest.approx(10, abs=0.5)
    robot.bench.until(lambda: not robot.node.localizer.alive)
    assert next(x for x in robot.node.status() if x.name == "retrieval: camera").message == "stale"


def test_a_drifted_sensor_is_a_warning(robot):
    """Its numbers are no longer those that the calibration promised: /diagnostics says so, and of which sensor."""
    draw = np.random.default_rng(0)
    test = DriftTest({"camera": Difference.fit(draw.normal(size=(300, 8)))})
    robot.node.localizer.drift, robot.node.localizer.calibrated = test, True
    for _ in range(100):
        test.update({"camera": 3 + draw.normal(size=8)})
    robot.see("camera", 3, NS)
    robot.answer()
    robot.bench.until(lambda: robot.node.localizer.alive and robot.node.health.drifted)
    lines = {line.name: line for line in robot.node.status()}
    for name in ("retrieval: answers", "retrieval: camera"):
        assert lines[name].level == DiagnosticStatus.WARN and "unlike its calibration" in lines[name].message
    assert robot.node.health.newly_drifted(robot.node.localizer) == []  # said once in the log
