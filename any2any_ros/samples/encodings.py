"""The encodings of sensor_msgs/Image that are read, and the other names that drivers give them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from any2any_ros.errors import Any2AnyError

T = TypeVar("T")
# encoding -> NumPy type, channels, OpenCV's conversion to RGB (None: it is RGB)
IMAGE_ENCODINGS: dict[str, tuple[str, int, str | None]] = {
    "rgb8": ("u1", 3, None),
    "bgr8": ("u1", 3, "COLOR_BGR2RGB"),
    "8UC3": ("u1", 3, "COLOR_BGR2RGB"),
    "rgba8": ("u1", 4, "COLOR_RGBA2RGB"),
    "bgra8": ("u1", 4, "COLOR_BGRA2RGB"),
    "8UC4": ("u1", 4, "COLOR_BGRA2RGB"),
    "mono8": ("u1", 1, "COLOR_GRAY2RGB"),
    "8UC1": ("u1", 1, "COLOR_GRAY2RGB"),
    "mono16": ("u2", 1, "COLOR_GRAY2RGB"),
    "rgb16": ("u2", 3, None),
    "bgr16": ("u2", 3, "COLOR_BGR2RGB"),
    "16UC3": ("u2", 3, "COLOR_BGR2RGB"),
    "rgba16": ("u2", 4, "COLOR_RGBA2RGB"),
    "bgra16": ("u2", 4, "COLOR_BGRA2RGB"),
    "16UC4": ("u2", 4, "COLOR_BGRA2RGB"),
    # ROS names the first two pixels of a Bayer pattern, OpenCV those of the second row: the names are mirrored.
    "bayer_rggb8": ("u1", 1, "COLOR_BAYER_BG2RGB"),
    "bayer_bggr8": ("u1", 1, "COLOR_BAYER_RG2RGB"),
    "bayer_gbrg8": ("u1", 1, "COLOR_BAYER_GR2RGB"),
    "bayer_grbg8": ("u1", 1, "COLOR_BAYER_GB2RGB"),
    "bayer_rggb16": ("u2", 1, "COLOR_BAYER_BG2RGB"),
    "bayer_bggr16": ("u2", 1, "COLOR_BAYER_RG2RGB"),
    "bayer_gbrg16": ("u2", 1, "COLOR_BAYER_GR2RGB"),
    "bayer_grbg16": ("u2", 1, "COLOR_BAYER_GB2RGB"),
    "uyvy": ("u1", 2, "COLOR_YUV2RGB_UYVY"),
    "yuv422": ("u1", 2, "COLOR_YUV2RGB_UYVY"),
    "yuyv": ("u1", 2, "COLOR_YUV2RGB_YUYV"),
    "yuv422_yuy2": ("u1", 2, "COLOR_YUV2RGB_YUYV"),
}
# encoding of brightness and colour one after the other -> bytes for two pixels, OpenCV's conversion to RGB
PLANE_ENCODINGS: dict[str, tuple[int, str]] = {
    "nv12": (3, "COLOR_YUV2RGB_NV12"),
    "nv21": (3, "COLOR_YUV2RGB_NV21"),
    "nv24": (6, "COLOR_YUV2RGB_NV12"),  # with colours for each pixel, of which every other one is used
    "i420": (3, "COLOR_YUV2RGB_I420"),
    "yv12": (3, "COLOR_YUV2RGB_YV12"),
}
# encoding -> NumPy type, metres in one unit
DEPTH_ENCODINGS: dict[str, tuple[str, float]] = {"16UC1": ("u2", 0.001), "mono16": ("u2", 0.001), "32FC1": ("f4", 1.0)}
# encoding -> NumPy type; how many kelvin a count is, only the camera knows
THERMAL_ENCODINGS = {"mono16": "u2", "16UC1": "u2", "mono8": "u1", "8UC1": "u1", "32FC1": "f4"}
# other names, in lower case -> encoding
SPELLINGS = {
    "rgb": "rgb8", "bgr": "bgr8", "rgba": "rgba8", "bgra": "bgra8", "mono": "mono8", "gray8": "mono8", "grey8": "mono8",
    "y8": "mono8", "gray16": "mono16", "grey16": "mono16", "y16": "mono16", "z16": "16uc1", "yuv422_uyvy": "uyvy",
    "uyvy422": "uyvy", "yuy2": "yuyv", "yuyv422": "yuyv", "yuv422_yuyv": "yuyv", "yuv420": "i420", "yuv420p": "i420",
}  # fmt: skip


def look_up(encoding: str, encodings: Mapping[str, T]) -> T | None:
    """Return the entry of an encoding, in upper or lower case or under another of its names; None for an unknown."""
    lower = encoding.lower()
    names = {name.lower(): name for name in encodings}
    name = names.get(SPELLINGS.get(lower, lower))
    return None if name is None else encodings[name]


def unknown(what: str, message: Any, remedy: str, *encodings: Mapping[str, Any]) -> Any2AnyError:
    """Return the error for a message whose encoding is none of these."""
    known = ", ".join(name for group in encodings for name in group)
    return Any2AnyError(f"Cannot use {what}", f"its encoding is '{message.encoding}', known are {known}", remedy)
