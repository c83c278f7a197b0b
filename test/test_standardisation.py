"""Features in standard deviations, for EMMA in float32 and for COX in float64."""

import numpy as np
import pytest

from any2any_ros.standardisation import FARTHEST, standardised, statistics


@pytest.mark.parametrize("precision", [np.float32, np.float64])
def test_the_fitted_rows_have_mean_zero_and_spread_one(precision):
    x = (3 + 2 * np.random.default_rng(0).normal(size=(200, 4))).astype(precision)
    mean, spread = statistics(x)
    assert mean.dtype == spread.dtype == np.float64
    z = standardised(x, mean.astype(precision), spread.astype(precision))
    assert z.dtype == precision
    np.testing.assert_allclose(z.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(z.std(axis=0), 1, atol=1e-2)  # a value beyond FARTHEST is clipped


def test_a_constant_feature_keeps_its_unit():
    """Also where rounding makes its spread other than zero."""
    x = np.full((50, 1), 1e6) + 1e-3 * np.arange(50)[:, None]
    assert statistics(x)[1] == 1 and statistics(np.zeros((3, 1)))[1] == 1


def test_outliers_are_clipped_and_missing_rows_stay_missing():
    z = standardised(np.array([[1e9, -1e9], [np.nan, np.nan]]), np.zeros(2), np.ones(2))
    np.testing.assert_array_equal(z, [[FARTHEST, -FARTHEST], [np.nan, np.nan]])
