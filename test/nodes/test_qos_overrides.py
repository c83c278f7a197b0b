"""A user overrides the QoS of any topic of our nodes, as the ROS 2 documentation says: qos_overrides in a YAML file."""

import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.qos import ReliabilityPolicy
from retrieval_robot import FAST, Robot, ids

from any2any_ros.nodes.retrieval_node import RetrievalNode

NS = 1_000_000_000


def endpoints(bench, kind, topic):
    found = getattr(bench.peer, f"get_{kind}_info_by_topic")(topic)
    return [e.qos_profile for e in found if e.node_name == "retrieval"]


@pytest.mark.parametrize("reliability", ["best_effort", "reliable"])
def test_publishers_and_subscriptions_take_them(bench, small_map, reliability):
    folder, reference = small_map
    overrides = {
        f"qos_overrides./{topic}.{kind}.reliability": reliability
        for topic, kind in (("matches", "publisher"), ("embeddings", "subscription"))
    }
    bench.node(RetrievalNode, map=str(folder), **FAST, **overrides)
    expected = ReliabilityPolicy[reliability.upper()]
    bench.until(lambda: endpoints(bench, "publishers", "/matches") and endpoints(bench, "subscriptions", "/embeddings"))
    assert {e.reliability for e in endpoints(bench, "publishers", "/matches")} == {expected}
    assert {e.reliability for e in endpoints(bench, "subscriptions", "/embeddings")} == {expected}
    if reliability == "reliable":
        robot = Robot(bench, reference)
        robot.see("camera", 7, NS)
        assert ids(robot.answer())[0] == "place/07"


def test_they_hold_after_the_node_was_down(bench, small_map):
    folder, _ = small_map
    overrides = {"qos_overrides./matches.publisher.depth": 3}
    node = bench.node(RetrievalNode, map=str(folder), **FAST, **overrides)
    for step in (node.trigger_deactivate, node.trigger_cleanup, node.trigger_configure, node.trigger_activate):
        assert step() == TransitionCallbackReturn.SUCCESS
    assert node.get_parameter("qos_overrides./matches.publisher.depth").value == 3


def test_a_wrong_one_is_told_and_the_node_stays_unconfigured(bench, small_map, capfd):
    node = bench.node(
        RetrievalNode, map=str(small_map[0]), **FAST, **{"qos_overrides./matches.publisher.reliability": "perhaps"}
    )
    assert "Unexpected QoS override for policy `reliability`: `perhaps`" in capfd.readouterr().err
    assert not [p for p in node.publishers if p.topic_name == "/matches"]
