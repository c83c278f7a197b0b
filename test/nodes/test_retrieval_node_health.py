"""What the retrieval node says of its sensors: each is blamed for its own faults, and only as long as they last."""

import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.qos import QoSProfile, ReliabilityPolicy
from retrieval_robot import FAST, NS, Robot
from rosgraph_msgs.msg import Clock

from any2any_ros import msg
from any2any_ros.nodes import messages
from any2any_ros.nodes.retrieval_node import RetrievalNode

WARN, OK = DiagnosticStatus.WARN, DiagnosticStatus.OK


@pytest.fixture
def robot(bench, small_map):
    """A robot whose clock moves when the test says so."""
    folder, reference = small_map
    node = bench.node(RetrievalNode, map=str(folder), use_sim_time=True, **(FAST | {"source_timeout": 2.0}))
    node.localizer.calibrated = True
    robot = Robot(bench, reference)
    robot.node, robot.clock, robot.now = node, bench.publisher(Clock, "/clock"), 0.0
    tick(robot, 1000)
    return robot


def tick(robot, seconds):
    """Let the clock move on."""
    robot.now += seconds
    robot.clock.publish(Clock(clock=messages.time_message(int(robot.now * NS))))
    robot.bench.until(lambda: abs(robot.node.get_clock().now().nanoseconds / NS - robot.now) < 1e-3)


def drive(robot, seconds, **shifts):
    """Send the embeddings of both sensors at 10 Hz, their stamps shifted by so many seconds."""
    for _ in range(round(10 * seconds)):
        tick(robot, 0.1)
        for modality in ("camera", "lidar"):
            robot.see(modality, 3, int((robot.now + shifts.get(modality, 0.0)) * NS))
        count = len(robot.rankings)
        robot.bench.until(lambda c=count: len(robot.rankings) > c)
    robot.bench.spin(0.1)  # the next look at who is alive


def line(robot, name):
    return next(x for x in robot.node.status() if x.name == f"retrieval: {name}")


def test_a_sensor_with_wrong_stamps_is_blamed_itself_and_stays_in_use(robot):
    drive(robot, 0.5)
    drive(robot, 1, lidar=37.2)
    assert list(robot.rankings[-1].modalities) == ["camera", "lidar"]
    said = line(robot, "lidar")
    assert said.level == WARN and said.message == (
        "alive; its stamps are 37.2 s ahead of the other sensors': taken at their arrival; set the driver's clock"
    )
    assert line(robot, "camera").message == "alive" and line(robot, "answers").level == OK
    drive(robot, 0.5)
    tick(robot, 5.5)
    drive(robot, 0.5)
    assert line(robot, "lidar").message == "alive"


def test_all_stamps_away_from_the_robot_s_clock_are_a_matter_of_the_clock(robot):
    drive(robot, 1, camera=-500.0, lidar=-500.0)
    assert "the sensors' stamps are 500.0 s behind the robot's clock" in line(robot, "answers").message
    assert line(robot, "camera").message == line(robot, "lidar").message == "alive"


def test_messages_that_come_twice_late_or_in_another_order_are_named(robot):
    drive(robot, 0.5)
    robot.see("camera", 3, int(robot.now * NS))
    robot.bench.until(lambda: "came twice" in line(robot, "camera").message)
    tick(robot, 0.1)
    robot.see("lidar", 3, int((robot.now - 0.15) * NS))
    robot.bench.until(lambda: "out of the order" in line(robot, "lidar").message)
    tick(robot, 0.1)
    robot.see("lidar", 3, int((robot.now + 0.1) * NS))
    tick(robot, 1.0)
    robot.see("lidar", 3, int((robot.now - 0.7) * NS))
    robot.bench.until(lambda: "they come 0.7 s late" in line(robot, "lidar").message)
    assert line(robot, "camera").level == line(robot, "lidar").level == WARN


def test_refused_embeddings_are_a_warning_as_long_as_they_come(robot):
    drive(robot, 0.5)
    robot.see("camera", 0, int(robot.now * NS), encoder="clip")
    robot.see("thermal", 0, int(robot.now * NS), np.ones(8))
    robot.see("lidar", 0, int(robot.now * NS), encoder="")
    robot.bench.until(lambda: robot.node.health.refused == 3)
    assert line(robot, "answers").level == WARN
    assert line(robot, "answers").message.startswith("3 embeddings refused: it does not name its encoder")
    assert "1 of its embeddings refused: encoder 'clip' made it" in line(robot, "camera").message
    tick(robot, 5.5)
    drive(robot, 0.2)
    assert {line(robot, name).level for name in ("answers", "camera", "lidar")} == {OK}


def test_a_rogue_fills_no_memory_with_names(robot):
    for i in range(50):
        robot.see(f"m{i}", 0, NS, np.ones(8))
    robot.bench.until(lambda: robot.node.health.refused == 50)
    assert len(robot.node.health.refusals) == 1


def test_embeddings_in_a_qos_that_does_not_fit_are_a_warning(robot):
    drive(robot, 0.2)
    rogue = robot.bench.stranger()
    publisher = rogue.create_publisher(
        msg.Embedding, "embeddings", QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    )
    expected = "QoS mismatch on /embeddings: retrieval cannot receive from stranger: Best effort publisher"
    robot.bench.until(lambda: expected in line(robot, "answers").message)
    assert line(robot, "answers").level == WARN
    rogue.destroy_publisher(publisher)
    robot.bench.until(lambda: line(robot, "answers").level == OK)


def test_a_clock_that_stops_leaves_nothing_alive_and_all_come_back_with_it(robot, monkeypatch):
    drive(robot, 0.5)
    began = time.monotonic_ns()
    monkeypatch.setattr(robot.node.robot_clock, "_steady_ns", lambda: time.monotonic_ns() + 5 * NS)
    robot.bench.until(lambda: not robot.rankings[-1].modalities)
    assert line(robot, "answers").message.startswith("no sensor is alive") and time.monotonic_ns() - began < 3 * NS
    assert line(robot, "camera").message == "stale"
    robot.node._diagnose()
    drive(robot, 0.3)
    assert list(robot.rankings[-1].modalities) == ["camera", "lidar"] and line(robot, "answers").level == OK
