"""Bird's-eye images: what they show of points, and how they are packed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from any2any_ros.birds_eye import image
from any2any_ros.birds_eye.image import INSIDE, PACKED, SIZE

CELL = 0.4
LEVELS_OF_ALL = arrays(np.uint8, (SIZE, SIZE), elements=st.integers(0, 3), fill=st.just(0))


def brute(points):
    """Return the counts of voxels above the ground, by a loop over the points."""
    voxels = set()
    for x, y, z in points.tolist():
        cell = [int(np.floor(v / CELL + o)) for v, o in ((y, SIZE / 2), (x, SIZE / 2), (z, image.LOWEST))]
        if 0 <= cell[0] < SIZE and 0 <= cell[1] < SIZE and 0 <= cell[2] < image.SLABS:
            voxels.add(tuple(cell))
    counts = np.zeros((SIZE, SIZE), dtype=int)
    for row, column, slab in voxels:
        around = [s for r, c, s in voxels if r // 5 == row // 5 and c // 5 == column // 5]
        counts[row, column] += slab > min(around) + 1
    return counts


@given(st.integers(0, 2**32 - 1))
def test_points_are_counted_as_a_loop_counts_them(seed):
    points = np.random.default_rng(seed).normal(0, [4, 4, 2], (300, 3)).astype(np.float64)
    seen, count = image.of_points(points, CELL)
    np.testing.assert_array_equal(seen, image.of_counts(brute(points)))
    assert count <= len(points)


def test_more_points_than_are_processed_together_make_one_image():
    points = np.random.default_rng(0).normal(0, [8, 8, 2], (image.CHUNK // 2, 3))
    seen, count = image.of_points(points, CELL)
    again, thrice = image.of_points(np.tile(points, (3, 1)), CELL)
    np.testing.assert_array_equal(again, seen)
    assert thrice == 3 * count and count > 0


def test_a_cell_may_be_filled_to_the_top():
    points = np.column_stack([np.full(image.SLABS, 0.1)] * 2 + [(np.arange(image.SLABS) - image.LOWEST + 0.5) * CELL])
    np.testing.assert_array_equal(image.of_points(points, CELL)[0], image.of_counts(brute(points)))


def test_levels_begin_where_they_are_said_to():
    counts = np.zeros((SIZE, SIZE), dtype=int)
    counts[60, 60:67] = [0, 1, 2, 3, 5, 6, 200]
    assert image.of_counts(counts)[60, 60:67].tolist() == [0, 1, 1, 2, 2, 3, 3]


def test_flat_ground_is_not_shown_and_a_pole_is():
    x, y = np.meshgrid(np.arange(-20, 20, 0.2), np.arange(-20, 20, 0.2))
    ground = np.column_stack([x.ravel(), y.ravel(), np.full(x.size, -1.7)])
    pole = np.column_stack([np.full(20, 10.1), np.full(20, 5.1), np.linspace(-1.7, 2, 20)])
    assert not image.of_points(ground, CELL)[0].any()
    rising = ground + np.column_stack([np.zeros((len(ground), 2)), 0.08 * ground[:, 0]])
    assert not image.of_points(rising, CELL)[0].any()
    seen, _ = image.of_points(np.concatenate([ground, pole]), CELL)
    (row,), (column,) = np.nonzero(seen)
    assert ((column + 0.5 - SIZE / 2) * CELL, (row + 0.5 - SIZE / 2) * CELL) == pytest.approx((10.1, 5.1), abs=CELL / 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e38, -1e38])
def test_points_that_are_nowhere_are_left_out(bad):
    points = np.array([[bad, 1, 1], [1, bad, 1], [1, 1, bad], [1, 1, 1.0]])
    assert image.of_points(points, CELL)[1] == 1


def test_no_points_make_an_empty_image():
    seen, count = image.of_points(np.empty((0, 4), np.float32), CELL)
    assert not seen.any() and count == 0 and seen.shape == (SIZE, SIZE)


def test_positions_are_shown_where_they_are():
    seen = image.of_positions(np.array([3.0, np.nan, 500.0]), np.array([-2.0, 1.0, 0.0]), 0.25)
    (row,), (column,) = np.nonzero(seen)
    assert ((column + 0.5 - SIZE / 2) * 0.25, (row + 0.5 - SIZE / 2) * 0.25) == pytest.approx((3, -2), abs=0.125)


@given(LEVELS_OF_ALL)
def test_packing_keeps_the_circle(levels):
    packed = image.pack(levels)
    assert packed.shape == (PACKED,) and packed.dtype == np.uint8
    np.testing.assert_array_equal(image.unpack(packed), np.where(INSIDE, levels, 0))


@given(arrays(np.uint8, PACKED))
def test_any_bytes_are_an_image(packed):
    levels = image.unpack(packed)
    assert levels.max(initial=0) <= 3 and not levels[~INSIDE].any()


def test_a_packed_image_takes_3_kb():
    assert PACKED < 3100
