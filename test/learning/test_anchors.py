"""Anchors: what modalities have in common, and how far it moves when some are missing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import calmrl


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 8))
def test_an_anchor_is_the_direction_most_in_common(seed, modalities, width):
    z = np.random.default_rng(seed).normal(size=(modalities, width))
    found = calmrl.anchor(z)
    assert np.linalg.norm(found) == pytest.approx(1)
    assert np.linalg.norm(z @ found) == pytest.approx(np.linalg.svd(z, compute_uv=False)[0])
    assert found @ z.sum(axis=0) >= -1e-9  # its sign is fixed
    with_missing = np.vstack([z, np.full(width, np.nan)])
    np.testing.assert_array_equal(calmrl.anchor(with_missing), found)


def test_where_modalities_cancel_the_sign_is_fixed_all_the_same():
    np.testing.assert_allclose(calmrl.anchor(np.array([[0.0, -2.0], [0.0, 2.0]])), [0, 1], atol=1e-12)
    np.testing.assert_allclose(calmrl.anchor(np.array([[0.0, 2.0], [0.0, -2.0]])), [0, 1], atol=1e-12)


def test_the_papers_lower_bound_is_none_and_the_corrected_one_holds():
    """Two unit vectors 60 degrees apart, the first observed; then 4000 random cases."""
    z = np.array([[1.0, 0.0], [0.5, np.sqrt(3) / 2]])
    shift = calmrl.anchor_shift(z, [True, False])
    kept = _kept(z, [True, False])
    assert shift == pytest.approx(0.5176, abs=1e-4)
    assert np.sqrt(2 * (1 - kept)) == pytest.approx(0.5774, abs=1e-4)  # > the shift
    draw = np.random.default_rng(0)
    for _ in range(4000):
        modalities = int(draw.integers(2, 6))
        z = draw.normal(size=(modalities, draw.integers(2, 6)))
        observed = draw.permutation(np.arange(modalities) < draw.integers(1, modalities + 1))
        bound = np.sqrt(2 * (1 - np.sqrt(_kept(z, observed))))
        assert calmrl.anchor_shift(z, observed) >= bound - 1e-7


def _kept(z, observed):
    """Return the share of the leading singular value's square that the observed ones' anchor keeps."""
    first = calmrl.anchor(z[np.asarray(observed)])
    return min(1.0, float(np.sum((z @ first) ** 2) / np.linalg.svd(z, compute_uv=False)[0] ** 2))


def test_no_shift_where_everything_was_observed():
    z = np.random.default_rng(0).normal(size=(4, 9))
    assert calmrl.anchor_shift(z, np.ones(4, dtype=bool)) == 0


@pytest.mark.parametrize(
    "z", [np.zeros((2, 3)), np.full((2, 3), np.nan), np.ones(3), np.empty((0, 3)), np.array([[np.inf, 1.0]])]
)
def test_no_anchor_without_a_direction(z):
    with pytest.raises(Any2AnyError, match="no anchor"):
        calmrl.anchor(z)


@pytest.mark.parametrize("observed", [[1, 0], [True], [[True, True]]])
def test_flags_that_do_not_fit_are_refused(observed):
    with pytest.raises(Any2AnyError, match="anchor shift"):
        calmrl.anchor_shift(np.ones((2, 3)), observed)
    with pytest.raises(Any2AnyError, match="no anchor"):
        calmrl.anchor_shift(np.ones((2, 3)), [False, False])
