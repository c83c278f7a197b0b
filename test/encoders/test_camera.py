"""The camera descriptor: light may change, the view may not."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from any2any_ros.encoders.camera import CameraConfig, CameraEncoder
from any2any_ros.errors import Any2AnyError

ENCODER = CameraEncoder()


def scene(seed, size=(320, 128)):
    """Return a picture of twenty boxes of some colour before a sky."""
    draw = np.random.default_rng(seed)
    pixels = np.full((128, 320, 3), (150, 160, 180), np.uint8)
    for x, y, w, h in draw.integers([0, 20, 20, 20], [300, 110, 90, 100], (20, 4)):
        cv2.rectangle(pixels, (int(x), int(y)), (int(x + w), int(y + h)), draw.integers(20, 220, 3).tolist(), -1)
    return cv2.resize(cv2.GaussianBlur(pixels, (3, 3), 0), size, interpolation=cv2.INTER_AREA)


def similarity(one, other, encoder=ENCODER):
    return float(encoder.encode(one) @ encoder.encode(other))


@pytest.fixture(scope="module")
def strangers():
    """The highest similarity of two different scenes."""
    vectors = np.array([ENCODER.encode(scene(seed)) for seed in range(20)])
    return (vectors @ vectors.T - 2 * np.eye(20)).max()


@pytest.mark.parametrize(("width", "height"), [(160, 64), (32, 32), (47, 33), (64, 128), (1280, 32)])
def test_has_the_dimension_it_declares(width, height):
    encoder = CameraEncoder(CameraConfig(width=width, height=height))
    assert encoder.encode(scene(0)).shape == (encoder.dimension,)


@pytest.mark.parametrize(("gain", "offset"), [(0.5, 0), (1.0, 40), (0.6, 60), (1.15, -10)])
def test_brightness_and_contrast_change_little(gain, offset, strangers):
    for seed in range(5):
        relit = np.clip(gain * scene(seed).astype(float) + offset, 0, 255).astype(np.uint8)
        assert similarity(scene(seed), relit) > max(0.85, strangers)


def test_the_colour_of_the_light_changes_little(strangers):
    warm = np.clip(scene(0) * np.array([1.0, 0.9, 0.75]), 0, 255).astype(np.uint8)
    assert similarity(scene(0), warm) > max(0.9, strangers)


def test_a_small_shift_changes_less_than_another_place(strangers):
    shifted = np.roll(scene(1, (640, 256)), 8, axis=1)
    assert similarity(scene(1, (640, 256)), shifted) > strangers


@pytest.mark.parametrize("size", [(160, 64), (640, 256), (1241, 376), (100, 300)])
def test_any_resolution_sees_the_same(size, strangers):
    assert similarity(scene(2), scene(2, size)) > max(0.9, strangers)


def test_noise_changes_little(strangers):
    noisy = np.clip(scene(3) + np.random.default_rng(0).normal(0, 6, scene(3).shape), 0, 255).astype(np.uint8)
    assert similarity(scene(3), noisy) > max(0.85, strangers)


def test_the_other_way_round_is_another_view(strangers):
    assert similarity(scene(4), scene(4)[:, ::-1].copy()) < 0.8


def test_colour_counts_as_much_as_it_is_told_to():
    one, other = scene(5), scene(5)[..., ::-1].copy()  # red for blue: the edges stay about the same
    blind, keen = (CameraEncoder(CameraConfig(colour=c)) for c in (0.0, 5.0))
    assert similarity(one, other, blind) > 0.9 > similarity(one, other, keen) + 0.4


def test_red_is_the_first_channel():
    """The layout of colours is that of the picture: RGB read as BGR would turn it round."""
    left_red = np.zeros((64, 160, 3), np.uint8)
    left_red[:, :80], left_red[:, 80:] = (200, 40, 40), (40, 40, 200)
    hue = CameraEncoder().encode(left_red)[-2 * 10 * 4 :].reshape(4, 10, 2)
    assert hue[:, :4, 0].min() > hue[:, 6:, 0].max()  # a*: green to red
    assert hue[:, :4, 1].min() > hue[:, 6:, 1].max()  # b*: blue to yellow


@settings(max_examples=100)
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 70), st.integers(1, 70), st.just(3))))
def test_any_picture_is_encoded_or_refused(pixels):
    try:
        vector = ENCODER.encode(pixels)
    except Any2AnyError as error:
        assert error.what == "Cannot use an image"  # noqa: PT017 - either outcome is right
    else:
        assert np.isfinite(vector).all() and np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("value", [0, 1, 127, 255])
def test_one_even_colour_shows_nothing(value):
    with pytest.raises(Any2AnyError, match="Check the lens cap"):
        ENCODER.encode(np.full((48, 96, 3), value, np.uint8))


def test_a_view_of_a_message_and_a_strided_picture_are_read():
    pixels = scene(6)
    view = np.frombuffer(pixels.tobytes(), np.uint8).reshape(pixels.shape)  # read-only
    np.testing.assert_array_equal(ENCODER.encode(view), ENCODER.encode(pixels))
    wide = np.ascontiguousarray(np.concatenate([pixels, pixels], axis=1))
    np.testing.assert_array_equal(ENCODER.encode(wide[:, :320]), ENCODER.encode(pixels))


def test_gather_passes_the_newest_on():
    pixels = scene(0)
    assert ENCODER.gather(pixels, 5) is pixels
