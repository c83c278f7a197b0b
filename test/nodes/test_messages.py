"""The nouns survive the wire."""

import array

import numpy as np
import pytest
from builtin_interfaces.msg import Time
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from any2any_ros import msg, samples
from any2any_ros.birds_eye.image import PACKED
from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes import interfaces, messages
from any2any_ros.observation import Embedding
from any2any_ros.ranking import Match, Ranking


def through_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


@given(st.integers(0, 2**31 * 10**9 - 1))
def test_time(stamp):
    assert messages.time_ns(messages.time_message(stamp)) == stamp


@given(st.integers(0, 2**31 * 10**9 - 1))
def test_the_stamp_of_a_message_is_read_without_the_rest_of_it(stamp):
    message = messages.embedding_message(Embedding("camera", np.ones(3), stamp), 0.0)
    assert messages.raw_stamp_ns(serialize_message(message)) == stamp


@given(st.integers(0, 10**6))
def test_pose(seed):
    draw = np.random.default_rng(seed)
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = Rotation.random(rng=draw).as_matrix(), draw.normal(size=3) * 100
    np.testing.assert_allclose(messages.pose_array(messages.pose_message(pose)), pose, atol=1e-9)


def test_poses_that_are_none_leave_the_others():
    turned, zeros, mirror, huge, unknown = (np.eye(4) for _ in range(5))
    turned[:3, :3], turned[:3, 3] = Rotation.from_euler("z", 1.0).as_matrix(), (1, 2, 3)
    zeros[:3, :3], mirror[2, 2], huge[:3, :3], unknown[0, 3] = 0, -1, 1e308, np.nan
    sent = messages.pose_messages(np.array([zeros, turned, mirror, huge, unknown, turned]))
    known = [not np.isnan(pose.position.x) and not np.isnan(pose.orientation.w) for pose in sent]
    assert known == [False, True, False, False, False, True]
    np.testing.assert_allclose(messages.pose_array(sent[1]), turned, atol=1e-12)
    assert messages.pose_messages(np.empty((0, 4, 4))) == []


@pytest.mark.parametrize("stamp", [(2**31 - 1, 2**32 - 1), (-(2**31), 2**32 - 1), (5, 10**9)])
def test_a_stamp_of_too_many_nanoseconds_can_be_sent_again(stamp):
    time = Time(sec=stamp[0], nanosec=stamp[1])
    at = messages.time_ns(time)
    assert at == stamp[0] * 10**9 + 999_999_999 and messages.time_ns(messages.time_message(at)) == at
    message = Image(header=Header(stamp=time))
    assert samples.stamp_ns(message) == at and messages.raw_stamp_ns(serialize_message(message)) == at


@pytest.mark.parametrize("quaternion", [(0, 0, 0, 0), (0, 0, 0, 1e308), (np.nan, 0, 0, 1), (0, 0, 0, 1e-300)], ids=str)
def test_a_quaternion_that_is_no_rotation_is_refused(quaternion):
    message = messages.pose_message(np.eye(4))
    for axis, value in zip("xyzw", quaternion, strict=True):
        setattr(message.orientation, axis, float(value))
    with pytest.raises(Any2AnyError, match=r"A pose cannot be used: .*quaternion"):
        messages.pose_array(message)


@pytest.mark.parametrize("x", [np.nan, np.inf, 1e300])
def test_a_position_beyond_all_places_is_refused(x):
    message = messages.pose_message(np.eye(4))
    message.position.x = x
    with pytest.raises(Any2AnyError, match="A pose cannot be used"):
        messages.pose_array(message)


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_embedding(values):
    noun = Embedding("camera", np.array(values, dtype=np.float32), 123_456_789_012, "lens", "camera-1")
    again = messages.embedding(through_the_wire(messages.embedding_message(noun, 0.25)))
    assert np.array_equal(again.vector, noun.vector)
    assert (again.modality, again.stamp_ns, again.frame_id, again.encoder) == (
        "camera",
        123_456_789_012,
        "lens",
        "camera-1",
    )


def test_an_embedding_with_an_image():
    image = np.random.default_rng(0).integers(0, 256, PACKED).astype(np.uint8)
    noun = Embedding("lidar", np.ones(3), 1, birds_eye=image)
    again = messages.embedding(through_the_wire(messages.embedding_message(noun, 0.0)))
    np.testing.assert_array_equal(again.birds_eye, image)
    without = messages.embedding(through_the_wire(messages.embedding_message(Embedding("lidar", np.ones(3), 1), 0.0)))
    assert without.birds_eye.size == 0


def test_an_image_of_another_size_is_refused():
    message = messages.embedding_message(Embedding("lidar", np.ones(3), 1), 0.0)
    message.birds_eye = array.array("B", [1, 2, 3])
    with pytest.raises(Any2AnyError, match="The bird's-eye images of 'lidar' do not fit"):
        messages.embedding(message)


def test_ranking():
    pair = np.array([[0.5, np.nan], [0.25, 1.0]])
    matches = (Match("a", 0.75, 3.5, np.eye(4), pair), Match("b", np.nan, -1.0, np.full((4, 4), np.nan), pair))
    noun = Ranking(
        matches, ("camera", "lidar"), ("text",), True, ("a", "b"), 5 * 10**9, True, ("lidar", "text"), (1, 2)
    )
    again = messages.ranking(through_the_wire(messages.ranking_message(noun, "map", 0.1)))
    assert (again.modalities, again.missing, again.accepted) == (noun.modalities, noun.missing, True)
    assert (again.place_set, again.stamp_ns, again.ambiguous, again.stamps_ns) == (("a", "b"), 5 * 10**9, True, (1, 2))
    assert [m.id for m in again.matches] == ["a", "b"] and again.matches[0].probability == 0.75
    assert np.isnan(again.matches[1].probability) and np.isnan(again.matches[1].pose).all()
    np.testing.assert_array_equal(again.matches[0].pair_probability, pair.astype(np.float32))


def test_a_ranking_that_does_not_fit_together_is_refused():
    noun = Ranking((Match("a", 0.75, 3.5, np.eye(4), np.ones((1, 2))),), ("lidar",), reference_modalities=("x", "y"))
    message = messages.ranking_message(noun, "map")
    message.modalities = ["lidar", "camera"]
    with pytest.raises(Any2AnyError, match=r"match 'a' has 2 pair probabilities for \(2, 2\)"):
        messages.ranking(message)
    message.modalities = ["lidar"]
    message.matches[0].pose.orientation.w = 0.0
    with pytest.raises(Any2AnyError, match="A pose cannot be used"):
        messages.ranking(message)


def test_a_match_says_whether_its_pose_is_refined():
    pair = np.ones((1, 1))
    registered = Match("a", 0.75, 3.5, np.eye(4), pair, overlap=0.625, refined=True)
    not_registered = Match("b", 0.25, 1.5, np.eye(4), pair)
    noun = Ranking((registered, not_registered), ("lidar",), reference_modalities=("lidar",))
    message = through_the_wire(messages.ranking_message(noun, "map"))
    assert (message.matches[0].overlap, message.matches[0].refined) == (0.625, True)
    assert np.isnan(message.matches[1].overlap) and message.matches[1].refined is False
    again = messages.ranking(message).matches
    assert (again[0].overlap, again[0].refined) == (0.625, True)
    assert np.isnan(again[1].overlap) and again[1].refined is False


def test_message_class():
    assert messages.message_class("any2any_ros/msg/Embedding") is msg.Embedding
    with pytest.raises(Any2AnyError, match="Install the ROS package radar_msgs"):
        messages.message_class("radar_msgs/msg/Scan")


@pytest.mark.parametrize("type_name", ["{}/msg/Evil", "{}.msg/msg/Evil", "{}", "../{}/msg/Evil", "{}/msg/Evil/x"])
def test_a_type_imports_no_module_but_a_ros_package_of_messages(type_name, tmp_path, monkeypatch):
    """A bag says which types it holds."""
    package = f"evil_{tmp_path.name[-20:].lower()}"
    (tmp_path / package / "msg").mkdir(parents=True)
    for folder in (tmp_path / package, tmp_path / package / "msg"):
        (folder / "__init__.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'w')\nclass Evil: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(Any2AnyError, match=r"no ROS package|cannot be the name of a message type"):
        messages.message_class(type_name.format(package))
    assert not (tmp_path / "imported").exists()


def test_a_package_that_ros_knows_is_found_in_any_prefix(tmp_path, monkeypatch):
    assert interfaces.is_installed("sensor_msgs") and interfaces.is_installed("any2any_ros")
    assert not interfaces.is_installed("radar_msgs") and not interfaces.is_installed("rclpy")
    (tmp_path / interfaces.INDEX).mkdir(parents=True)
    (tmp_path / interfaces.INDEX / "radar_msgs").touch()
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"/nowhere:{tmp_path}")
    assert interfaces.is_installed("radar_msgs")


def test_a_message_is_read_as_rclpy_reads_it():
    header = Header(stamp=Time(sec=3, nanosec=4), frame_id="eye")
    sent = Image(header=header, height=2, width=3, encoding="rgb8", step=9, data=array.array("B", range(18)))
    read = messages.reader("sensor_msgs/msg/Image")(serialize_message(sent))
    assert (read.header.stamp.sec, read.header.stamp.nanosec, read.header.frame_id) == (3, 4, "eye")
    np.testing.assert_array_equal(samples.image(read), samples.image(sent))


def test_a_type_unknown_to_rosbags_is_read_by_rclpy():
    sent = msg.Embedding(modality="camera", vector=array.array("f", [1.0, 2.0]))
    assert messages.reader("any2any_ros/msg/Embedding")(serialize_message(sent)) == sent


def test_a_type_that_is_not_installed_is_refused_with_what_to_do():
    with pytest.raises(Any2AnyError):
        messages.reader("no_such_msgs/msg/Nothing")
