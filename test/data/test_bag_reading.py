"""Bags that are no bags, or none that a program can use: one error, with what to do."""

from __future__ import annotations

import re

import numpy as np
import pytest
from bag_files import STORE, text, written
from rosbags.rosbag2 import StoragePlugin, Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from any2any_ros.data import bag_messages, bag_poses, bags
from any2any_ros.data.bag_poses import PoseSource
from any2any_ros.data.bag_reading import open_reader
from any2any_ros.data.sources import open_recording
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS

CLOUD = "sensor_msgs/msg/PointCloud2"


@pytest.fixture
def captions(tmp_path):
    return written(tmp_path / "bag", ("/caption", "std_msgs/msg/String", [(NS, text("a mill")), (2 * NS, text("b"))]))


def defined_otherwise(path, kind, definition):
    """Write a bag whose own definition of a type is not that of ROS."""
    store = get_typestore(Stores.EMPTY)
    store.register(get_types_from_msg(definition, kind))
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connection = writer.add_connection("/lidar/points", kind, typestore=store)
        writer.write(connection, NS, store.serialize_cdr(store.types[kind](data="a" * 90), kind))
    return path


def test_a_type_with_other_fields_than_ours_is_refused(tmp_path, built):
    path = defined_otherwise(tmp_path / "bag", CLOUD, "string data\n")
    with pytest.raises(Any2AnyError, match=r"Topic /lidar/points cannot be read.*other fields"):
        bags.observe(path, {"lidar": built["lidar"]})
    with pytest.raises(Any2AnyError, match="other fields"):
        list(bags.clouds(path, "/lidar/points", np.array([NS])))


def test_poses_with_other_fields_than_ours_are_refused(tmp_path, built):
    path = defined_otherwise(tmp_path / "bag", "nav_msgs/msg/Odometry", "string data\n")
    with open_reader(path) as reader, pytest.raises(Any2AnyError, match="other fields"):
        bag_poses.read(reader, PoseSource("/lidar/points"))


@pytest.mark.parametrize("text", ["", "]: [", "a: 1", "rosbag2_bagfile_information: 3", "\x00\xff", "{" * 5000])
def test_metadata_that_is_none_is_told_on_one_line(captions, text):
    (captions / "metadata.yaml").write_bytes(text.encode("latin-1"))
    with pytest.raises(Any2AnyError, match="Cannot read the bag") as error:
        open_recording(captions)
    assert len(str(error.value).splitlines()) == 1


WRONG = {
    "a topic": (r"name: /caption", "name: 5"),
    "a type": (r"type: std_msgs/msg/String", "type: [1]"),
    "a count": (r"(?m)^(  message_count:).*$", r"\1 many"),
    "a topic's count": (r"(?m)^(  - message_count:).*$", r"\1 many"),
    "a time": (r"nanoseconds_since_epoch: \d+", "nanoseconds_since_epoch: soon"),
    "a length": (r"nanoseconds: \d+", "nanoseconds: 1.5"),
}


@pytest.mark.parametrize("storage", bags.STORAGES)
@pytest.mark.parametrize(("pattern", "wrong"), WRONG.values(), ids=WRONG)
def test_metadata_with_a_value_of_another_type_is_refused(tmp_path, drive, storage, pattern, wrong):
    path = bags.write(drive, tmp_path / "bag", storage)
    file = path / "metadata.yaml"
    changed = re.sub(pattern, wrong, file.read_text())
    assert changed != file.read_text()
    file.write_text(changed)
    with pytest.raises(Any2AnyError, match="Cannot read the bag"):
        bags.observe(path, {})


def test_a_time_that_no_program_can_hold_is_refused(tmp_path, built):
    path = written(tmp_path / "bag", ("/caption", "std_msgs/msg/String", [(NS, text("a")), (2**63, text("a mill"))]))
    with pytest.raises(Any2AnyError, match="9223372036854775808 ns"):
        bags.observe(path, {"text": built["text"]})


def test_a_cloud_topic_without_messages_has_no_clouds(tmp_path):
    caption = ("/caption", "std_msgs/msg/String", [(1, text("a"))])
    path = written(tmp_path / "bag", ("/lidar/points", CLOUD, []), caption)
    assert not list(bags.clouds(path, "/lidar/points", np.array([NS])))


@pytest.mark.parametrize("quaternion", [(0, 0, 0, 1e-200), (1e200, 0, 0, 0), (0, 0, np.nan, 1), (0, 0, 0, 0)], ids=str)
@pytest.mark.parametrize("position", [(0, 0, 0), (1e300, 0, 0)], ids=str)
def test_a_pose_that_is_none_is_left_out(tmp_path, quaternion, position):
    make, kind = STORE.types, "geometry_msgs/msg/PoseStamped"
    content = []
    for second, q, p in ((1, (0, 0, 0, 1), (0, 0, 0)), (2, quaternion, position), (3, (0, 0, 0, 1), (4, 0, 0))):
        pose = make["geometry_msgs/msg/Pose"](
            position=make["geometry_msgs/msg/Point"](*map(float, p)),
            orientation=make["geometry_msgs/msg/Quaternion"](*map(float, q)),
        )
        content.append((second * NS, make[kind](header=bag_messages.header(STORE, second * NS, ""), pose=pose)))
    with open_reader(written(tmp_path / "bag", ("/odom", kind, content))) as reader:
        found = bag_poses.read(reader, PoseSource("/odom")).trajectory.at(np.array([2 * NS]))
        np.testing.assert_allclose(found.poses[0, :3, 3], (2, 0, 0))
