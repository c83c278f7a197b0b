"""Messages of ROS 1 bags become the same messages of ROS 2."""

import numpy as np
import pytest
from rosbags.highlevel import AnyReader
from rosbags.rosbag1 import Writer
from rosbags.typesys import Stores, get_types_from_msg, get_typestore

from any2any_ros import cdr
from any2any_ros.data.bag_conversion import ros2_type, to_cdr
from any2any_ros.errors import Any2AnyError

ROS1 = get_typestore(Stores.ROS1_NOETIC)
ROS1.register(get_types_from_msg("geometry_msgs/TransformStamped[] transforms", "tf/msg/tfMessage"))
MAKE = ROS1.types


def header():
    time = MAKE["builtin_interfaces/msg/Time"](sec=5, nanosec=6)
    return MAKE["std_msgs/msg/Header"](seq=7, stamp=time, frame_id="camera")


@pytest.fixture
def converted(tmp_path):
    """Return a function that writes a message to a ROS 1 bag, and reads it as ROS 2 would."""

    def convert(kind, message, cut=0):
        with Writer(tmp_path / "bag.bag") as writer:
            connection = writer.add_connection("/topic", kind, typestore=ROS1)
            raw = ROS1.serialize_ros1(message, kind)
            writer.write(connection, 10**9, raw[: len(raw) - cut])
        with AnyReader([tmp_path / "bag.bag"]) as reader:
            ((_, _, raw),) = reader.messages()
            return cdr.read(to_cdr(reader, kind)(raw), ros2_type(kind))

    return convert


def picture():
    pixels = np.arange(6, dtype=np.uint8)
    return MAKE["sensor_msgs/msg/Image"](
        header(), height=1, width=2, encoding="rgb8", is_bigendian=0, step=6, data=pixels
    )


def test_a_header_loses_its_number_and_all_else_stays(converted):
    image = converted("sensor_msgs/msg/Image", picture())
    assert (image.header.stamp.sec, image.header.stamp.nanosec, image.header.frame_id) == (5, 6, "camera")
    assert image.data.tolist() == list(range(6)) and not hasattr(image.header, "seq")


def test_fields_that_have_other_names_in_ros_2_keep_their_values(converted):
    roi = MAKE["sensor_msgs/msg/RegionOfInterest"](0, 0, 0, 0, False)
    nine, twelve = np.arange(9, dtype=float), np.arange(12, dtype=float)
    info = MAKE["sensor_msgs/msg/CameraInfo"](header(), 3, 4, "plumb_bob", np.ones(5), nine, nine, twelve, 0, 0, roi)
    again = converted("sensor_msgs/msg/CameraInfo", info)
    assert again.k.tolist() == list(range(9)) and again.p.tolist() == list(range(12)) and again.d.tolist() == [1] * 5


def test_the_old_message_of_transforms_has_its_new_name(converted):
    vector, quaternion = (
        MAKE["geometry_msgs/msg/Vector3"](1.0, 2.0, 3.0),
        MAKE["geometry_msgs/msg/Quaternion"](0, 0, 0, 1),
    )
    transform = MAKE["geometry_msgs/msg/Transform"](vector, quaternion)
    stamped = MAKE["geometry_msgs/msg/TransformStamped"](header(), "base_link", transform)
    (again,) = converted("tf/msg/tfMessage", MAKE["tf/msg/tfMessage"]([stamped])).transforms
    assert (again.child_frame_id, again.transform.translation.z) == ("base_link", 3.0)


def test_a_damaged_message_is_told(converted):
    with pytest.raises(Any2AnyError, match="a message of type sensor_msgs/msg/Image"):
        converted("sensor_msgs/msg/Image", picture(), cut=3)
