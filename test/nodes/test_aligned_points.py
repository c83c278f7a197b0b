"""The scan where its refined pose puts it: published while somebody looks, where sensor_msgs_py is."""

import importlib.util

import numpy as np
import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from sensor_msgs.msg import PointCloud2
from std_msgs.msg import Header

from any2any_ros import samples
from any2any_ros.nodes.aligned_points import AlignedPoints
from any2any_ros.nodes.lifecycle import ManagedNode

POSE = np.array([[0.0, -1, 0, 10], [1, 0, 0, 20], [0, 0, 1, 1], [0, 0, 0, 1]])
POINTS = np.array([[1.0, 2, 3], [0, 0, 0]])


class Publishing(ManagedNode):
    def __init__(self):
        super().__init__("publishing")

    def configure(self):
        self.points = AlignedPoints(self)

    def cleanup(self):
        self.points.destroy()


@pytest.fixture
def node(bench):
    return bench.node(Publishing)


def test_nothing_is_done_while_nobody_looks(node, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "sensor_msgs_py", None)  # would raise ImportError
    node.points.publish(POINTS, POSE, Header(frame_id="map"))


def test_without_the_package_one_warning_says_what_to_install(bench, node, monkeypatch, capfd):
    monkeypatch.setitem(__import__("sys").modules, "sensor_msgs_py", None)
    heard = bench.listen(PointCloud2, "aligned_points")
    for _ in range(2):
        node.points.publish(POINTS, POSE, Header(frame_id="map"))
    assert not heard and capfd.readouterr().err.count("Install ros-$ROS_DISTRO-sensor-msgs-py") == 1


@pytest.mark.skipif(
    importlib.util.find_spec("sensor_msgs_py") is None, reason="no sensor_msgs_py: source a ROS 2 and run this again"
)
def test_points_are_where_the_pose_puts_them(bench, node):
    heard = bench.listen(PointCloud2, "aligned_points")
    node.points.publish(POINTS, POSE, Header(frame_id="town"))
    bench.until(lambda: heard)
    assert heard[0].header.frame_id == "town"
    np.testing.assert_allclose(samples.cloud(heard[0])[:, :3], [[8, 21, 4], [10, 20, 1]])


def test_it_ends_with_the_node(node):
    assert node.trigger_deactivate() == node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
