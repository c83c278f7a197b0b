"""The QoS settings that a replay offers are those that were recorded."""

from types import SimpleNamespace

import pytest
from rclpy.qos import DurabilityPolicy as D
from rclpy.qos import ReliabilityPolicy as R
from rosbags.interfaces import QosDurability, QosReliability

from any2any_ros.nodes.recorded_qos import offered

RELIABLE, BEST, ANY = QosReliability.RELIABLE, QosReliability.BEST_EFFORT, QosReliability.SYSTEM_DEFAULT
LATCHED, VOLATILE = QosDurability.TRANSIENT_LOCAL, QosDurability.VOLATILE


def connection(*profiles):
    recorded = [SimpleNamespace(reliability=r, durability=d, depth=depth) for r, d, depth in profiles]
    return SimpleNamespace(ext=SimpleNamespace(offered_qos_profiles=recorded))


@pytest.mark.parametrize(
    ("profiles", "reliability", "durability", "depth"),
    [
        ([], R.RELIABLE, D.VOLATILE, 10),
        ([(BEST, VOLATILE, 5)], R.BEST_EFFORT, D.VOLATILE, 10),
        ([(ANY, QosDurability.UNKNOWN, 0)], R.RELIABLE, D.VOLATILE, 10),
        ([(RELIABLE, LATCHED, 1)], R.RELIABLE, D.TRANSIENT_LOCAL, 10),
        ([(RELIABLE, LATCHED, 30), (RELIABLE, LATCHED, 40)], R.RELIABLE, D.TRANSIENT_LOCAL, 70),
        ([(RELIABLE, LATCHED, 10**9), (BEST, VOLATILE, 5)], R.RELIABLE, D.TRANSIENT_LOCAL, 1000),
    ],
)
def test_the_strongest_settings_that_were_recorded_are_offered(profiles, reliability, durability, depth):
    for connections in ([connection(*profiles)], [connection(profile) for profile in profiles]):
        qos = offered(connections)
        assert (qos.reliability, qos.durability, qos.depth) == (reliability, durability, depth)


@pytest.mark.parametrize(("latching", "durability"), [(1, D.TRANSIENT_LOCAL), (0, D.VOLATILE), (None, D.VOLATILE)])
def test_ros_1_says_whether_a_topic_is_latched(latching, durability):
    assert offered([SimpleNamespace(ext=SimpleNamespace(callerid="", latching=latching))]).durability == durability
