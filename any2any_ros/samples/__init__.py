"""Sensor messages become arrays here and nowhere else. A sample is one decoded message.

`decode` reads any object that has the fields of the ROS message. So the messages of rclpy and those that `rosbags`
reads from a file pass through the same code, and a map built from a bag holds what the nodes would have seen. Another
type of message is one function and one line of `TYPES`.
"""

from collections.abc import Callable
from typing import Any

from any2any_ros import limits
from any2any_ros.samples.audio import captured_sound, described_sound, sound
from any2any_ros.samples.compressed import (
    compressed_depth,
    compressed_image,
    compressed_thermal,
    decode_image,
    decode_pixels,
    decode_thermal,
)
from any2any_ros.samples.encodings import DEPTH_ENCODINGS, IMAGE_ENCODINGS, PLANE_ENCODINGS, THERMAL_ENCODINGS
from any2any_ros.samples.examples import example
from any2any_ros.samples.images import depth, image, thermal, valid_depth
from any2any_ros.samples.lidar import POINT_TYPES, cloud, livox, multi_echo_scan, scan, timed_cloud, timed_livox
from any2any_ros.samples.values import NS, Scan, Sound, Step, Transcript

__all__ = [
    "DEPTH_ENCODINGS",
    "IMAGE_ENCODINGS",
    "NS",
    "PLANE_ENCODINGS",
    "POINT_TYPES",
    "THERMAL_ENCODINGS",
    "TYPES",
    "Scan",
    "Sound",
    "Step",
    "Transcript",
    "captured_sound",
    "cloud",
    "compressed_depth",
    "compressed_image",
    "compressed_thermal",
    "decode",
    "decode_image",
    "decode_pixels",
    "decode_thermal",
    "depth",
    "described_sound",
    "example",
    "image",
    "livox",
    "multi_echo_scan",
    "scan",
    "sensor_of",
    "sound",
    "stamp_ns",
    "text",
    "thermal",
    "time_in_ns",
    "timed_cloud",
    "timed_livox",
    "types_of",
    "valid_depth",
]


def text(message: Any) -> str:
    """Return the text of a std_msgs/String. Raises Any2AnyError when it is too long."""
    limits.check("a text", len(message.data), limits.CHARACTERS, "characters", "Publish a shorter one")
    return str(message.data)


# ROS type -> the kinds of sample that it can be decoded to, and the function for each
TYPES: dict[str, dict[str, Callable[[Any], Any]]] = {
    "sensor_msgs/msg/Image": {"image": image, "depth": depth, "thermal": thermal},
    "sensor_msgs/msg/CompressedImage": {
        "image": compressed_image,
        "depth": compressed_depth,
        "thermal": compressed_thermal,
    },
    "sensor_msgs/msg/PointCloud2": {"cloud": cloud, "timed_cloud": timed_cloud},
    "livox_ros_driver2/msg/CustomMsg": {"cloud": livox, "timed_cloud": timed_livox},
    "livox_ros_driver/msg/CustomMsg": {"cloud": livox, "timed_cloud": timed_livox},
    "sensor_msgs/msg/LaserScan": {"scan": scan},
    "sensor_msgs/msg/MultiEchoLaserScan": {"scan": multi_echo_scan},
    "any2any_ros/msg/AudioStamped": {"sound": sound},
    "audio_common_msgs/msg/AudioStamped": {"sound": described_sound},
    "audio_common_msgs/msg/AudioDataStamped": {"sound": captured_sound},
    "audio_common_msgs/msg/AudioData": {"sound": captured_sound},
    "std_msgs/msg/String": {"text": text},
}


def sensor_of(kind: str) -> str:
    """Return the kind of sample of the same sensor that most encoders take: "cloud" for "timed_cloud"."""
    return kind.removeprefix("timed_")


def types_of(kind: str) -> tuple[str, ...]:
    """Return the ROS types that can be decoded to samples of `kind`, the uncompressed one first."""
    return tuple(name for name, kinds in TYPES.items() if kind in kinds)


def decode(type_name: str, message: Any, kind: str) -> Any:
    """Return the sample of `kind` in a message of a ROS type. Raises Any2AnyError when the message cannot be used.

    type_name: one of `types_of(kind)`.
    """
    return TYPES[type_name][kind](message)


def stamp_ns(message: Any) -> int | None:
    """Return the stamp of the header in ns; None for a message without a header, or with a stamp of zero."""
    header = getattr(message, "header", None)
    return (time_in_ns(header.stamp.sec, header.stamp.nanosec) or None) if header is not None else None


def time_in_ns(sec: int, nanosec: int) -> int:
    """Return the time of a stamp in ns. Nanoseconds of a second or more, which no stamp should have, count as less."""
    return int(sec) * NS + min(int(nanosec), NS - 1)
