"""Where a bag's odometry comes from, and that a log and its bag give the same vectors."""

import numpy as np
import pytest
from rooms import hall_log
from rosbags.rosbag2 import StoragePlugin, Writer

from any2any_ros.cdr import typestore
from any2any_ros.config import PoseConfig
from any2any_ros.data import bag_messages, bag_odometry, bags, carmen
from any2any_ros.data.bag_reading import open_reader
from any2any_ros.data.report import SensorReport
from any2any_ros.data.sources import open_recording
from any2any_ros.encoders.laser_submap import LaserSubmapEncoder
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS
from any2any_ros.submaps.planar import Planar

STORE = typestore()
MAKE = STORE.types
AHEAD = (0.3, 0.0, 0.1, 0.0, 0.0, 1.0, 0.0)  # of a laser that faces backward, 0.3 m ahead: x y z, quaternion


def transform(parent, child, row, stamp=0):
    x, y, z, *q = row
    return MAKE["geometry_msgs/msg/TransformStamped"](
        header=bag_messages.header(STORE, stamp, parent),
        child_frame_id=child,
        transform=MAKE["geometry_msgs/msg/Transform"](
            translation=MAKE["geometry_msgs/msg/Vector3"](x=x, y=y, z=z),
            rotation=MAKE["geometry_msgs/msg/Quaternion"](x=q[0], y=q[1], z=q[2], w=q[3]),
        ),
    )


@pytest.fixture
def bag(tmp_path):
    """Write a bag of (topic, type, stamp, message)."""

    def write(messages, name="bag"):
        path = tmp_path / name
        with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
            connections = {}
            for topic, kind, stamp, message in messages:
                if topic not in connections:
                    connections[topic] = writer.add_connection(topic, kind, typestore=STORE)
                writer.write(connections[topic], stamp, STORE.serialize_cdr(message, kind))
        return path

    return write


def wheels(topic="/odom", child="base_link", seconds=range(4)):
    for s in seconds:
        message = bag_messages.odometry_message(STORE, Planar(complex(s), 0.1 * s).matrix, (s + 10) * NS)
        message.child_frame_id = child
        yield topic, bag_messages.ODOMETRY, (s + 10) * NS, message


def frames(*rows):
    kind = "tf2_msgs/msg/TFMessage"
    for topic, parent, child, row, stamp in rows:
        message = MAKE[kind](transforms=[transform(parent, child, row, stamp)])
        yield topic, kind, max(stamp, 10 * NS), message


def read(path, **settings):
    report = SensorReport()
    with open_reader(path) as reader:
        return bag_odometry.read(reader, PoseConfig(**settings), report), report.notes[-1]


def test_poses_are_interpolated_at_the_time_of_a_scan(bag):
    odometry, note = read(bag(wheels()))
    assert odometry.pose(int(11.5 * NS), "laser")[0, 3] == pytest.approx(1.5) and note == "Odometry comes from /odom"
    assert odometry.pose(9 * NS, "") is None and odometry.pose(14 * NS, "") is None


def test_no_pose_is_interpolated_in_a_gap(bag):
    odometry, _ = read(bag(wheels(seconds=(0, 1, 7))))
    assert odometry.pose(int(10.5 * NS), "") is not None and odometry.pose(12 * NS, "") is None
    assert odometry.pose(17 * NS, "") is not None


def test_a_laser_is_where_it_is_mounted(bag):
    odometry, _ = read(bag([*wheels(), *frames(("/tf_static", "base_link", "laser", AHEAD, 0))]))
    np.testing.assert_allclose(odometry.pose(10 * NS, "laser")[:2, :2], -np.eye(2), atol=1e-9)
    assert odometry.pose(10 * NS, "laser")[0, 3] == pytest.approx(0.3)
    assert odometry.pose(10 * NS, "another")[0, 3] == 0


def test_transforms_hold_odometry_where_no_topic_does(bag):
    level = (0.0, 0.0, 0.0, 1.0)
    moving = [("/tf", "odom", "base_footprint", (float(s), 0.0, 0.0, *level), (10 + s) * NS) for s in range(3)]
    others = [("/tf", "map", "odom", (5.0, 0.0, 0.0, *level), (10 + s) * NS) for s in range(3)]
    odometry, note = read(bag(frames(*moving, *others)))
    assert odometry.pose(12 * NS, "")[0, 3] == 2.0 and note == "Odometry comes from /tf:odom.base_footprint"


@pytest.mark.parametrize(
    ("topics", "expected"),
    [
        (["/odom", "/visual/odometry"], "/odom"),
        (["/odometry/filtered", "/wheels"], "/odometry/filtered"),
        (["/robot/wheels"], "/robot/wheels"),
        (["/left", "/right"], ""),
    ],
)
def test_which_topic_is_odometry(bag, topics, expected):
    odometry, note = read(bag([message for topic in topics for message in wheels(topic)]))
    assert (expected in note and odometry.pose(11 * NS, "") is not None) if expected else "No odometry" in note


def test_what_is_named_counts_and_must_be_there(bag):
    path = bag([*wheels("/odom"), *wheels("/other", seconds=(0, 1))])
    assert read(path, odometry="/other")[1] == "Odometry comes from /other"
    assert read(path, odometry="none")[0].pose(11 * NS, "") is None
    with pytest.raises(Any2AnyError, match="There is no topic wheels"):
        read(path, odometry="/wheels")


def test_odometry_whose_clock_stepped_back_is_left_out_and_said(bag):
    measured = [*wheels(seconds=range(60, 80)), *wheels(seconds=range(20))]
    path = bag([(topic, kind, i * NS, message) for i, (topic, kind, _, message) in enumerate(measured)])
    odometry, note = read(path)
    assert odometry.pose(70 * NS, "") is None and "is not used: " in note
    with pytest.raises(Any2AnyError, match="stepped back"):
        read(path, odometry="/odom")


def test_a_log_and_its_bag_give_the_same_vectors(tmp_path):
    drive = carmen.read(hall_log(tmp_path))
    bags.write(drive, tmp_path / "bag")
    found = [
        open_recording(path).observe({"laser_scan": LaserSubmapEncoder()}, 0.5)
        for path in (tmp_path / "hall.log", tmp_path / "bag")
    ]
    assert len(found[0]) == len(found[1]) == 8
    for one, other in zip(*(f.embeddings["laser_scan"] for f in found), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-4)
    for one, other in zip(*(f.birds_eye["laser_scan"] for f in found), strict=True):
        assert np.mean(one != other) < 0.01
