"""Samples from Python: the form that encoders take, or one clear error."""

from dataclasses import replace

import numpy as np
import pytest

from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import Scan, Sound, example
from any2any_ros.samples.validation import FORMS, validate

SCAN = Scan(np.full(9, 2.0, np.float32), -1.0, 0.25, 30.0)


@pytest.mark.parametrize("kind", FORMS)
def test_a_sample_that_a_node_would_decode_is_unchanged(kind):
    sample = example(kind)
    found = validate(kind, sample, "m")
    if isinstance(sample, str):
        assert found == sample
    else:
        for name in ("ranges", "samples", "shape"):
            np.testing.assert_array_equal(getattr(found, name, 0), getattr(sample, name, 0))
        if isinstance(sample, np.ndarray):
            np.testing.assert_array_equal(found, sample)
            assert found.dtype == sample.dtype and found.flags.c_contiguous


def test_plain_lists_and_other_dtypes_become_what_encoders_take():
    ranges = validate("scan", replace(SCAN, ranges=[1.0, np.inf, 3.0]), "m").ranges
    assert ranges.dtype == np.float32 and ranges.tolist() == [1.0, np.inf, 3.0]
    sound = validate("sound", Sound([0.5, -0.5], 8000), "m")
    assert sound.samples.dtype == np.float32 and sound.rate == 8000
    cloud = validate("cloud", [[1, 2, 3], [4, 5, np.inf]], "m")
    assert cloud.dtype == np.float32 and cloud.tolist() == [
        [1, 2, 3, 0]
    ]  # no intensity; what is not finite is left out
    assert validate("cloud", np.full((2, 6), 1e300), "m").shape == (0, 4)
    depth = validate("depth", np.array([[1.5, 0.0, -1.0, np.inf]]), "m")
    np.testing.assert_array_equal(depth, np.array([[1.5, np.nan, np.nan, np.nan]], np.float32))
    assert validate("thermal", np.array([[29000]], np.uint16), "m").dtype == np.float32


def test_the_numbers_of_a_scan_become_floats():
    found = validate("scan", replace(SCAN, angle_min=-(10**40), range_max=np.int64(3), angle_increment=1), "m")
    assert [type(v) for v in (found.angle_min, found.range_max, found.angle_increment)] == [float] * 3


def test_the_kind_of_somebody_elses_encoder_is_not_looked_at():
    sample = object()
    assert validate("radar_cube", sample, "radar") is sample


@pytest.mark.parametrize(
    ("kind", "value", "why"),
    [
        ("image", np.zeros((3, 4, 4), np.uint8), r"its shape is \(3, 4, 4\)"),
        ("image", [["a"]], "it is of type list"),
        ("depth", np.array([[1500]], np.uint16), "uint16, which is usual for millimetres"),
        ("depth", np.zeros((2, 2, 1)), r"its shape is \(2, 2, 1\)"),
        ("thermal", np.zeros((2, 2, 3)), r"its shape is \(2, 2, 3\)"),
        ("cloud", np.zeros(3), r"its shape is \(3,\)"),
        ("cloud", np.zeros((4, 3), complex), "it is an array of complex128"),
        ("scan", np.zeros(9), "it is an array of float64"),
        ("scan", replace(SCAN, ranges=np.zeros((3, 3))), r"the shape of its ranges is \(3, 3\)"),
        ("scan", replace(SCAN, ranges=None), "it is of type NoneType"),
        ("cloud", [[1.0, 2.0, 3.0], [4.0]], "of type list that is no array"),
        ("scan", replace(SCAN, angle_increment=np.nan), "its step and its largest range"),
        ("scan", replace(SCAN, range_max=None), "not all numbers"),
        ("scan", replace(SCAN, angle_min=10**400), "are too large"),
        ("scan", replace(SCAN, time_increment=10**400), "are too large"),
        ("scan", replace(SCAN, range_max=np.complex64(3 + 1j)), "not all numbers"),
        ("scan", replace(SCAN, time_increment="0.1"), "its time from beam to beam is no number"),
        ("sound", Sound(np.array([0.0, np.nan]), 8000), "not all of its samples are finite"),
        ("sound", Sound(np.array([0.0, 1e39]), 8000), "not all of its samples are finite"),  # in single precision
        ("timed_cloud", [[None, None], [[]]], "of type list that is no array"),
        ("timed_cloud", np.zeros((0, 5)), "it is empty"),
        ("sound", Sound(np.zeros(9), {}), r"its rate is \{\} Hz, not"),
        ("sound", Sound(np.zeros(9), 8000.5), "its rate is 8000.5 Hz"),
        ("sound", Sound(np.zeros(9), np.nan), "its rate is nan Hz"),
        ("sound", "ring.wav", "it is of type str"),
        ("text", 3, "it is of type int"),
    ],
)
def test_what_is_wrong_with_a_sample_is_said(kind, value, why):
    with pytest.raises(Any2AnyError, match=why) as caught:
        validate(kind, value, "front")
    assert "The 'front' sample cannot be used" in caught.value.what
    assert FORMS[kind][1:] in caught.value.remedy and "Leave out the key" in caught.value.remedy
