"""ROS parameters are the settings dataclasses: their defaults, descriptions, ranges; and a helpful refusal."""

import math
from dataclasses import dataclass

import pytest
import rclpy
from rclpy.parameter import Parameter

from any2any_ros.config import AliveConfig, Settings, setting
from any2any_ros.errors import Any2AnyError
from any2any_ros.node_config import ManagedNodeConfig
from any2any_ros.nodes import parameters, runtime


@dataclass(frozen=True)
class Robot(Settings):
    wheels: int = setting(4, "that it has", minimum=2, maximum=8)
    speed: float = setting(1.5, "at most", unit="m/s", minimum=0)
    name: str = setting("marvin", "who it is", choices=("marvin", "eva"))
    loud: bool = setting(False, "whether it speaks")


@pytest.fixture
def node_with():
    made = []
    runtime.start([])

    def make(**overrides):
        given = [Parameter(name, value=value) for name, value in overrides.items()]
        made.append(rclpy.create_node("robot", parameter_overrides=given))
        return made[-1]

    yield make
    for node in made:
        node.destroy_node()
    rclpy.try_shutdown()


def test_defaults_are_the_dataclass_s(node_with):
    node = node_with()
    assert parameters.declare(node, Robot) == Robot()
    assert parameters.declare(node, AliveConfig) == AliveConfig()


def test_what_is_given_counts(node_with):
    assert parameters.declare(node_with(wheels=6, loud=True, name="eva"), Robot) == Robot(6, 1.5, "eva", True)


def test_a_whole_number_is_a_float_where_one_is_wanted(node_with):
    assert parameters.declare(node_with(speed=2), Robot).speed == 2.0


@pytest.mark.parametrize("value", [["a.b"], ["a.b", "c.d"], []], ids=len)
def test_a_list_of_names(node_with, value):
    node = node_with(**({"allow_modules": value} if value else {}))
    assert parameters.declare(node, ManagedNodeConfig).allow_modules == tuple(value)


@pytest.mark.parametrize("value", ["a.b", [1, 2], 3], ids=str)
def test_what_is_no_list_of_names_is_refused(node_with, value):
    with pytest.raises(Any2AnyError, match="'allow_modules' cannot be"):
        parameters.declare(node_with(allow_modules=value), ManagedNodeConfig)


def test_they_are_described(node_with):
    node = node_with()
    parameters.declare(node, Robot, "settings")
    wheels = node.describe_parameter("settings.wheels")
    assert "that it has" in wheels.description
    assert (wheels.integer_range[0].from_value, wheels.integer_range[0].to_value) == (2, 8)
    assert "m/s" in node.describe_parameter("settings.speed").description
    assert "marvin | eva" in node.describe_parameter("settings.name").description


@pytest.mark.parametrize(
    ("given", "why"),
    [({"name": "hal"}, "marvin | eva"), ({"wheels": "four"}, "of type int"), ({"wheels": 2.5}, "of type int"),
     ({"speed": -1}, "at least 0"), ({"speed": -1.0}, "at least 0"), ({"speed": math.inf}, "at least 0"),
     ({"loud": 1}, "of type bool")],
)  # fmt: skip
def test_a_wrong_value_is_refused_with_the_remedy(node_with, given, why):
    with pytest.raises(Any2AnyError, match=why.replace("|", r"\|")):
        parameters.declare(node_with(**given), Robot)


def test_a_source_timeout_of_its_own_counts(node_with):
    node = node_with(**{"source_timeouts.camera": 7, "source_timeouts.lidar": 0.5})
    timeouts = parameters.source_timeouts(node, 2.0, ["camera", "lidar", "text"])
    assert timeouts == {"camera": 7.0, "lidar": 0.5, "text": 2.0}


@pytest.mark.parametrize("value", [-1.0, -1, 0.0, math.nan, math.inf, 1e300, "soon", True, [1.0]], ids=str)
def test_a_source_timeout_that_is_none_is_refused(node_with, value):
    node = node_with(**{"source_timeouts.camera": value})
    for _ in range(2):  # the second map that names the camera
        with pytest.raises(Any2AnyError, match=r"Parameter 'source_timeouts\.camera' cannot be"):
            parameters.source_timeouts(node, 2.0, ["camera"])
