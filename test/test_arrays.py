"""Stacked arrays behave as one array, and stacking copies nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from any2any_ros.arrays import Stacked, stacked


def grown(sizes, shape=(4, 4)):
    """Return the same rows: put together by NumPy, and one addition after the other."""
    draw = np.random.default_rng(0)
    parts = [draw.normal(size=(n, *shape)) for n in sizes]
    whole = parts[0]
    for part in parts[1:]:
        whole = stacked(whole, part)
    return np.concatenate(parts), whole


@given(st.lists(st.integers(0, 9), min_size=1, max_size=12), st.integers(0, 1000))
def test_rows_are_found_as_numpy_finds_them(sizes, seed):
    plain, whole = grown(sizes)
    draw, n = np.random.default_rng(seed), len(plain)
    assert (whole.shape, whole.dtype, len(whole)) == (plain.shape, plain.dtype, n)
    np.testing.assert_array_equal(np.asarray(whole), plain)
    rows = draw.integers(-n, n, size=5) if n else np.empty(0, dtype=int)
    flags = draw.random(n) < 0.5
    some = slice(*sorted(draw.integers(-n - 1, n + 1, size=2).tolist()))
    for index in (rows, flags, some, slice(None), slice(None, None, -2), []):
        taken = np.asarray(index, dtype=int) if isinstance(index, list) else index
        np.testing.assert_array_equal(whole[index], plain[taken])
        np.testing.assert_array_equal(whole[index, :3, 3], plain[taken, :3, 3])
        np.testing.assert_array_equal(whole[index, 0], plain[taken, 0])
        np.testing.assert_array_equal(whole[index, :2], plain[taken, :2])
    for row in rows.tolist():
        np.testing.assert_array_equal(whole[row], plain[row])
        assert whole[row, 1, 2] == plain[row, 1, 2]


@pytest.mark.parametrize("index", [7, -8, [0, 7], [-8]])
def test_a_row_that_is_not_there_is_told(index):
    _, whole = grown([5, 2])
    assert isinstance(whole, Stacked)
    with pytest.raises(IndexError):
        whole[index]


def test_what_stands_is_not_moved_and_additions_are_few():
    base = np.zeros((1000, 3))
    whole, copied = base, 0
    for i in range(500):
        whole = stacked(whole, np.full((1, 3), i))
        assert whole.parts[0] is base
        assert len(whole.parts) <= 10
        copied += len(whole.parts[-1])
    assert copied <= 500 * 10
    np.testing.assert_array_equal(whole[1000:, 0], np.arange(500))


def test_an_older_one_stays_as_it_was():
    first = stacked(np.zeros((4, 1)), np.ones((1, 1)))
    stacked(first, np.ones((2, 1)))
    assert len(first) == 5 and first[:, 0].tolist() == [0, 0, 0, 0, 1]


def test_it_cannot_be_had_as_one_without_a_copy():
    _, whole = grown([5, 2])
    with pytest.raises(ValueError, match="cannot be converted without a copy"):
        np.array(whole, copy=False)
    assert np.asarray(whole, dtype=np.float32).dtype == np.float32
