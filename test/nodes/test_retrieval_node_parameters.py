"""What a running retrieval node takes: k, the filter and the timeouts. All other settings are refused."""

from pathlib import Path

import pytest
from rcl_interfaces.msg import Parameter as ParameterMessage
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.parameter import Parameter
from retrieval_robot import NS, started

from any2any_ros.retrieval import reference_map
from any2any_ros.trust.bayes_filter import BayesFilter

CALIBRATED = Path(__file__).parents[1] / "formats" / "today" / "aligned"


@pytest.fixture
def robot(bench, small_map):
    return started(bench, *small_map)


def put(robot, **values):
    """Set parameters as `ros2 param set` does; return why they were refused, "" when they were not."""
    given: list[ParameterMessage] = [
        Parameter(name.replace("__", "."), value=value).to_parameter_msg() for name, value in values.items()
    ]
    result = robot.bench.call(SetParametersAtomically, "/retrieval/set_parameters_atomically", parameters=given).result
    assert result.successful == (not result.reason)
    return result.reason


def answer(robot, second):
    robot.see("camera", 7, second * NS)
    robot.see("lidar", 7, second * NS)
    return robot.answer()


def test_the_next_ranking_has_the_new_k(robot):
    assert len(answer(robot, 1).matches) == 5
    assert put(robot, k=2) == ""
    assert len(answer(robot, 2).matches) == 2


def test_a_sensor_is_stale_after_its_new_timeout(robot):
    assert put(robot, source_timeouts__camera=3, source_timeouts__lidar=0.2) == ""
    assert robot.node.localizer.assembler.timeout_ns("camera") == 3 * NS
    answer(robot, 1)
    robot.bench.until(lambda: robot.node.localizer.alive == ("camera",))
    assert put(robot, source_timeouts__camera=0.1) == ""
    robot.bench.until(lambda: robot.node.localizer.alive == ())


def test_it_goes_on_with_a_filter_and_without(bench):
    robot = started(bench, CALIBRATED, reference_map.load(CALIBRATED))
    assert robot.node.localizer.map.belief is None
    assert put(robot, filter="bayes") == "" and isinstance(robot.node.localizer.map.belief, BayesFilter)
    assert put(robot, filter="none") == "" and robot.node.localizer.map.belief is None


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"filter": "bayes"}, "it is not calibrated"),
        ({"filter": "kalman"}, "none | bayes"),
        ({"k": 0}, "k"),
        ({"k": "many"}, "it is of type int"),
        ({"source_timeouts__camera": -1.0}, "source_timeouts.camera"),
        ({"source_timeouts__camera": float("nan")}, "source_timeouts.camera"),
        ({"source_timeouts__thermal": 1.0}, "undeclared parameter"),  # the map has no such sensor
        ({"source_timeout": 1.0}, "read-only"),
        ({"slop": 1.0}, "read-only"),
        ({"map": "elsewhere"}, "read-only"),
        ({"precision": 0.99}, "undeclared parameter"),  # of the calibration
        ({"k": 3, "slop": 1.0}, "read-only"),
        ({"k": 3, "filter": "bayes"}, "it is not calibrated"),
    ],
    ids=str,
)
def test_what_has_no_effect_is_refused_and_nothing_changes(robot, values, why):
    assert why in put(robot, **values)
    assert len(answer(robot, 1).matches) == 5 and robot.node.get_parameter("k").value == 5
    assert robot.node.localizer.assembler.timeout_ns("camera") == int(0.3 * NS)
