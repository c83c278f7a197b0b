"""The thermal descriptor: weather, gain and offset may change, the view may not."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from any2any_ros.encoders.thermal import ThermalConfig, ThermalEncoder
from any2any_ros.errors import Any2AnyError

ENCODER = ThermalEncoder()


def scene(seed, size=(160, 120)):
    """Return hundredths of a kelvin: twenty boxes, each as warm as it is, before a cold sky."""
    draw = np.random.default_rng(seed)
    counts = np.full((120, 160), 25500, np.float32)
    for x, y, w, h in draw.integers([0, 30, 15, 20], [150, 110, 60, 90], (20, 4)):
        cv2.rectangle(counts, (int(x), int(y)), (int(x + w), int(y + h)), float(draw.uniform(28200, 29500)), -1)
    return cv2.resize(cv2.GaussianBlur(counts, (3, 3), 0), size, interpolation=cv2.INTER_AREA)


def similarity(one, other, encoder=ENCODER):
    return float(encoder.encode(one) @ encoder.encode(other))


@pytest.fixture(scope="module")
def strangers():
    """The highest similarity of two different scenes."""
    vectors = np.array([ENCODER.encode(scene(seed)) for seed in range(20)])
    return (vectors @ vectors.T - 2 * np.eye(20)).max()


@pytest.mark.parametrize(("width", "height"), [(128, 96), (32, 32), (47, 33), (640, 64)])
def test_has_the_dimension_it_declares(width, height):
    encoder = ThermalEncoder(ThermalConfig(width=width, height=height))
    assert encoder.encode(scene(0)).shape == (encoder.dimension,)


@pytest.mark.parametrize(("gain", "offset"), [(1.0, -3000), (0.04, 0), (0.01, -273.15), (2.0, 5000)])
def test_gain_and_offset_of_the_camera_change_nothing(gain, offset):
    for seed in range(5):
        assert similarity(scene(seed), (gain * scene(seed) + offset).astype(np.float32)) > 0.999


def test_a_clearer_sky_changes_little(strangers):
    clear = np.where(scene(1) < 26000, scene(1) - 2500, scene(1)).astype(np.float32)
    assert similarity(scene(1), clear) > max(0.9, strangers)


def test_noise_changes_little(strangers):
    noisy = scene(3) + np.random.default_rng(0).normal(0, 8, scene(3).shape).astype(np.float32)
    assert similarity(scene(3), noisy) > max(0.85, strangers)


def test_a_small_shift_changes_less_than_another_place(strangers):
    assert similarity(scene(1), np.roll(scene(1), 2, axis=1)) > strangers


def test_warm_for_cold_is_another_picture_to_the_layout():
    turned = scene(5).max() + scene(5).min() - scene(5)
    blind, keen = (ThermalEncoder(ThermalConfig(layout=w)) for w in (0.0, 5.0))
    assert similarity(scene(5), turned, keen) < similarity(scene(5), turned, blind) - 0.4


@settings(max_examples=100)
@given(hnp.arrays(np.float32, st.tuples(st.integers(1, 50), st.integers(1, 50)), elements=st.floats(width=32)))
def test_any_picture_is_encoded_or_refused(counts):
    try:
        vector = ENCODER.encode(counts)
    except Any2AnyError as error:
        assert error.what == "Cannot use a thermal image"  # noqa: PT017 - either outcome is right
    else:
        assert np.isfinite(vector).all() and np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("value", [0.0, 29315.0, np.nan, np.inf])
def test_what_shows_nothing_is_refused(value):
    with pytest.raises(Any2AnyError, match="Check the shutter"):
        ENCODER.encode(np.full((120, 160), value, np.float32))


def test_only_the_middle_is_looked_at_where_told_so():
    half = ThermalEncoder(ThermalConfig(across=0.5, upright=0.5))
    changed = scene(6).copy()
    changed[:30], changed[90:], changed[:, :40], changed[:, 120:] = 0, 9e4, 9e4, 0
    np.testing.assert_array_equal(half.encode(changed), half.encode(scene(6)))
    np.testing.assert_array_equal(half.encode(scene(6)), ENCODER.encode(scene(6)[30:90, 40:120]))
    for shape in ((1, 1), (2, 3), (1, 50)):  # the smallest picture has a middle, too
        assert ThermalEncoder(ThermalConfig(across=0.05, upright=0.05))._middle(np.ones(shape, "f4")).size
