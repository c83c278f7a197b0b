"""Sensor messages become arrays here and nowhere else.

`decode` reads any object that has the fields of the ROS message, so rclpy's own messages and those that
`rosbags` reads from a file take the same road: what a node sees is what the library sees. A message type
never met before is one function and one line of `TYPES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros.errors import Any2AnyError

T = TypeVar("T")
NS = 1_000_000_000


@dataclass(frozen=True, eq=False)
class Scan:
    """A 2-D laser scan: ranges (B,) float32 in metres (inf or NaN = no return), the first beam's angle and
    the step between beams in radians (counter-clockwise), the farthest reading the sensor gives in metres."""

    ranges: NDArray[np.float32]
    angle_min: float
    angle_increment: float
    range_max: float


@dataclass(frozen=True, eq=False)
class Sound:
    """A piece of sound: samples (S,) float32 in [-1, 1], mono; rate in Hz."""

    samples: NDArray[np.float32]
    rate: int


@dataclass(frozen=True)
class Transcript:
    """What was heard in a sound: the words, lower case, "" for none; how sure that is in [0, 1]; how many seconds
    were listened to; what else there is to say about it, "" for nothing."""

    text: str
    confidence: float
    seconds: float
    remark: str = ""


# sensor_msgs/PointField.datatype -> NumPy
POINT_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 8: "f8"}
PLAIN_POINT = np.dtype(
    [(name, "<f4") for name in ("x", "y", "z", "intensity")]
)  # what KITTI's bags and many drivers send: one copy


def cloud(message: Any) -> NDArray[np.float32]:
    """Return points (N, 4) float32 x, y, z in metres and intensity (0 without one); NaN points are left out.

    Any field order, type, padding and byte order.
    """
    fields = {f.name: f for f in message.fields}
    absent = [name for name in "xyz" if name not in fields]
    if absent:
        raise Any2AnyError(
            "Cannot use a point cloud",
            f"it has no field {', '.join(absent)} (its fields: {', '.join(fields) or 'none'})",
            "Point the encoder's topic at a cloud with x, y and z",
        )
    data = np.frombuffer(message.data, dtype=np.uint8)
    height, width, row = message.height, message.width, message.row_step
    if height * row > data.size or width * message.point_step > row:
        raise Any2AnyError(
            "Cannot use a point cloud",
            f"it promises {height} rows of {row} bytes and holds {data.size} bytes",
            "The driver or the recording cut it short: check them",
        )
    dtype = _point_type(message, [fields[n] for n in ("x", "y", "z", "intensity") if n in fields])
    rows = data[: height * row].reshape(height, row)[:, : width * message.point_step]
    points = np.ascontiguousarray(rows).reshape(-1).view(dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # what float32 cannot hold is left out, too
        out = points.view("<f4").reshape(-1, 4).copy() if dtype == PLAIN_POINT else _columns(points)
        # One sum tells whether a slower look at every point is needed at all.
        return out if np.isfinite(out.sum()) else out[np.isfinite(out).all(axis=1)]


def _columns(points: NDArray[Any]) -> NDArray[np.float32]:
    out = np.zeros((points.size, 4), dtype=np.float32)
    for column, name in enumerate(points.dtype.names or ()):
        out[:, column] = points[name]
    return out


def _point_type(message: Any, wanted: list[Any]) -> np.dtype[Any]:
    """Return the structure of one point, with the fields `wanted` only."""
    for f in wanted:
        if f.datatype not in POINT_TYPES or f.offset + int(POINT_TYPES[f.datatype][1]) > message.point_step:
            raise Any2AnyError(
                "Cannot use a point cloud",
                f"field {f.name} of type {f.datatype} at byte {f.offset} is no part of a point of {message.point_step} "
                "bytes",
                "The driver describes its points wrongly: check it",
            )
    order = ">" if message.is_bigendian else "<"
    return np.dtype(
        {
            "names": [f.name for f in wanted],
            "formats": [order + POINT_TYPES[f.datatype] for f in wanted],
            "offsets": [f.offset for f in wanted],
            "itemsize": message.point_step,
        }
    )


# encoding -> NumPy type, channels, OpenCV conversion to RGB (None: it is RGB)
IMAGE_ENCODINGS: dict[str, tuple[str, int, str | None]] = {
    "rgb8": ("u1", 3, None),
    "bgr8": ("u1", 3, "COLOR_BGR2RGB"),
    "8UC3": ("u1", 3, "COLOR_BGR2RGB"),
    "rgba8": ("u1", 4, "COLOR_RGBA2RGB"),
    "bgra8": ("u1", 4, "COLOR_BGRA2RGB"),
    "mono8": ("u1", 1, "COLOR_GRAY2RGB"),
    "8UC1": ("u1", 1, "COLOR_GRAY2RGB"),
    "mono16": ("u2", 1, "COLOR_GRAY2RGB"),
    "rgb16": ("u2", 3, None),
    "bgr16": ("u2", 3, "COLOR_BGR2RGB"),
    # ROS names the first two pixels of the pattern, OpenCV the second row's: each is the other's mirror.
    "bayer_rggb8": ("u1", 1, "COLOR_BAYER_BG2RGB"),
    "bayer_bggr8": ("u1", 1, "COLOR_BAYER_RG2RGB"),
    "bayer_gbrg8": ("u1", 1, "COLOR_BAYER_GR2RGB"),
    "bayer_grbg8": ("u1", 1, "COLOR_BAYER_GB2RGB"),
    "uyvy": ("u1", 2, "COLOR_YUV2RGB_UYVY"),
    "yuv422": ("u1", 2, "COLOR_YUV2RGB_UYVY"),
    "yuyv": ("u1", 2, "COLOR_YUV2RGB_YUYV"),
    "yuv422_yuy2": ("u1", 2, "COLOR_YUV2RGB_YUYV"),
}


def image(message: Any) -> NDArray[np.uint8]:
    """Return an image (H, W, 3) uint8, RGB."""
    known = _known(message, IMAGE_ENCODINGS, "an image", "Have the camera driver publish one of these")
    kind, channels, conversion = known
    pixels = _rows(message, np.dtype(kind), channels, "an image")
    if pixels.dtype.itemsize == 2:
        pixels = (pixels >> 8).astype(np.uint8)
    return _to_rgb(pixels, conversion)


def _known(message: Any, encodings: Mapping[str, T], what: str, remedy: str) -> T:
    """Return what is known of an image's encoding; raise on another one."""
    if message.encoding not in encodings:
        why = f"its encoding is '{message.encoding}', known are {', '.join(encodings)}"
        raise Any2AnyError(f"Cannot use {what}", why, remedy)
    return encodings[message.encoding]


def _rows(message: Any, dtype: np.dtype[Any], channels: int, what: str) -> NDArray[Any]:
    """Return an image's values (H, W, channels) past the padding of its rows, in either byte order."""
    dtype = dtype.newbyteorder(">" if message.is_bigendian else "<")
    data = np.frombuffer(message.data, dtype=np.uint8)
    height, width, step = message.height, message.width, message.step
    used = width * channels * dtype.itemsize
    halved = channels == 2 and width % 2  # two pixels share their colour
    if height * width == 0 or step < used or data.size < height * step or halved:
        raise Any2AnyError(
            f"Cannot use {what}",
            f"{width}x{height} {message.encoding} at {step} bytes a row does not fit its {data.size} bytes",
            "The driver or the recording cut it short: check them",
        )
    rows = np.ascontiguousarray(data[: height * step].reshape(height, step)[:, :used])
    return rows.view(dtype).reshape(height, width, channels)


def _to_rgb(pixels: NDArray[Any], conversion: str | None) -> NDArray[np.uint8]:
    if conversion is None:
        return np.asarray(pixels, dtype=np.uint8)
    import cv2

    return np.asarray(cv2.cvtColor(pixels, getattr(cv2, conversion)), dtype=np.uint8)


# encoding -> NumPy type, metres in one unit
DEPTH_ENCODINGS: dict[str, tuple[str, float]] = {"16UC1": ("u2", 0.001), "mono16": ("u2", 0.001), "32FC1": ("f4", 1.0)}


def depth(message: Any) -> NDArray[np.float32]:
    """Return a depth image (H, W) float32 in metres along the optical axis; NaN where nothing was measured (REP-118).

    Holes are 0 in millimetres, and NaN, inf or anything not positive in metres.
    """
    remedy = "Point the encoder's topic at depth, not colour, and have the driver publish one of these"
    kind, unit = _known(message, DEPTH_ENCODINGS, "a depth image", remedy)
    rows = _rows(message, np.dtype(kind), 1, "a depth image")
    return metres(rows[..., 0].astype(np.float32) * np.float32(unit))


def metres(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return depths (H, W) with NaN for what is no distance: not finite, or not positive."""
    return np.where(np.isfinite(values) & (values > 0), values, np.float32(np.nan))


# encoding -> NumPy type; what a count is in kelvin, only the camera knows
THERMAL_ENCODINGS = {"mono16": "u2", "16UC1": "u2", "mono8": "u1", "8UC1": "u1", "32FC1": "f4"}


def thermal(message: Any) -> NDArray[np.float32]:
    """Return a thermal image (H, W) float32: what the camera gives, with all of its bits."""
    what, remedy = "a thermal image", "Have the camera driver publish one of these, not false colours"
    kind = np.dtype(_known(message, THERMAL_ENCODINGS, what, remedy))
    return np.asarray(_rows(message, kind, 1, what)[..., 0], dtype=np.float32)


def compressed_thermal(message: Any) -> NDArray[np.float32]:
    """Return a thermal image (H, W) float32 from a PNG or JPEG of one channel."""
    why, remedy = (
        "are no whole PNG or JPEG of one channel",
        "Have the camera driver publish PNG of 16 bits in one channel",
    )
    return _opened(message, thermal_picture, "a compressed thermal image", why, remedy)


def thermal_picture(data: NDArray[np.uint8]) -> NDArray[np.float32] | None:
    """Return the counts (H, W) float32 in the bytes of a PNG or JPEG file of one channel; None when they are none."""
    counts = _unpacked(data, "IMREAD_UNCHANGED")
    return None if counts is None or counts.ndim != 2 else counts.astype(np.float32)


def compressed_image(message: Any) -> NDArray[np.uint8]:
    """Return a JPEG or PNG image (H, W, 3) uint8, RGB."""
    why, remedy = "are neither JPEG nor PNG, or are cut short", "Have the camera driver publish JPEG or PNG"
    return _opened(message, picture, "a compressed image", why, remedy)


def picture(data: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """Return the picture (H, W, 3) uint8, RGB, in the bytes of a JPEG or PNG file; None when they are no whole one."""
    pixels = _unpacked(data, "IMREAD_COLOR")
    return None if pixels is None else _to_rgb(pixels, "COLOR_BGR2RGB")


def _opened(message: Any, read: Callable[[NDArray[np.uint8]], T | None], what: str, why: str, remedy: str) -> T:
    """Return what `read` makes of a message's bytes."""
    data = np.frombuffer(message.data, dtype=np.uint8)
    found = read(data)
    if found is None:
        raise Any2AnyError(f"Cannot use {what}", f"its {data.size} bytes ('{message.format}') {why}", remedy)
    return found


def _unpacked(data: NDArray[np.uint8], flag: str) -> NDArray[Any] | None:
    import cv2

    try:
        return cv2.imdecode(data, getattr(cv2, flag)) if data.size else None
    except cv2.error:  # its header asks for more pixels than any camera has
        return None


def scan(message: Any) -> Scan:
    """Return a laser scan; readings outside the sensor's own range become inf."""
    ranges = np.array(message.ranges, dtype=np.float32)
    valid = (ranges >= message.range_min) & (ranges <= message.range_max)
    ranges[~valid] = np.inf
    return Scan(ranges, float(message.angle_min), float(message.angle_increment), float(message.range_max))


def sound(message: Any) -> Sound:
    """Return a chunk of sound, its channels averaged."""
    formats = {"S16LE": ("<i2", 32768.0), "F32LE": ("<f4", 1.0)}
    if message.encoding not in formats or message.channels < 1 or message.sample_rate < 1:
        raise Any2AnyError(
            "Cannot use a chunk of sound",
            f"encoding '{message.encoding}', {message.channels} channels, {message.sample_rate} Hz",
            f"Publish {' or '.join(formats)} with at least one channel and a sample rate",
        )
    kind, full_scale = formats[message.encoding]
    raw = np.frombuffer(message.data, dtype=np.uint8)
    frame = np.dtype(kind).itemsize * message.channels
    samples = raw[: raw.size - raw.size % frame].view(kind).reshape(-1, message.channels)
    mono = samples.mean(axis=1, dtype=np.float64) / full_scale
    return Sound(mono.astype(np.float32), int(message.sample_rate))


def text(message: Any) -> str:
    """Return the text of a std_msgs/String."""
    return str(message.data)


# ROS type -> the kinds of sample that an encoder may take it for, and how to get each
TYPES: dict[str, dict[str, Callable[[Any], Any]]] = {
    "sensor_msgs/msg/Image": {"image": image, "depth": depth, "thermal": thermal},
    "sensor_msgs/msg/CompressedImage": {"image": compressed_image, "thermal": compressed_thermal},
    "sensor_msgs/msg/PointCloud2": {"cloud": cloud},
    "sensor_msgs/msg/LaserScan": {"scan": scan},
    "any2any_ros/msg/AudioStamped": {"sound": sound},
    "std_msgs/msg/String": {"text": text},
}


def example(kind: str) -> Any:
    """Return a sample of `kind` that any encoder can use: a node's first real one should not pay for the warm-up."""
    draw = np.random.default_rng(0)
    if kind == "image":
        return draw.integers(0, 255, (96, 192, 3), dtype=np.uint8)
    if kind == "depth":
        metres_away = draw.normal(1.0, 0.002, (96, 96)).astype(np.float32)
        metres_away[32:64, 32:64] -= 0.1
        return metres_away
    if kind == "thermal":
        return draw.normal(29000, 300, (120, 160)).astype(np.float32)
    if kind == "cloud":
        return draw.uniform(-20, 20, (2000, 4)).astype(np.float32)
    if kind == "scan":
        return Scan(draw.uniform(2, 10, 360).astype(np.float32), -np.pi, np.pi / 180, 30.0)
    if kind == "sound":
        return Sound(draw.uniform(-0.5, 0.5, 48000).astype(np.float32), 48000)
    return "a place to warm up"


def types_of(kind: str) -> tuple[str, ...]:
    """Return the ROS types that carry samples of `kind`, the plain one first."""
    return tuple(name for name, kinds in TYPES.items() if kind in kinds)


def decode(type_name: str, message: Any, kind: str) -> Any:
    """Return the sample of `kind` in a message of a ROS type that carries it; raise on one that cannot be used."""
    return TYPES[type_name][kind](message)


def stamp_ns(message: Any) -> int | None:
    """Return the header's stamp in ns; None for a message without a header, or with a stamp of zero."""
    header = getattr(message, "header", None)
    return (header.stamp.sec * NS + header.stamp.nanosec or None) if header is not None else None
