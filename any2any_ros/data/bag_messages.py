"""Turns samples into messages that rosbags writes: the inverse of `samples.decode`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rosbags.typesys.store import Typestore
from scipy.spatial.transform import Rotation

from any2any_ros import samples
from any2any_ros.arrays import Array, Float64

POSE = "geometry_msgs/msg/PoseStamped"
ODOMETRY = "nav_msgs/msg/Odometry"
MAP_FRAME, ODOMETRY_FRAME = "map", "odom"


def header(store: Typestore, stamp: int, frame: str) -> Any:
    time = store.types["builtin_interfaces/msg/Time"](sec=stamp // samples.NS, nanosec=stamp % samples.NS)
    return store.types["std_msgs/msg/Header"](stamp=time, frame_id=frame)


def pose_message(store: Typestore, pose: Float64, stamp: int) -> Any:
    return store.types[POSE](header=header(store, stamp, MAP_FRAME), pose=_pose(store, pose))


def odometry_message(store: Typestore, pose: Float64, stamp: int) -> Any:
    """Return odometry without speeds, of a robot whose frame is the sensor's."""
    make, zero = store.types, store.types["geometry_msgs/msg/Vector3"](x=0.0, y=0.0, z=0.0)
    twist = make["geometry_msgs/msg/Twist"](linear=zero, angular=zero)
    return make[ODOMETRY](
        header=header(store, stamp, ODOMETRY_FRAME),
        child_frame_id="",
        pose=make["geometry_msgs/msg/PoseWithCovariance"](pose=_pose(store, pose), covariance=np.zeros(36)),
        twist=make["geometry_msgs/msg/TwistWithCovariance"](twist=twist, covariance=np.zeros(36)),
    )


def _pose(store: Typestore, pose: Float64) -> Any:
    x, y, z = pose[:3, 3]
    qx, qy, qz, qw = Rotation.from_matrix(pose[:3, :3]).as_quat()
    make = store.types
    return make["geometry_msgs/msg/Pose"](
        position=make["geometry_msgs/msg/Point"](x=x, y=y, z=z),
        orientation=make["geometry_msgs/msg/Quaternion"](x=qx, y=qy, z=qz, w=qw),
    )


def image_message(store: Typestore, pixels: NDArray[np.uint8], header: Any) -> Any:
    height, width = pixels.shape[:2]
    return store.types["sensor_msgs/msg/Image"](
        header=header, height=height, width=width, encoding="rgb8", is_bigendian=0, step=3 * width,
        data=np.ascontiguousarray(pixels).reshape(-1),
    )  # fmt: skip


def depth_message(store: Typestore, metres: Array, header: Any) -> Any:
    height, width = metres.shape
    data = np.ascontiguousarray(metres, dtype="<f4").reshape(-1).view(np.uint8)
    return store.types["sensor_msgs/msg/Image"](
        header=header, height=height, width=width, encoding="32FC1", is_bigendian=0, step=4 * width, data=data
    )


def thermal_message(store: Typestore, counts: Array, header: Any) -> Any:
    """Return counts (H, W) as an image of 16 bits. Whole numbers of at most 16 bits are kept exactly."""
    height, width = counts.shape
    data = np.clip(np.round(counts), 0, 65535).astype("<u2").reshape(-1).view(np.uint8)
    return store.types["sensor_msgs/msg/Image"](
        header=header, height=height, width=width, encoding="mono16", is_bigendian=0, step=2 * width, data=data
    )


def cloud_message(store: Typestore, points: Array, header: Any) -> Any:
    field = store.types["sensor_msgs/msg/PointField"]
    fields = [field(name=n, offset=4 * i, datatype=7, count=1) for i, n in enumerate(("x", "y", "z", "intensity"))]
    data = np.ascontiguousarray(points[:, :4], dtype="<f4").reshape(-1).view(np.uint8)
    return store.types["sensor_msgs/msg/PointCloud2"](
        header=header, height=1, width=len(points), fields=fields, is_bigendian=False, point_step=16,
        row_step=16 * len(points), data=data, is_dense=True,
    )  # fmt: skip


def scan_message(store: Typestore, scan: samples.Scan, header: Any) -> Any:
    return store.types["sensor_msgs/msg/LaserScan"](
        header=header, angle_min=scan.angle_min,
        angle_max=scan.angle_min + (len(scan.ranges) - 1) * scan.angle_increment,
        angle_increment=scan.angle_increment, time_increment=scan.time_increment, scan_time=0.0, range_min=0.0,
        range_max=scan.range_max, ranges=np.asarray(scan.ranges, dtype=np.float32),
        intensities=np.empty(0, dtype=np.float32),
    )  # fmt: skip


def sound_message(store: Typestore, sound: samples.Sound, header: Any) -> Any:
    # Exact for sound that was read from a file of 16 bits.
    pcm = np.clip(np.round(sound.samples * 32768.0), -32768, 32767).astype("<i2")
    return store.types["any2any_ros/msg/AudioStamped"](
        header=header, sample_rate=sound.rate, channels=1, encoding="S16LE", data=pcm.view(np.uint8)
    )


def text_message(store: Typestore, text: str, header: Any) -> Any:
    return store.types["std_msgs/msg/String"](data=text)


# kind of sample -> ROS type, and how to make the message
MAKERS: dict[str, tuple[str, Callable[[Typestore, Any, Any], Any]]] = {
    "image": ("sensor_msgs/msg/Image", image_message),
    "depth": ("sensor_msgs/msg/Image", depth_message),
    "thermal": ("sensor_msgs/msg/Image", thermal_message),
    "cloud": ("sensor_msgs/msg/PointCloud2", cloud_message),
    "scan": ("sensor_msgs/msg/LaserScan", scan_message),
    "sound": ("any2any_ros/msg/AudioStamped", sound_message),
    "text": ("std_msgs/msg/String", text_message),
}
