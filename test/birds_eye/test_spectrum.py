"""The spectrum of a bird's-eye image: what turns and shifts change in it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scenes import drawn, scene

from any2any_ros.birds_eye import image, spectrum
from any2any_ros.birds_eye.image import SIZE


def described(levels):
    return spectrum.descriptor(spectrum.polar(spectrum.transform(spectrum.bright(levels))))


def cosine(a, b):
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


@given(st.integers(0, 1000), st.floats(-180, 180), st.floats(-6, 6), st.floats(-6, 6))
def test_neither_heading_nor_shift_changes_the_descriptor_much(seed, heading, x, y):
    here, there = scene(seed), scene(seed + 5000)
    first = described(drawn(here))
    moved, other = described(drawn(here, heading, x, y)), described(drawn(there))
    assert cosine(first, moved) > cosine(first, other)


def test_the_transform_is_that_of_the_padded_image():
    brightness = spectrum.bright(drawn(scene(1)))
    padded = np.zeros((spectrum.PADDED, spectrum.PADDED))
    padded[:SIZE, :SIZE] = brightness
    np.testing.assert_allclose(spectrum.transform(brightness), np.fft.rfft2(padded), atol=1e-3)


def test_brightness_has_no_mean_and_nothing_outside_the_circle():
    brightness = spectrum.bright(drawn(scene(2)))
    assert abs(brightness[image.INSIDE].mean()) < 1e-6 and not brightness[~image.INSIDE].any()


@pytest.mark.parametrize("degrees", [1, 17, 90, 131])
def test_a_turn_shifts_the_polar_grid(degrees):
    rings = [
        spectrum.polar(spectrum.transform(spectrum.bright(drawn(scene(3), heading)))) for heading in (0.0, -degrees)
    ]
    alike = [np.vdot(rings[1], np.roll(rings[0], shift, axis=1)) for shift in range(spectrum.ANGLES)]
    assert int(np.argmax(alike)) == degrees


def test_an_even_image_has_a_finite_descriptor():
    for levels in (np.zeros((SIZE, SIZE), np.uint8), np.full((SIZE, SIZE), 3, np.uint8)):
        assert np.isfinite(described(levels)).all()


def test_the_dimension_is_as_declared():
    assert described(drawn(scene(4))).shape == (spectrum.DIMENSION,)
