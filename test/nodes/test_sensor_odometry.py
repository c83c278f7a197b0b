"""Where a sensor is by odometry, from real messages of odometry and transforms."""

import threading

import numpy as np
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import TransformStamped
from nav_msgs.msg import Odometry
from rooms import hall_log
from sensor_msgs.msg import LaserScan
from tf2_msgs.msg import TFMessage

from any2any_ros import encoders, msg
from any2any_ros.data import carmen
from any2any_ros.nodes import messages
from any2any_ros.nodes.encoder_node import EncoderNode
from any2any_ros.nodes.sensor_odometry import LATCHED, SensorOdometry

NS = 1_000_000_000


@pytest.fixture
def opened(bench):
    made = SensorOdometry(bench.peer)
    yield lambda name: made.open(name) or made
    made.close()


def odometry(seconds, x, child="base_link"):
    message = Odometry(child_frame_id=child)
    message.header.stamp, message.header.frame_id = messages.time_message(int(seconds * NS)), "odom"
    message.pose.pose.position.x = float(x)
    return message


def transforms(*rows):
    found = []
    for parent, child, x, seconds in rows:
        transform = TransformStamped(child_frame_id=child)
        transform.header.frame_id, transform.header.stamp = parent, messages.time_message(int(seconds * NS))
        transform.transform.translation.x = float(x)
        found.append(transform)
    return TFMessage(transforms=found)


def test_poses_are_interpolated(bench, opened):
    wheels = opened("odom")
    publisher = bench.publisher(Odometry, "odom")
    for message in (odometry(1, 5), odometry(1.5, 6), odometry(2, 8, "base_link")):
        publisher.publish(message)
    bench.until(lambda: wheels.pose(2 * NS, "") is not None)
    assert wheels.pose(int(1.25 * NS), "")[0, 3] == pytest.approx(5.5)
    assert wheels.pose(int(0.5 * NS), "") is None


def test_shortly_after_the_last_message_its_pose_still_counts(bench, opened):
    wheels = opened("odom")
    bench.publisher(Odometry, "odom").publish(odometry(2, 8))
    bench.until(lambda: wheels.pose(2 * NS, "") is not None)
    assert wheels.pose(int(2.05 * NS), "")[0, 3] == 8
    assert wheels.pose(int(2.5 * NS), "") is None and wheels.pose(60 * NS, "") is None


def test_the_message_that_comes_a_moment_later_is_awaited(bench, opened):
    wheels, found = opened("odom"), []
    publisher = bench.publisher(Odometry, "odom")
    publisher.publish(odometry(1, 5))
    bench.until(lambda: wheels.pose(1 * NS, "") is not None)
    asking = threading.Thread(target=lambda: found.append(wheels.pose(int(1.5 * NS), "")))
    asking.start()
    wheels._receive(odometry(1.5, 6))  # as the executor's thread does, while the other one waits
    asking.join()
    assert found[0] is None or found[0][0, 3] == 6  # None: this machine took longer than the wait
    assert wheels.pose(int(1.5 * NS), "")[0, 3] == 6


def test_a_laser_is_where_tf_static_says(bench, opened):
    wheels = opened("odom")
    bench.publisher(TFMessage, "/tf_static", LATCHED).publish(transforms(("base_link", "laser", 0.3, 0)))
    publisher = bench.publisher(Odometry, "odom")
    bench.until(lambda: "laser" in wheels._static.frames)
    publisher.publish(odometry(1, 5))
    bench.until(lambda: wheels.pose(NS, "laser") is not None)
    assert wheels.pose(NS, "laser")[0, 3] == pytest.approx(5.3) and wheels.pose(NS, "radar")[0, 3] == 5


def test_two_frames_of_tf_are_odometry_too(bench, opened):
    wheels = opened("/tf:odom.base_link")
    publisher = bench.publisher(TFMessage, "/tf")
    publisher.publish(transforms(("odom", "base_link", 5, 1), ("map", "odom", 100, 1), ("base_link", "wheel", 1, 1)))
    bench.until(lambda: wheels.pose(NS, "") is not None)
    np.testing.assert_allclose(wheels.pose(NS, "")[:3, 3], (5, 0, 0))


def test_a_jump_back_forgets_what_was_and_what_is_no_pose_is_left_out(bench, opened):
    wheels = opened("odom")
    publisher = bench.publisher(Odometry, "odom")
    publisher.publish(odometry(50, 1))
    bench.until(lambda: wheels.pose(50 * NS, "") is not None)
    publisher.publish(odometry(1, np.nan))
    publisher.publish(odometry(2, 2))
    bench.until(lambda: wheels.pose(2 * NS, "") is not None)
    assert wheels.pose(50 * NS, "") is None and wheels.pose(NS, "") is None


def test_the_diagnostics_know_where_odometry_comes_from(bench, opened):
    wheels = SensorOdometry(bench.peer)
    wheels.open("")
    assert wheels.state(NS) == "" and wheels.pose(NS, "") is None
    wheels = opened("odom")
    assert wheels.state(5 * NS) == "/odom (silent)"
    bench.publisher(Odometry, "odom").publish(odometry(5, 1))
    bench.until(lambda: wheels.state(5 * NS) == "/odom")


def test_an_encoder_node_puts_scans_together_as_the_library_does(bench, tmp_path):
    drive = carmen.read(hall_log(tmp_path))
    node = bench.node(EncoderNode, encoder="laser_submap")
    heard = bench.listen(msg.Embedding, "embeddings")
    wheels, laser = bench.publisher(Odometry, "odom"), bench.publisher(LaserScan, "scan")
    library = encoders.build("laser_submap")
    for i in range(20):
        scan, pose, stamp = drive.sample("laser_scan", i), drive.odometry(i), int(drive.stamps_ns[i]) + NS
        wheels.publish(odometry(stamp / NS, pose[0, 3]))
        message = LaserScan(range_max=scan.range_max, angle_min=scan.angle_min, angle_increment=scan.angle_increment)
        message.header.stamp, message.ranges = messages.time_message(stamp), scan.ranges.tolist()
        laser.publish(message)
        bench.until(lambda i=i: len(heard) > i)
        whole = library.gather(scan, stamp, pose)
    seen = library.see(whole)
    np.testing.assert_allclose(heard[-1].vector, seen.vector, atol=1e-5)
    assert whole.scans > 5 and np.mean(np.array(heard[-1].birds_eye) != seen.birds_eye) < 0.01
    assert node.status()[0].level == DiagnosticStatus.OK
