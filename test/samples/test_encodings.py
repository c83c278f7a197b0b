"""Encodings of several planes, under other names, and of 16 bits of which few are used."""

import cv2
import numpy as np
import pytest
from image_messages import GREY, RGB, image_message

from any2any_ros import samples
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples.encodings import SPELLINGS

SMOOTH = cv2.resize(RGB, (64, 48), interpolation=cv2.INTER_CUBIC)


def planes(encoding):
    """Return SMOOTH in an encoding of planes (rows, W)."""
    height, width = SMOOTH.shape[:2]
    i420 = cv2.cvtColor(SMOOTH, cv2.COLOR_RGB2YUV_I420)
    brightness, blue, red = i420[:height], *i420[height:].reshape(2, height // 2, width // 2)
    pairs = {"nv12": [blue, red], "nv21": [red, blue]}
    if encoding in pairs:
        return np.concatenate([brightness, np.dstack(pairs[encoding]).reshape(-1, width)])
    if encoding == "nv24":
        fine = np.dstack([blue, red]).repeat(2, axis=0).repeat(2, axis=1)
        return np.concatenate([brightness, fine.reshape(-1, width)])
    return (
        i420
        if encoding == "i420"
        else np.concatenate([brightness, i420[height:].reshape(2, -1)[::-1].reshape(-1, width)])
    )


def plane_message(encoding, padding=0, step=None):
    message = image_message(planes(encoding), encoding, padding)
    message.height, message.step = len(SMOOTH), step or message.step
    return message


@pytest.mark.parametrize("padding", [0, 6])
@pytest.mark.parametrize("encoding", samples.PLANE_ENCODINGS)
def test_planes_give_the_colours_that_were_seen(encoding, padding):
    if padding and encoding in ("i420", "yv12"):
        padding = 0  # their colours have rows of half the length
    read = samples.image(plane_message(encoding, padding))
    expected = cv2.cvtColor(planes("i420"), cv2.COLOR_YUV2RGB_I420)
    np.testing.assert_array_equal(read, expected)
    assert np.abs(read.astype(int) - SMOOTH).mean() < 20


def test_a_step_may_count_the_colours_of_a_row():
    np.testing.assert_array_equal(samples.image(plane_message("nv12", step=96)), samples.image(plane_message("nv12")))


@pytest.mark.parametrize(
    "change", [{"height": 47}, {"width": 63}, {"height": 50}, {"step": 63}, {"data": b""}], ids=str
)
def test_planes_that_do_not_add_up_are_refused(change):
    message = plane_message("nv12", 2)
    vars(message).update(change)
    with pytest.raises(Any2AnyError, match=r"nv12 at .* does not fit its"):
        samples.image(message)


SPELT = {"BGR8": "bgr8", "RGB8": "rgb8", "Mono8": "mono8", "8uc3": "8UC3", "NV12": "nv12", "rgb": "rgb8", "Y8": "mono8"}


@pytest.mark.parametrize("spelt", SPELT)
def test_an_encoding_may_be_spelt_otherwise(spelt):
    known = SPELT[spelt]
    message = plane_message(known) if known == "nv12" else image_message(GREY if known == "mono8" else RGB, known)
    expected = samples.image(message)
    message.encoding = spelt
    np.testing.assert_array_equal(samples.image(message), expected)


def test_every_other_name_is_of_an_encoding_that_is_read():
    known = {name.lower() for name in (*samples.IMAGE_ENCODINGS, *samples.PLANE_ENCODINGS, *samples.DEPTH_ENCODINGS)}
    assert set(SPELLINGS.values()) <= known and not set(SPELLINGS) & known


@pytest.mark.parametrize("bits", [8, 10, 12, 14, 16])
def test_a_camera_of_few_bits_gives_the_picture_of_eight(bits):
    bright = GREY.copy()
    bright[0, 0] = 255
    deep = (bright.astype("<u2") << (bits - 8)) | ((1 << (bits - 8)) - 1)  # what is below eight bits does not matter
    expected = np.dstack([bright] * 3)
    np.testing.assert_array_equal(samples.image(image_message(deep, "mono16")), expected)
    np.testing.assert_array_equal(samples.decode_image(cv2.imencode(".png", deep)[1].ravel()), expected)
