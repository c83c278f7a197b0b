"""A message of every type is decoded to every kind of sample that it carries."""

import copy
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
from rosbags.typesys import get_types_from_msg

from any2any_ros import cdr, samples

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3)).astype(np.uint8)
POINTS = np.array([[1, 2, 3, 0.5], [-4, 5.5, -6, 0], [0.25, 0, 0, 1]], dtype=np.float32)
DEPTH = np.array([[np.nan, 0.001, 0.5], [1.234, 65.535, np.nan]], np.float32)
METRES = np.array([[np.nan, 0.25, 0.5]], np.float32)
COUNTS = np.array([[0, 1, 29315], [30001, 65535, 30002]], np.uint16)  # hundredths of a kelvin


def test_each_type_is_read_by_the_function_of_its_kind():
    assert samples.types_of("image") == ("sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage")
    assert samples.types_of("cloud")[0] == "sensor_msgs/msg/PointCloud2" and samples.types_of("smell") == ()
    assert samples.decode("std_msgs/msg/String", SimpleNamespace(data="a bakery"), "text") == "a bakery"


@pytest.mark.parametrize(("sec", "nanosec", "expected"), [(3, 5, 3_000_000_005), (0, 1, 1), (0, 0, None)])
def test_a_stamp_of_zero_is_none(sec, nanosec, expected):
    header = SimpleNamespace(stamp=SimpleNamespace(sec=sec, nanosec=nanosec))
    assert samples.stamp_ns(SimpleNamespace(header=header)) == expected


def test_a_message_without_a_header_has_no_stamp():
    assert samples.stamp_ns(SimpleNamespace(data="")) is None


def real_messages(store):
    """ROS's own messages of each type and kind that is read, as rosbags writes and reads them, and what is in them."""
    from any2any_ros.data import bag_messages

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
    yield "sensor_msgs/msg/PointCloud2", "timed_cloud", bag_messages.cloud_message(store, POINTS, header), POINTS
    yield "sensor_msgs/msg/LaserScan", "scan", bag_messages.scan_message(store, scan, header), scan
    yield "any2any_ros/msg/AudioStamped", "sound", bag_messages.sound_message(store, sound, header), sound
    beams = [make["sensor_msgs/msg/LaserEcho"](echoes=np.array([r, 9], np.float32)) for r in scan.ranges]
    single = vars(bag_messages.scan_message(store, scan, header))
    several = {k: v for k, v in single.items() if not k.startswith("__")} | {"ranges": beams, "intensities": []}
    multi = "sensor_msgs/msg/MultiEchoLaserScan"
    yield multi, "scan", make[multi](**several), scan
    millimetres = cv2.imencode(".png", (np.nan_to_num(METRES) * 1000).astype(np.uint16))[1].ravel()
    depth = make["sensor_msgs/msg/CompressedImage"](header=header, format="16UC1; png compressed", data=millimetres)
    yield "sensor_msgs/msg/CompressedImage", "depth", depth, METRES
    yield from foreign_messages(make, header, sound)
    yield "std_msgs/msg/String", "text", bag_messages.text_message(store, "a bakery", header), "a bakery"


FOREIGN = {  # types that only a bag defines; of Livox and audio_common
    "livox_ros_driver2/msg/CustomPoint": "uint32 offset_time\nfloat32 x\nfloat32 y\nfloat32 z\n"
    "uint8 reflectivity\nuint8 tag\nuint8 line",
    "livox_ros_driver2/msg/CustomMsg": "std_msgs/Header header\nuint64 timebase\nuint32 point_num\nuint8 lidar_id\n"
    "uint8[3] rsvd\nlivox_ros_driver2/CustomPoint[] points",
    "audio_common_msgs/msg/AudioData": "uint8[] data",
    "audio_common_msgs/msg/AudioDataStamped": "std_msgs/Header header\naudio_common_msgs/AudioData audio",
    "audio_common_msgs/msg/AudioInfo": "int32 format\nint32 channels\nint32 rate\nint32 chunk",
    "audio_common_msgs/msg/Samples": "int16[] int16_data",
    "audio_common_msgs/msg/Audio": "audio_common_msgs/Samples audio_data\naudio_common_msgs/AudioInfo info",
    "audio_common_msgs/msg/AudioStamped": "std_msgs/Header header\naudio_common_msgs/Audio audio",
}


def foreign_messages(make, header, sound):
    late = 500_000_000  # ns after the stamp
    points = [make["livox_ros_driver2/msg/CustomPoint"](late, *map(float, p[:3]), int(p[3]), 0, 0) for p in POINTS]
    read = np.trunc(POINTS * [0, 0, 0, 1]) + POINTS * [1, 1, 1, 0]
    for package in ("livox_ros_driver2", "livox_ros_driver"):
        custom = make["livox_ros_driver2/msg/CustomMsg"](header, 0, len(points), 0, np.zeros(3, np.uint8), points)
        yield f"{package}/msg/CustomMsg", "cloud", custom, read
        yield f"{package}/msg/CustomMsg", "timed_cloud", custom, np.column_stack([read, np.full(len(read), 0.5)])
    pcm = (sound.samples * 32768).astype("<i2")
    data = make["audio_common_msgs/msg/AudioData"](pcm.view(np.uint8))
    yield "audio_common_msgs/msg/AudioData", "sound", data, sound
    stamped = make["audio_common_msgs/msg/AudioDataStamped"](header, data)
    yield "audio_common_msgs/msg/AudioDataStamped", "sound", stamped, sound
    info = make["audio_common_msgs/msg/AudioInfo"](8, 1, sound.rate, len(pcm))
    audio = make["audio_common_msgs/msg/Audio"](make["audio_common_msgs/msg/Samples"](pcm), info)
    yield (
        "audio_common_msgs/msg/AudioStamped",
        "sound",
        make["audio_common_msgs/msg/AudioStamped"](header, audio),
        sound,
    )


def plain(sample):
    """Return a sample as the text of its lists, to compare whole ones; a NaN is like another."""
    parts = vars(sample) if isinstance(sample, samples.Scan | samples.Sound) else {"": sample}
    return {name: repr(np.asarray(value).tolist()) for name, value in parts.items()}


def all_types():
    """Return the types of ROS, ours, and FOREIGN ones, which a bag would define."""
    store = copy.deepcopy(cdr.typestore())
    for name, definition in FOREIGN.items():
        store.register(get_types_from_msg(definition, name))
    return store


def test_every_type_is_read_from_ros_own_messages():
    store, tried, stampless = all_types(), set(), ("std_msgs/msg/String", "audio_common_msgs/msg/AudioData")
    for type_name, kind, message, expected in real_messages(store):
        tried.add((type_name, kind))
        name = message.__msgtype__
        again = store.deserialize_cdr(store.serialize_cdr(message, name), name)
        assert plain(samples.decode(type_name, again, kind)) == plain(expected), (type_name, kind)
        assert samples.stamp_ns(again) == (None if type_name in stampless else 12_000_000_034)
    assert tried == {(name, kind) for name, kinds in samples.TYPES.items() for kind in kinds}
