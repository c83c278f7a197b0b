"""Somebody asks the real node, and watches it."""

import importlib.util
import time

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue

from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes import runtime, topology
from any2any_ros.nodes.bringup import Bringup
from any2any_ros.sim.tabletop import SceneConfig, TabletopConfig, scene

if importlib.util.find_spec("any2any_ros.action") is None:
    pytest.skip("the action is not compiled here: make test", allow_module_level=True)

from any2any_ros.nodes.companion import CODES, Companion
from any2any_ros.nodes.table_player import CameraPlayer


@pytest.fixture
def companion():
    import rclpy

    runtime.start([])
    with Companion() as made:
        yield made
    rclpy.try_shutdown()


def until(condition, seconds=30.0):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.05)


def test_codes_have_their_names():
    assert CODES[0] == "OK" and CODES[5] == "NOT_UNDERSTOOD" and len(CODES) == len(set(CODES.values())) == 10


def test_nobody_answers_and_that_is_told(companion):
    assert not companion.is_heard()
    with pytest.raises(Any2AnyError, match="was not answered"):
        companion.ask("the blue mug", 0.3)
    with pytest.raises(Any2AnyError, match="was not listened for"):
        companion.ask("", 0.3, pytest.fail)


def test_lines_that_only_look_like_the_nodes_own_are_passed_over(companion):
    publisher = companion.node.create_publisher(DiagnosticArray, "/diagnostics", 10)

    def told():
        for looks, seconds in (("1", "soon"), ("many", "1"), ("2", "1")):
            values = [KeyValue(key="looks", value=looks), KeyValue(key="look_seconds", value=seconds)]
            publisher.publish(DiagnosticArray(status=[DiagnosticStatus(message="sees", values=values)]))
        publisher.publish(DiagnosticArray(status=[DiagnosticStatus(values=values[1:])]))
        return companion.look_seconds

    until(told)
    assert companion.status == "sees" and set(companion.look_seconds) == {1.0}


@pytest.mark.skipif(
    importlib.util.find_spec("any2any_ros.hearing") is None, reason="the node hears with any2any_ros.hearing"
)
def test_a_table_is_looked_at_and_asked_for(companion, untrained_model, tmp_path):
    table = scene(0, TabletopConfig(classes=6, instances=2), SceneConfig(objects=3, frames=2, sweep=5))
    processes = topology.object_grounding(str(untrained_model), hearing="none")
    with Bringup(processes, topology.environment("loopback"), log_folder=tmp_path):
        until(companion.is_heard)
        empty = companion.ask("the blue mug", 10)
        assert empty.code == "NO_OBJECTS" and empty.centre is None and empty.states == ("ranking",)
        with CameraPlayer(companion.node, list(table), 4.0):
            until(lambda: companion.boxes and companion.status == "sees by camera and depth" and companion.look_seconds)
            found = companion.ask("the blue mug", 10)
        heard = []
        silent = companion.ask("", 3.0, lambda: heard.append(1))
    assert found.code == "NOT_CALIBRATED" and found.heard == "the blue mug"
    assert {m.id for m in found.ranking.matches} <= set(companion.boxes)
    assert np.allclose(found.centre, found.ranking.matches[0].pose[:3, 3])
    low, high = companion.boxes[found.ranking.matches[0].id]
    assert (low < high).all() and any(np.linalg.norm((low + high - t.low - t.high) / 2) < 0.08 for t in table.things)
    assert silent.code == "NOTHING_HEARD" and heard == [1] and silent.states == ("listening",)
