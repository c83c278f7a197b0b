"""The best references of one query: the odds of their places, and the names of availability patterns."""

import numpy as np
import pytest
from scipy.special import expit

from any2any_ros.trust.candidates import SUREST, Candidates, Event, pattern_name


def test_the_name_of_a_pattern_does_not_depend_on_the_order():
    assert pattern_name(["lidar", "audio"]) == pattern_name(("audio", "lidar")) == "audio+lidar"
    assert pattern_name([]) == ""


def test_the_odds_of_a_match_are_those_of_the_posterior_near_it():
    draw = np.random.default_rng(0)
    scores, near = -np.sort(-draw.normal(size=8)), draw.random((3, 8)) < 0.4
    near |= np.eye(3, 8, dtype=bool)
    posterior = np.exp(1.7 * scores) / np.exp(1.7 * scores).sum()
    mass = expit(Candidates(scores, near).log_odds(1.7))
    np.testing.assert_allclose(mass, [posterior[row].sum() for row in near])


@pytest.mark.filterwarnings("error")
def test_odds_of_scores_far_apart_are_bounded():
    found = Candidates(np.array([1e6, 0.0, -1e6]), np.eye(3, dtype=bool)).log_odds(1.0)
    np.testing.assert_array_equal(found, [SUREST, -SUREST, -SUREST])
    everywhere = Candidates(np.array([1.0, 0.5]), np.ones((1, 2), dtype=bool)).log_odds(1.0)
    np.testing.assert_array_equal(everywhere, [SUREST])  # there is no other place


def test_nonconformity_is_the_negative_log_posterior_of_the_best_right_reference():
    scores = np.array([2.0, 1.0, 0.0])
    posterior = np.exp(1.3 * scores) / np.exp(1.3 * scores).sum()
    candidates = Candidates(scores, np.eye(1, 3, dtype=bool))
    np.testing.assert_allclose(candidates.log_posterior(1.3), np.log(posterior))
    found = Event("lidar", candidates, np.array([False, True, True])).nonconformity(1.3)
    assert found == pytest.approx(-np.log(posterior[1]))
    assert Event("lidar", candidates, np.zeros(3, dtype=bool)).nonconformity(1.3) == np.inf
