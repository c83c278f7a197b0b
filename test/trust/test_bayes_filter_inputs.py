"""Sequence evidence: what is no usable input is refused, and changes nothing."""

import numpy as np
import pytest
from filter_evidence import SAME_PLACE, forward, pointing, road, vars_of

from any2any_ros.errors import Any2AnyError
from any2any_ros.trust.bayes_filter import BayesFilter, FilterConfig


@pytest.mark.filterwarnings("error")
def test_maps_without_places_or_positions():
    nothing = BayesFilter(np.empty((0, 4, 4)), SAME_PLACE)
    found = nothing.update([], [], forward(1.0))
    assert (found.best, found.probability, found.unmapped) == (-1, 0.0, 1.0) and found.log_posterior.shape == (0,)
    one = BayesFilter(road(1), SAME_PLACE, FilterConfig(step=0.0))
    assert one.update([0], [0.0], np.eye(4)).best == 0
    poses = road(50)
    poses[20:30] = np.nan
    partly, unknown = BayesFilter(poses, SAME_PLACE), BayesFilter(np.full((50, 4, 4), np.nan), SAME_PLACE)
    for bayes in (partly, unknown):
        for i in (22, 22, 22):
            found = bayes.update(*pointing(i), forward(1.0))
        assert found.best == 22 and 0 < found.probability <= 1 and bayes.belief.sum() == pytest.approx(1.0)


def test_a_motion_with_nan_is_no_odometry():
    unknown = np.eye(4)
    unknown[0, 3] = np.nan
    one, other = (BayesFilter(road(50), SAME_PLACE) for _ in range(2))
    for _ in range(3):
        assert vars_of(one.update(*pointing(3), unknown)) == vars_of(other.update(*pointing(3), None))


@pytest.mark.parametrize(
    ("rows", "log_posterior", "motion", "probability"),
    [
        ([50], [0.0], None, 0.5),
        ([-1], [0.0], None, 0.5),
        ([1, 1], [0.0, -1.0], None, 0.5),
        ([1, 2], [0.0], None, 0.5),
        ([1.0], [0.0], None, 0.5),
        ([[1]], [[0.0]], None, 0.5),
        ([1], [np.nan], None, 0.5),
        ([1], [np.inf], None, 0.5),
        ([1, 2], [-np.inf, -np.inf], None, 0.5),
        ([1], [0.0], np.eye(3), 0.5),
        ([1], [0.0], np.full((4, 4), np.inf), 0.5),
        ([1], [0.0], None, 1.5),
        ([1], [0.0], None, -0.1),
    ],
)
def test_unusable_input_is_refused_and_changes_nothing(rows, log_posterior, motion, probability):
    bayes = BayesFilter(road(50), SAME_PLACE)
    bayes.update(*pointing(3), None)
    before = bayes.belief
    with pytest.raises(Any2AnyError):
        bayes.update(rows, log_posterior, motion, probability)
    np.testing.assert_array_equal(bayes.belief, before)


@pytest.mark.parametrize("poses", [np.eye(4), np.zeros((3, 3, 3)), np.zeros(5)])
def test_unusable_poses_are_refused(poses):
    with pytest.raises(Any2AnyError):
        BayesFilter(poses, SAME_PLACE)
