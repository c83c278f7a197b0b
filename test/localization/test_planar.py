"""Poses on the ground: their algebra, and the mean of two estimates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from any2any_ros.localization import planar

NUMBER = st.floats(-100, 100)
ANGLE = st.floats(-3.1, 3.1)
POSE = st.tuples(NUMBER, NUMBER, ANGLE).map(np.array)


def close(a, b):
    np.testing.assert_allclose(a[:2], b[:2], atol=1e-9)
    assert planar.wrapped(a[2] - b[2]) == pytest.approx(0, abs=1e-9)


@given(POSE, POSE)
def test_what_lies_between_two_poses_leads_from_one_to_the_other(a, b):
    close(planar.after(a, planar.between(a, b)), b)
    close(planar.after(a, planar.inverse(a)), np.zeros(3))


@given(POSE, POSE)
def test_planar_poses_are_those_of_matrices(a, b):
    product = planar.matrix(a, 2.0) @ planar.matrix(b)
    close(planar.of(product), planar.after(a, b))
    assert product[2, 3] == 2.0


def covariance(draw):
    root = draw.normal(size=(3, 3)) * draw.uniform(0.1, 3, 3)
    return root @ root.T + 0.01 * np.eye(3)


@given(st.integers(0, 10**6))
def test_the_mean_of_two_estimates_is_no_worse_than_the_better_one_and_no_surer_than_both_allow(seed):
    draw = np.random.default_rng(seed)
    first, second = covariance(draw), covariance(draw)
    gain, both = planar.combined(first, second)
    assert np.linalg.det(both) <= min(np.linalg.det(first), np.linalg.det(second)) * (1 + 1e-9)
    # Whatever the correlation of the two errors, the covariance is not too small: here for the extremes.
    one, other = np.linalg.cholesky(first), np.linalg.cholesky(second)
    rotation = np.linalg.qr(draw.normal(size=(3, 3)))[0]
    for correlated in (rotation, -rotation, np.zeros((3, 3)), np.eye(3)):
        cross = one @ correlated @ other.T
        kept = np.eye(3) - gain
        true = kept @ first @ kept.T + gain @ second @ gain.T + kept @ cross @ gain.T + gain @ cross.T @ kept.T
        assert np.linalg.eigvalsh(both - true).min() > -1e-6 * np.trace(both)


def test_equal_estimates_stay_as_they_are():
    gain, both = planar.combined(np.eye(3), np.eye(3))
    np.testing.assert_allclose(both, np.eye(3))
    assert np.isfinite(gain).all()


@given(POSE, st.integers(0, 10**6))
def test_the_error_of_a_pose_is_carried_along_a_motion(motion, seed):
    """To first order, as errors of a tenth of a millimetre show."""
    error = np.random.default_rng(seed).normal(size=3) * 1e-4
    start = np.array([3.0, -2.0, 0.7])
    after = planar.between(planar.after(start, motion), planar.after(planar.after(start, error), motion))
    predicted = planar.transported(np.outer(error, error), motion)
    np.testing.assert_allclose(np.outer(after, after), predicted, atol=1e-6 * 1e-2 + 1e-3 * np.abs(predicted).max())
