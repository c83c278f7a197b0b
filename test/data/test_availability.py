"""Sensors are switched off at random, in the share that was wanted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from any2any_ros.data.availability import sensors_off


@given(st.integers(0, 40), st.integers(1, 6), st.floats(0, 0.95), st.booleans(), st.integers(0, 2**32))
def test_only_where_it_may_has_a_row_no_sensor_left(rows, sensors, share, empty, seed):
    off = sensors_off(rows, sensors, share, np.random.default_rng(seed), empty)
    assert off.shape == (rows, sensors) and off.dtype == bool
    assert empty or not off.all(axis=1).any()


def test_the_share_that_is_off():
    off = sensors_off(20_000, 2, 0.3, np.random.default_rng(0), empty=True)
    assert off.mean(axis=0) == pytest.approx([0.3, 0.3], abs=0.02) and off.all(axis=1).mean() == pytest.approx(
        0.09, 0.1
    )
    assert not sensors_off(1000, 3, 0.0, np.random.default_rng(0)).any()
