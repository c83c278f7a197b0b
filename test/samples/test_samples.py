"""A message of every type is decoded to every kind of sample that it carries."""

from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from any2any_ros import cdr, samples

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
POINTS = np.array([[1, 2, 3, 0.5], [-4, 5.5, -6, 0], [0.25, 0, 0, 1]], dtype=np.float32)
DEPTH = np.array([[np.nan, 0.001, 0.5], [1.234, 65.535, np.nan]], np.float32)
COUNTS = np.array([[0, 1, 29315], [30001, 65535, 30002]], np.uint16)  # hundredths of a kelvin


def test_each_type_is_read_by_the_function_of_its_kind():
    assert samples.types_of("image") == ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
    assert samples.types_of("depth") == ("sensor_msgs/msg/Image",)
    assert samples.types_of("cloud") == ("sensor_msgs/msg/PointCloud2",) and samples.types_of("smell") == ()
    assert samples.decode("std_msgs/msg/String", SimpleNamespace(data="a bakery"), "text") == "a bakery"


@pytest.mark.parametrize(("sec", "nanosec", "expected"), [(3, 5, 3_000_000_005), (0, 1, 1), (0, 0, None)])
def test_a_stamp_of_zero_is_none(sec, nanosec, expected):
    header = SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec))
    assert samples.stamp_ns(SimpleNamespace(header=header)) == expected


def test_a_message_without_a_header_has_no_stamp():
    assert samples.stamp_ns(SimpleNamespace(data="")) is None


def real_messages():
    """ROS's own messages of each type and kind that is read, as rosbags writes and reads them, and what is in them."""
    from any2any_ros.data import bag_messages

    store = cdr.typestore()
    make = store.types
    header = bag_messages.header(store, 12_000_000_034, "sensor")
    png = cv2.imencode(".png", RGB[..., ::-1])[1].ravel()
    scan = samples.Scan(np.array([1, np.inf, 2], np.float32), -1.5, 0.25, 30.0)
    sound = samples.Sound(np.array([0.5, -1.0], np.float32), 16000)
    yield "sensor_msgs/msg/Image", "image", bag_messages.image_message(store, RGB, header), RGB
    yield "sensor_msgs/msg/Image", "depth", bag_messages.depth_message(store, DEPTH, header), DEPTH
    yield (
        "sensor_msgs/msg/CompressedImage",
        "image",
        make["sensor_msgs/msg/CompressedImage"](header=header, format="png", data=png),
        RGB,
    )
    counts = COUNTS.astype(np.float32)
    deep = make["sensor_msgs/msg/CompressedImage"](
        header=header, format="png", data=cv2.imencode(".png", COUNTS)[1].ravel()
    )
    yield "sensor_msgs/msg/Image", "thermal", bag_messages.thermal_message(store, counts, header), counts
    yield "sensor_msgs/msg/CompressedImage", "thermal", deep, counts
    yield "sensor_msgs/msg/PointCloud2", "cloud", bag_messages.cloud_message(store, POINTS, header), POINTS
    yield "sensor_msgs/msg/LaserScan", "scan", bag_messages.scan_message(store, scan, header), scan
    yield "any2any_ros/msg/AudioStamped", "sound", bag_messages.sound_message(store, sound, header), sound
    yield "std_msgs/msg/String", "text", bag_messages.text_message(store, "a bakery", header), "a bakery"


def plain(sample):
    """Return a sample as the text of its lists, to compare whole ones; a NaN is like another."""
    parts = vars(sample) if isinstance(sample, samples.Scan | samples.Sound) else {"": sample}
    return {name: repr(np.asarray(value).tolist()) for name, value in parts.items()}


def test_every_type_is_read_from_ros_own_messages():

    store, tried = cdr.typestore(), set()
    for type_name, kind, message, expected in real_messages():
        tried.add((type_name, kind))
        again = store.deserialize_cdr(store.serialize_cdr(message, type_name), type_name)
        assert plain(samples.decode(type_name, again, kind)) == plain(expected), (type_name, kind)
        assert samples.stamp_ns(again) == (None if type_name == "std_msgs/msg/String" else 12_000_000_034)
    assert tried == {(name, kind) for name, kinds in samples.TYPES.items() for kind in kinds}
