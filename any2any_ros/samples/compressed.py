"""JPEG and PNG, in messages (sensor_msgs/CompressedImage) and in files, as arrays.

A picture's own header says how large it is. It is read before OpenCV takes memory for the pixels.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros import limits
from any2any_ros.arrays import Array
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples.images import eight_bits, to_rgb, valid_depth

T = TypeVar("T")
Bytes = NDArray[np.uint8]
PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8"  # how a file begins
CHUNK = 12  # bytes of a chunk of a PNG beside its content: length, kind, checksum
CHUNKS = 1 << 17  # of a PNG; most programs write 8 kB or more in each
ANIMATED = (b"acTL", b"fcTL", b"fdAT")
SEGMENT = re.compile(rb"\xff([^\x00\x01\xff\xd0-\xd8])")  # of a JPEG: where one begins that has a length, or the end
FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # segments that hold the size of the picture
SCAN, END = 0xDA, 0xD9
DEPTH, DEPTH_HEADER = "compressedDepth", 12  # in the format of a message; bytes before its PNG: kind, two float32
MOST_SHRUNK = 8 * 1032  # pixels in a byte of a file: of one bit each, which zlib can make 1032 times smaller
SMALLER = "Have the camera driver publish smaller pictures, or scale them down"


def compressed_image(message: Any) -> NDArray[np.uint8]:
    """Return a colour image (H, W, 3) uint8, RGB. Raises Any2AnyError when it is neither JPEG nor PNG."""
    if DEPTH in message.format:
        why, remedy = f"it is a depth image ('{message.format}')", "Name its topic for depth, not for a camera"
        raise Any2AnyError("Cannot use a compressed image", why, remedy)
    why = "are neither JPEG nor PNG, or are truncated"
    return _decode_message(
        message, decode_image, "a compressed image", why, "Have the camera driver publish JPEG or PNG"
    )


def compressed_thermal(message: Any) -> Array:
    """Return a thermal image (H, W). Raises Any2AnyError when it is no JPEG or PNG of one channel."""
    why = "are no JPEG or PNG of one channel, or are truncated"
    remedy = "Have the camera driver publish PNG with one channel of 16 bits"
    return _decode_message(message, decode_thermal, "a compressed thermal image", why, remedy)


def compressed_depth(message: Any) -> Array:
    """Return a depth image (H, W) in metres, NaN where nothing was measured.

    Reads PNG of one channel: in millimetres, or as compressed_depth_image_transport publishes it. Raises Any2AnyError
    on anything else.
    """
    data, what = np.frombuffer(message.data, dtype=np.uint8), "a compressed depth image"
    bare = data[:8].tobytes() == PNG
    scale, offset = (0.0, 0.0) if bare or data.size < DEPTH_HEADER else data[4:DEPTH_HEADER].view("<f4").astype(float)
    counts = decode_pixels(data if bare else data[DEPTH_HEADER:], "IMREAD_UNCHANGED")
    if counts is None or counts.dtype != np.uint16 or counts.ndim != 2:
        why = f"its {data.size} bytes ('{message.format}') are no PNG of one channel of 16 bits, or are truncated"
        raise Any2AnyError(f"Cannot use {what}", why, "Have the driver publish PNG (parameter format), not RVL")
    if "32FC1" not in message.format:
        return valid_depth(counts.astype(np.float32) * np.float32(0.001))
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):  # 1 / depth, in steps; 0: nothing measured
        metres = np.where(counts > 0, scale / (counts.astype(np.float64) - offset), np.nan)
        return valid_depth(metres.astype(np.float32))


def decode_image(data: Bytes) -> NDArray[np.uint8] | None:
    """Return the image (H, W, 3) uint8, RGB, in the bytes of a JPEG or PNG file; None when they are damaged.

    Raises Any2AnyError when the image is larger than `limits` allow.
    """
    pixels = decode_pixels(data, "IMREAD_COLOR", "IMREAD_ANYDEPTH")
    return None if pixels is None else to_rgb(eight_bits(pixels), "COLOR_BGR2RGB")


def decode_thermal(data: Bytes) -> Array | None:
    """Return the counts (H, W) in the bytes of a JPEG or PNG file; None when they are damaged or have colours.

    Raises Any2AnyError when the image is larger than `limits` allow.
    """
    counts = decode_pixels(data, "IMREAD_UNCHANGED")
    return None if counts is None or counts.ndim != 2 else counts.astype(np.float32)


def decode_pixels(data: Bytes, *flags: str) -> NDArray[Any] | None:
    """Return what OpenCV reads from the bytes of a JPEG or PNG file; None when they are damaged. flags: IMREAD_COLOR, …

    Raises Any2AnyError when the image is larger than `limits` allow.
    """
    import cv2

    width, height = _size(data.tobytes())
    limits.check("a picture", width * height, limits.PIXELS, "pixels", SMALLER)
    if width * height > MOST_SHRUNK * data.size:  # decoding it would take as long as a whole picture
        return None
    try:
        return cv2.imdecode(data, sum(getattr(cv2, flag) for flag in flags)) if width else None
    except cv2.error:
        return None


def _size(data: bytes) -> tuple[int, int]:
    """Return width and height of a JPEG or PNG file; (0, 0) where there are none."""
    if data.startswith(PNG):
        return _size_of_png(data)
    return _size_of_jpeg(data) if data.startswith(JPEG) else (0, 0)


def _size_of_png(data: bytes) -> tuple[int, int]:
    """Return width and height; (0, 0) for a damaged or an animated file.

    OpenCV takes memory for as many bytes as a chunk says that it has, up to 4 GB, before it reads them.
    """
    at, kind, chunks = len(PNG), b"", 0
    while kind != b"IEND":
        length, kind, chunks = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8], chunks + 1
        at += CHUNK + length
        if at > len(data) or kind in ANIMATED or (kind == b"IHDR") != (chunks == 1) or chunks > CHUNKS:
            return 0, 0
    return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")


def _size_of_jpeg(data: bytes) -> tuple[int, int]:
    """Return width and height as libjpeg finds them, which skips what lies between two segments.

    (0, 0) for a file without an end, which was cut short: OpenCV would make the rest of the picture grey.
    """
    size, passes, segment = (0, 0), 0, SEGMENT.search(data, len(JPEG))
    while segment and segment[1][0] != END and passes <= limits.PASSES:
        at, passes = segment.end(), passes + (segment[1][0] == SCAN)
        if segment[1][0] in FRAMES and size == (0, 0):  # length, bits of a value, height, width
            size = int.from_bytes(data[at + 5 : at + 7], "big"), int.from_bytes(data[at + 3 : at + 5], "big")
        segment = SEGMENT.search(data, at + max(2, int.from_bytes(data[at : at + 2], "big")))
    limits.check("a picture", passes, limits.PASSES, "passes over its pixels", "Save it as an ordinary JPEG")
    return size if segment else (0, 0)


def _decode_message(message: Any, decode: Callable[[Bytes], T | None], what: str, why: str, remedy: str) -> T:
    """Return what `decode` makes of a message's bytes. Raises Any2AnyError when it returns None."""
    data = np.frombuffer(message.data, dtype=np.uint8)
    pixels = decode(data)
    if pixels is None:
        raise Any2AnyError(f"Cannot use {what}", f"its {data.size} bytes ('{message.format}') {why}", remedy)
    return pixels
