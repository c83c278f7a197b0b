"""JPEG and PNG, in messages (sensor_msgs/CompressedImage) and in files, as arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples.images import to_rgb

T = TypeVar("T")
Bytes = NDArray[np.uint8]


def compressed_image(message: Any) -> NDArray[np.uint8]:
    """Return a colour image (H, W, 3) uint8, RGB. Raises Any2AnyError when it is neither JPEG nor PNG."""
    why = "are neither JPEG nor PNG, or are truncated"
    return _decode_message(
        message, decode_image, "a compressed image", why, "Have the camera driver publish JPEG or PNG"
    )


def compressed_thermal(message: Any) -> Array:
    """Return a thermal image (H, W). Raises Any2AnyError when it is no JPEG or PNG of one channel."""
    why = "are no JPEG or PNG of one channel, or are truncated"
    remedy = "Have the camera driver publish PNG with one channel of 16 bits"
    return _decode_message(message, decode_thermal, "a compressed thermal image", why, remedy)


def decode_image(data: Bytes) -> NDArray[np.uint8] | None:
    """Return the image (H, W, 3) uint8, RGB, in the bytes of a JPEG or PNG file; None when they are damaged."""
    pixels = _decode(data, "IMREAD_COLOR")
    return None if pixels is None else to_rgb(pixels, "COLOR_BGR2RGB")


def decode_thermal(data: Bytes) -> Array | None:
    """Return the counts (H, W) in the bytes of a JPEG or PNG file; None when they are damaged or have colours."""
    counts = _decode(data, "IMREAD_UNCHANGED")
    return None if counts is None or counts.ndim != 2 else counts.astype(np.float32)


def _decode_message(message: Any, decode: Callable[[Bytes], T | None], what: str, why: str, remedy: str) -> T:
    """Return what `decode` makes of a message's bytes. Raises Any2AnyError when it returns None."""
    data = np.frombuffer(message.data, dtype=np.uint8)
    pixels = decode(data)
    if pixels is None:
        raise Any2AnyError(f"Cannot use {what}", f"its {data.size} bytes ('{message.format}') {why}", remedy)
    return pixels


def _decode(data: Bytes, flag: str) -> NDArray[Any] | None:
    import cv2

    try:
        return cv2.imdecode(data, getattr(cv2, flag)) if data.size else None
    except cv2.error:  # the header promises more pixels than OpenCV allows
        return None
