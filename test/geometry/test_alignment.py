"""Alignment of bird's-eye images: known motions are found again, and another place is not taken for the same one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenes import drawn, scene

from any2any_ros.geometry import alignment
from any2any_ros.geometry.alignment import Aligned, Aligner, AlignmentConfig, turned

ALIGNER = Aligner()


def fit(query, *references, aligner=ALIGNER):
    """Return the fine alignment of a query with each reference."""
    here, there = aligner.prepare(query), [aligner.prepare(r) for r in references]
    return [aligner.fine(here, r, coarse) for r, coarse in zip(there, aligner.align(here, there), strict=True)]


def off(found, heading, x, y):
    """Return by how much an alignment is off: degrees, and cells."""
    return abs((found.heading - heading + 180) % 360 - 180), float(np.hypot(found.x - x, found.y - y))


@settings(max_examples=40)
@given(st.integers(0, 1000), st.floats(-180, 180), st.floats(-20, 20), st.floats(-20, 20))
def test_a_known_motion_is_found(seed, heading, x, y):
    (found,) = fit(drawn(scene(seed), heading, x, y), drawn(scene(seed)))
    degrees, cells = off(found, heading, x, y)
    assert degrees < 1.5 and cells < 1.0 and 0.3 < found.score <= 1 + 1e-5


@pytest.mark.parametrize("heading", [0.0, 40.0, 180.0, 270.0])
def test_the_same_place_scores_higher_than_another(heading):
    scores = [f.score for f in fit(drawn(scene(1), heading, 5, -3), drawn(scene(1)), drawn(scene(2)), drawn(scene(3)))]
    assert scores[0] > 1.5 * max(scores[1:])


def test_an_image_fits_itself_without_motion():
    (found,) = fit(drawn(scene(4)), drawn(scene(4)))
    assert 0.97 < found.score <= 1 + 1e-5 and off(found, 0, 0, 0) == (pytest.approx(0, abs=0.05),) * 2


def test_references_do_not_influence_each_other():
    query, references = drawn(scene(5), 33, 4, 7), [drawn(scene(s)) for s in range(5, 11)]
    together = fit(query, *references)
    for one, reference in zip(together, references, strict=True):
        (alone,) = fit(query, reference)
        assert alone.score == pytest.approx(one.score, abs=1e-5)


def test_half_a_turn_is_the_conjugate():
    query = ALIGNER.prepare(drawn(scene(6)))
    side = alignment.PADDED // 2
    whole = alignment._low(np.fft.rfft2(turned(query.smooth, 180.0, every=2), s=(side, side)))
    np.testing.assert_allclose(alignment._turned(query, alignment.ANGLES), whole, atol=2e-3 * np.abs(whole).max())


def test_a_shift_beyond_the_limit_is_not_found():
    near = Aligner(AlignmentConfig(shift=8))
    (found,) = fit(drawn(scene(7), 0, 20, 0), drawn(scene(7)), aligner=near)
    assert np.hypot(found.x, found.y) <= 8 * np.sqrt(2) + 2 and found.score < 0.5


def test_the_pose_is_that_of_the_query_in_the_frame_of_the_reference():
    pose = Aligned(1.0, 90.0, 10.0, -5.0).pose(0.4)
    np.testing.assert_allclose(pose @ [1, 0, 0, 1], [4.0, -1.0, 0, 1], atol=1e-9)


def test_turning_goes_counter_clockwise():
    dot = np.zeros((125, 125), np.float32)
    dot[62, 102] = 1  # 40 cells forward
    assert np.unravel_index(turned(dot, 90.0).argmax(), dot.shape) == (102, 62)  # 40 cells to the left


def test_every_second_cell_is_that_of_the_whole():
    brightness = ALIGNER.prepare(drawn(scene(10))).brightness
    np.testing.assert_allclose(turned(brightness, 31.0, every=2), turned(brightness, 31.0)[::2, ::2], atol=0.02)


def test_nothing_to_align_with_is_no_error():
    assert fit(drawn(scene(8))) == []


def test_empty_images_fit_nothing():
    empty = np.zeros((125, 125), np.uint8)
    for found in (*fit(empty, empty, drawn(scene(9))), *fit(drawn(scene(9)), empty)):
        assert found.score == 0 and np.isfinite([found.heading, found.x, found.y]).all()
