"""Colour, depth and thermal images of sensor_msgs/Image as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros import limits
from any2any_ros.arrays import Array
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples.encodings import (
    DEPTH_ENCODINGS,
    IMAGE_ENCODINGS,
    PLANE_ENCODINGS,
    THERMAL_ENCODINGS,
    look_up,
    unknown,
)

BITS = (8, 10, 12, 14, 16)  # of a camera's values


def image(message: Any) -> NDArray[np.uint8]:
    """Return a colour image (H, W, 3) uint8, RGB. Raises Any2AnyError on an unknown encoding or truncated data."""
    planes = look_up(message.encoding, PLANE_ENCODINGS)
    if planes is not None:
        return to_rgb(_planes(message, planes[0]), planes[1])
    entry = look_up(message.encoding, IMAGE_ENCODINGS)
    if entry is None:
        remedy = "Have the camera driver publish one of these"
        raise unknown("an image", message, remedy, IMAGE_ENCODINGS, PLANE_ENCODINGS)
    dtype, channels, conversion = entry
    return to_rgb(eight_bits(_pixels(message, np.dtype(dtype), channels, "an image")), conversion)


def eight_bits(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    """Return pixels of 8 or 16 bits with 8: the upper ones of as many bits as the brightest pixel shows there to be.

    Cameras of 10, 12 and 14 bits leave the upper ones of 16 empty.
    """
    if pixels.dtype.itemsize == 1:
        return np.asarray(pixels, dtype=np.uint8)
    used = int(pixels.max(initial=0)).bit_length()
    return (pixels >> (next(bits for bits in BITS if used <= bits) - BITS[0])).astype(np.uint8)


def depth(message: Any) -> Array:
    """Return a depth image (H, W) in metres along the optical axis, NaN where nothing was measured (REP-118).

    Raises Any2AnyError on an unknown encoding or truncated data.
    """
    entry = look_up(message.encoding, DEPTH_ENCODINGS)
    if entry is None:
        remedy = "Point the encoder's topic at depth, not colour, and have the driver publish one of these"
        raise unknown("a depth image", message, remedy, DEPTH_ENCODINGS)
    values = _pixels(message, np.dtype(entry[0]), 1, "a depth image")
    with np.errstate(invalid="ignore"):  # NaN of the kind that signals
        return valid_depth(values[..., 0].astype(np.float32) * np.float32(entry[1]))


def valid_depth(values: Array) -> Array:
    """Return depths (H, W) with NaN in place of values that are no distance: not finite, or not positive."""
    return np.where(np.isfinite(values) & (values > 0), values, np.float32(np.nan))


def thermal(message: Any) -> Array:
    """Return a thermal image (H, W) in the camera's own unit, with all of its bits.

    Raises Any2AnyError on an unknown encoding or truncated data.
    """
    dtype = look_up(message.encoding, THERMAL_ENCODINGS)
    if dtype is None:
        remedy = "Have the camera driver publish one of these, not false colours"
        raise unknown("a thermal image", message, remedy, THERMAL_ENCODINGS)
    return np.asarray(_pixels(message, np.dtype(dtype), 1, "a thermal image")[..., 0], dtype=np.float32)


def to_rgb(pixels: NDArray[Any], conversion: str | None) -> NDArray[np.uint8]:
    """Return pixels (H, W, C) as RGB (H, W, 3). conversion: name of OpenCV's; None: they are RGB."""
    if conversion is None:
        return np.asarray(pixels, dtype=np.uint8)
    import cv2

    return np.asarray(cv2.cvtColor(pixels, getattr(cv2, conversion)), dtype=np.uint8)


def _pixels(message: Any, dtype: np.dtype[Any], channels: int, what: str) -> NDArray[Any]:
    """Return the values (H, W, channels) of an image without the padding of its rows, in either byte order."""
    dtype = dtype.newbyteorder(">" if message.is_bigendian else "<")
    data = np.frombuffer(message.data, dtype=np.uint8)
    height, width, step = message.height, message.width, message.step
    used = width * channels * dtype.itemsize
    limits.check(what, width * height, limits.PIXELS, "pixels", "Have the camera driver publish smaller ones")
    half_pair = channels == 2 and width % 2  # in YUV two pixels share their colour
    if height * width == 0 or step < used or data.size < height * step or half_pair:
        raise _misfit(message, what, data.size)
    rows = np.ascontiguousarray(data[: height * step].reshape(height, step)[:, :used])
    return rows.view(dtype).reshape(height, width, channels)


def _planes(message: Any, bytes_of_two: int) -> NDArray[np.uint8]:
    """Return the planes (H * 3 / 2, W) of an image whose colours come after its brightness.

    bytes_of_two: how many bytes two pixels have; of 6, every other colour of every other row is left out.
    """
    data = np.frombuffer(message.data, dtype=np.uint8)
    height, width = message.height, message.width
    limits.check("an image", width * height, limits.PIXELS, "pixels", "Have the camera driver publish smaller ones")
    rows = height * bytes_of_two // 2
    step = width if data.size == rows * width else message.step  # some drivers count the colours of a row in its step
    if height * width == 0 or height % 2 or width % 2 or step < width or data.size < rows * step:
        raise _misfit(message, "an image", data.size)
    planes = np.ascontiguousarray(data[: rows * step].reshape(rows, step)[:, :width])
    if bytes_of_two == 3:
        return planes
    colours = planes[height:].reshape(height, width, 2)[::2, ::2]
    return np.concatenate([planes[:height], colours.reshape(height // 2, width)])


def _misfit(message: Any, what: str, size: int) -> Any2AnyError:
    described = f"{message.width}x{message.height} {message.encoding} at {message.step} bytes a row"
    remedy = "The driver or the recording truncated it: check them"
    return Any2AnyError(f"Cannot use {what}", f"{described} does not fit its {size} bytes", remedy)
