"""Odometry from real messages: the pose nearest to a stamp, and none where nothing is near."""

import numpy as np
import pytest
from nav_msgs.msg import Odometry

from any2any_ros.nodes import messages
from any2any_ros.nodes.odometry import OdometryBuffer

NS = 1_000_000_000


@pytest.fixture
def buffer(bench):
    made = OdometryBuffer(bench.peer)
    made.open("odom")
    yield made
    made.close()


def odometry(seconds, x, quaternion=(0.0, 0.0, 0.0, 1.0)):
    message = Odometry()
    message.header.stamp = messages.time_message(int(seconds * NS))
    message.pose.pose.position.x = x
    q = message.pose.pose.orientation
    q.x, q.y, q.z, q.w = quaternion
    return message


def test_the_nearest_message_gives_the_pose(bench, buffer):
    publisher = bench.publisher(Odometry, "odom")
    quarter_turn = (0.0, 0.0, np.sqrt(0.5), np.sqrt(0.5))
    publisher.publish(odometry(1.0, 5.0))
    publisher.publish(odometry(2.0, 7.0, quarter_turn))
    bench.until(lambda: buffer.pose(2 * NS) is not None)
    assert buffer.pose(int(1.2 * NS))[0, 3] == 5.0
    np.testing.assert_allclose(buffer.pose(int(2.4 * NS))[:3, :3] @ [1, 0, 0], [0, 1, 0], atol=1e-12)
    assert buffer.pose(3 * NS) is None and buffer.pose(0) is None


def test_what_is_no_pose_is_left_out(bench, buffer):
    publisher = bench.publisher(Odometry, "odom")
    publisher.publish(odometry(1.0, np.nan))
    publisher.publish(odometry(2.0, 1.0, (0.0, 0.0, 0.0, 0.0)))
    publisher.publish(odometry(3.0, 3.0))
    bench.until(lambda: buffer.pose(3 * NS) is not None)
    assert buffer.pose(1 * NS) is None and buffer.pose(2 * NS) is None


def test_a_jump_back_forgets_what_was(bench, buffer):
    publisher = bench.publisher(Odometry, "odom")
    publisher.publish(odometry(50.0, 1.0))
    bench.until(lambda: buffer.pose(50 * NS) is not None)
    publisher.publish(odometry(1.0, 2.0))
    bench.until(lambda: buffer.pose(1 * NS) is not None)
    assert buffer.pose(50 * NS) is None


def test_without_a_topic_nothing_is_known(bench):
    made = OdometryBuffer(bench.peer)
    made.open("")
    assert made.pose(NS) is None
    made.close()
