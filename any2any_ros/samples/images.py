"""Colour, depth and thermal images of sensor_msgs/Image as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros import limits
from any2any_ros.arrays import Array
from any2any_ros.errors import Any2AnyError

T = TypeVar("T")
# encoding -> NumPy type, channels, OpenCV's conversion to RGB (None: it is RGB)
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
    # ROS names the first two pixels of a Bayer pattern, OpenCV those of the second row: the names are mirrored.
    "bayer_rggb8": ("u1", 1, "COLOR_BAYER_BG2RGB"),
    "bayer_bggr8": ("u1", 1, "COLOR_BAYER_RG2RGB"),
    "bayer_gbrg8": ("u1", 1, "COLOR_BAYER_GR2RGB"),
    "bayer_grbg8": ("u1", 1, "COLOR_BAYER_GB2RGB"),
    "uyvy": ("u1", 2, "COLOR_YUV2RGB_UYVY"),
    "yuv422": ("u1", 2, "COLOR_YUV2RGB_UYVY"),
    "yuyv": ("u1", 2, "COLOR_YUV2RGB_YUYV"),
    "yuv422_yuy2": ("u1", 2, "COLOR_YUV2RGB_YUYV"),
}
# encoding -> NumPy type, metres in one unit
DEPTH_ENCODINGS: dict[str, tuple[str, float]] = {"16UC1": ("u2", 0.001), "mono16": ("u2", 0.001), "32FC1": ("f4", 1.0)}
# encoding -> NumPy type; how many kelvin a count is, only the camera knows
THERMAL_ENCODINGS = {"mono16": "u2", "16UC1": "u2", "mono8": "u1", "8UC1": "u1", "32FC1": "f4"}


def image(message: Any) -> NDArray[np.uint8]:
    """Return a colour image (H, W, 3) uint8, RGB. Raises Any2AnyError on an unknown encoding or truncated data."""
    remedy = "Have the camera driver publish one of these"
    dtype, channels, conversion = _look_up(message, IMAGE_ENCODINGS, "an image", remedy)
    pixels = _pixels(message, np.dtype(dtype), channels, "an image")
    if pixels.dtype.itemsize == 2:
        pixels = (pixels >> 8).astype(np.uint8)
    return to_rgb(pixels, conversion)


def depth(message: Any) -> Array:
    """Return a depth image (H, W) in metres along the optical axis, NaN where nothing was measured (REP-118).

    Raises Any2AnyError on an unknown encoding or truncated data.
    """
    remedy = "Point the encoder's topic at depth, not colour, and have the driver publish one of these"
    dtype, unit = _look_up(message, DEPTH_ENCODINGS, "a depth image", remedy)
    values = _pixels(message, np.dtype(dtype), 1, "a depth image")
    with np.errstate(invalid="ignore"):  # NaN of the kind that signals
        return valid_depth(values[..., 0].astype(np.float32) * np.float32(unit))


def valid_depth(values: Array) -> Array:
    """Return depths (H, W) with NaN in place of values that are no distance: not finite, or not positive."""
    return np.where(np.isfinite(values) & (values > 0), values, np.float32(np.nan))


def thermal(message: Any) -> Array:
    """Return a thermal image (H, W) in the camera's own unit, with all of its bits.

    Raises Any2AnyError on an unknown encoding or truncated data.
    """
    remedy = "Have the camera driver publish one of these, not false colours"
    dtype = np.dtype(_look_up(message, THERMAL_ENCODINGS, "a thermal image", remedy))
    return np.asarray(_pixels(message, dtype, 1, "a thermal image")[..., 0], dtype=np.float32)


def to_rgb(pixels: NDArray[Any], conversion: str | None) -> NDArray[np.uint8]:
    """Return pixels (H, W, C) as RGB (H, W, 3). conversion: name of OpenCV's; None: they are RGB."""
    if conversion is None:
        return np.asarray(pixels, dtype=np.uint8)
    import cv2

    return np.asarray(cv2.cvtColor(pixels, getattr(cv2, conversion)), dtype=np.uint8)


def _look_up(message: Any, encodings: Mapping[str, T], what: str, remedy: str) -> T:
    """Return the entry of a message's encoding. Raises Any2AnyError on an encoding that is not listed."""
    if message.encoding not in encodings:
        why = f"its encoding is '{message.encoding}', known are {', '.join(encodings)}"
        raise Any2AnyError(f"Cannot use {what}", why, remedy)
    return encodings[message.encoding]


def _pixels(message: Any, dtype: np.dtype[Any], channels: int, what: str) -> NDArray[Any]:
    """Return the values (H, W, channels) of an image without the padding of its rows, in either byte order."""
    dtype = dtype.newbyteorder(">" if message.is_bigendian else "<")
    data = np.frombuffer(message.data, dtype=np.uint8)
    height, width, step = message.height, message.width, message.step
    used = width * channels * dtype.itemsize
    limits.check(what, width * height, limits.PIXELS, "pixels", "Have the camera driver publish smaller ones")
    half_pair = channels == 2 and width % 2  # in YUV two pixels share their colour
    if height * width == 0 or step < used or data.size < height * step or half_pair:
        raise Any2AnyError(
            f"Cannot use {what}",
            f"{width}x{height} {message.encoding} at {step} bytes a row does not fit its {data.size} bytes",
            "The driver or the recording truncated it: check them",
        )
    rows = np.ascontiguousarray(data[: height * step].reshape(height, step)[:, :used])
    return rows.view(dtype).reshape(height, width, channels)
