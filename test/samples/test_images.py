"""Images of every encoding become arrays, or are refused with a reason."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from image_messages import GREY, RGB, image_message

from any2any_ros import samples
from any2any_ros.errors import Any2AnyError


def with_alpha(pixels):
    return np.concatenate([pixels, np.full((*pixels.shape[:2], 1), 9, np.uint8)], axis=2)


def wide(pixels, order):
    """16 bits whose upper half is the picture, and whose lower half must not matter."""
    return np.ascontiguousarray((pixels.astype(np.uint16) << 8 | 0xA5).astype(f"{order}u2"))


EXACT = {
    "rgb8": (RGB, RGB),
    "bgr8": (RGB[..., ::-1], RGB),
    "8UC3": (RGB[..., ::-1], RGB),
    "rgba8": (with_alpha(RGB), RGB),
    "bgra8": (with_alpha(RGB[..., ::-1]), RGB),
    "8UC4": (with_alpha(RGB[..., ::-1]), RGB),
    "mono8": (GREY, np.dstack([GREY] * 3)),
    "8UC1": (GREY, np.dstack([GREY] * 3)),
}
WIDE = {
    "mono16": (GREY, np.dstack([GREY] * 3)),
    "rgb16": (RGB, RGB),
    "bgr16": (RGB[..., ::-1], RGB),
    "16UC3": (RGB[..., ::-1], RGB),
    "rgba16": (with_alpha(RGB), RGB),
    "bgra16": (with_alpha(RGB[..., ::-1]), RGB),
    "16UC4": (with_alpha(RGB[..., ::-1]), RGB),
}


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("encoding", EXACT)
def test_eight_bits_are_read_exactly(encoding, padding):
    pixels, expected = EXACT[encoding]
    read = samples.image(image_message(np.ascontiguousarray(pixels), encoding, padding))
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("encoding", WIDE)
def test_sixteen_bits_keep_their_upper_half(encoding, order):
    pixels, expected = WIDE[encoding]
    read = samples.image(image_message(wide(pixels, order), encoding, 6, order == ">"))
    np.testing.assert_array_equal(read, expected)


@pytest.mark.parametrize("pattern", ["rggb", "bggr", "gbrg", "grbg"])
@pytest.mark.parametrize("colour", [(200, 120, 40), (10, 20, 250)])
def test_bayer_patterns_give_the_colour_that_was_seen(pattern, colour):
    mosaic = np.empty((8, 10), np.uint8)
    for i, channel in enumerate(pattern):
        mosaic[i // 2 :: 2, i % 2 :: 2] = colour["rgb".index(channel)]
    read = samples.image(image_message(mosaic, f"bayer_{pattern}8", padding=3))
    assert (read == colour).all()
    assert (samples.image(image_message(wide(mosaic, "<"), f"bayer_{pattern}16", padding=6)) == colour).all()


# BT.601, the range that video uses: white is 235, not 255.
YUV = {
    (255, 255, 255): (235, 128, 128),
    (255, 0, 0): (81, 90, 240),
    (0, 0, 255): (41, 240, 110),
    (0, 0, 0): (16, 128, 128),
}


@pytest.mark.parametrize("encoding", ["uyvy", "yuv422", "yuyv", "yuv422_yuy2"])
@pytest.mark.parametrize("colour", YUV)
def test_yuv_gives_the_colour_that_was_seen(encoding, colour):
    y, u, v = YUV[colour]
    four = [u, y, v, y] if encoding in ("uyvy", "yuv422") else [y, u, y, v]
    pixels = np.tile(np.array(four, np.uint8), (4, 3)).reshape(4, 6, 2)
    assert np.abs(samples.image(image_message(pixels, encoding)).astype(int) - colour).max() <= 2


def test_every_encoding_was_tried():
    tried = {
        *EXACT,
        *WIDE,
        "uyvy",
        "yuv422",
        "yuyv",
        "yuv422_yuy2",
        *(f"bayer_{p}{bits}" for p in ("rggb", "bggr", "gbrg", "grbg") for bits in (8, 16)),
    }
    assert tried == set(samples.IMAGE_ENCODINGS)


@pytest.mark.parametrize("encoding", samples.IMAGE_ENCODINGS)
@given(st.integers(1, 5), st.integers(1, 5))
def test_pictures_of_any_size_are_read_or_refused(encoding, height, width):
    kind, channels, _ = samples.IMAGE_ENCODINGS[encoding]
    pixels = np.zeros((height, width, channels), kind)
    try:
        assert samples.image(image_message(pixels, encoding)).shape == (height, width, 3)
    except Any2AnyError:
        assert channels == 2 and width % 2


@pytest.mark.parametrize("encoding", ["32FC1", "16UC1", "jpeg", "", "RGB9"])
def test_an_unknown_encoding_is_refused_beside_the_known(encoding):
    with pytest.raises(Any2AnyError, match=f"its encoding is '{encoding}', known are rgb8, bgr8"):
        samples.image(image_message(RGB, encoding))


@pytest.mark.parametrize(
    "change", [{"step": 23}, {"height": 7}, {"width": 9}, {"height": 0}, {"width": 0}, {"data": b""}], ids=str
)
def test_a_picture_that_does_not_add_up_is_refused(change):
    message = image_message(RGB, "rgb8")
    vars(message).update(change)
    with pytest.raises(Any2AnyError, match="Cannot use an image"):
        samples.image(message)


MILLIMETRES = np.array([[0, 1, 500], [1234, 65535, 0]], np.uint16)
DEPTH = np.array([[np.nan, 0.001, 0.5], [1.234, 65.535, np.nan]], np.float32)


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("encoding", ["16UC1", "mono16"])
def test_millimetres_become_metres_and_zero_a_hole(encoding, order, padding):
    read = samples.depth(image_message(MILLIMETRES.astype(f"{order}u2"), encoding, padding, order == ">", width=3))
    assert read.dtype == np.float32
    np.testing.assert_allclose(read, DEPTH, rtol=1e-6)


@pytest.mark.parametrize("padding", [0, 7])
@pytest.mark.parametrize("order", "<>")
def test_metres_stay_and_what_is_no_distance_is_a_hole(order, padding):
    values = np.array([[0.5, np.nan, np.inf], [-np.inf, 0.0, -0.1], [8.25, 1e-3, 1e30]], np.float32)
    read = samples.depth(image_message(values.astype(f"{order}f4"), "32FC1", padding, order == ">", width=3))
    assert np.isfinite(read).tolist() == [[True, False, False], [False] * 3, [True] * 3]
    np.testing.assert_array_equal(read[np.isfinite(read)], values[np.isfinite(read)])


def test_every_depth_encoding_was_tried():
    assert set(samples.DEPTH_ENCODINGS) == {"16UC1", "mono16", "32FC1"}


def test_depth_is_no_view_of_the_message():
    message = image_message(DEPTH, "32FC1", width=3)
    message.data = bytearray(message.data)
    read = samples.depth(message)
    message.data[:] = bytes(len(message.data))
    np.testing.assert_array_equal(read, DEPTH)


@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 5)), elements=st.floats(width=32)))
def test_any_depth_is_positive_metres_or_a_hole(values):
    read = samples.depth(image_message(values, "32FC1"))
    assert (np.isnan(read) | ((read > 0) & np.isfinite(read))).all()
    np.testing.assert_array_equal(np.isnan(read), ~(np.isfinite(values) & (values > 0)))


@pytest.mark.parametrize("encoding", ["rgb8", "8UC1", "64FC1", "32FC2", "", "16UC2"])
def test_what_is_no_depth_is_refused_beside_the_known(encoding):
    with pytest.raises(Any2AnyError, match=f"its encoding is '{encoding}', known are 16UC1, mono16, 32FC1"):
        samples.depth(image_message(MILLIMETRES, encoding, width=3))


@pytest.mark.parametrize(
    "change", [{"step": 5}, {"height": 3}, {"width": 4}, {"height": 0}, {"width": 0}, {"data": b"\1" * 11}], ids=str
)
def test_depth_that_does_not_add_up_is_refused(change):
    message = image_message(MILLIMETRES, "16UC1", width=3)
    vars(message).update(change)
    with pytest.raises(Any2AnyError, match="Cannot use a depth image"):
        samples.depth(message)


# --- thermal --------------------------------------------------------------------------------------------------

COUNTS = np.array([[0, 1, 29315], [30001, 65535, 30002]], np.uint16)  # hundredths of a kelvin


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("encoding", ["mono16", "16UC1"])
def test_thermal_counts_keep_all_of_their_bits(encoding, order, padding):
    read = samples.thermal(image_message(COUNTS.astype(f"{order}u2"), encoding, padding, order == ">", width=3))
    assert read.dtype == np.float32
    np.testing.assert_array_equal(read, COUNTS)


@pytest.mark.parametrize(("encoding", "kind"), [("mono8", "u1"), ("8UC1", "u1"), ("32FC1", "f4")])
def test_thermal_pictures_of_eight_bits_and_of_degrees_are_read(encoding, kind):
    values = np.array([[0, 7, 255], [21, 22, 23]]).astype(kind)
    np.testing.assert_array_equal(samples.thermal(image_message(values, encoding, width=3)), values)


def test_every_thermal_encoding_was_tried():
    assert set(samples.THERMAL_ENCODINGS) == {"mono16", "16UC1", "mono8", "8UC1", "32FC1"}


@pytest.mark.parametrize("encoding", ["rgb8", "mono32", ""])
def test_false_colours_are_refused(encoding):
    with pytest.raises(Any2AnyError, match="not false colours"):
        samples.thermal(image_message(COUNTS, encoding, width=3))


def test_a_thermal_picture_cut_short_is_refused():
    message = image_message(COUNTS, "mono16", width=3)
    message.data = message.data[:-1]
    with pytest.raises(Any2AnyError, match="Cannot use a thermal image"):
        samples.thermal(message)
