"""From which evidence on an answer is accepted, against thresholds that can be worked out by hand."""

import numpy as np
import pytest
from scipy.stats import beta

from any2any_ros.trust import acceptance


def accept_above(inside, outside=()):
    """Return the threshold; inside: (evidence, right) at mapped places; outside: evidence at unmapped places."""
    evidence, right = np.array([z for z, _ in inside]), np.array([r for _, r in inside], dtype=bool)
    return acceptance.threshold(evidence, right, np.array(outside), precision=0.9, accepted_unmapped=0.05, risk=0.1)


@pytest.mark.parametrize(("right", "accepted"), [(21, False), (22, True)])
def test_so_many_right_answers_prove_nine_in_ten(right, accepted):
    """0.9 ** 22 < 0.1 <= 0.9 ** 21: fewer could be luck."""
    assert np.isfinite(accept_above([(-float(i), True) for i in range(right)])) == accepted
    assert (beta.ppf(0.1, right, 1) >= 0.9) == accepted


@pytest.mark.parametrize(("outside", "accepted"), [(44, False), (45, True)])
def test_so_many_refused_outside_prove_one_in_twenty(outside, accepted):
    """0.95 ** 45 < 0.1 <= 0.95 ** 44: fewer could be luck."""
    found = accept_above([(float(i), True) for i in range(50)], [-1.0] * outside)
    assert found == (0.0 if accepted else np.inf)


def test_the_threshold_stays_above_what_is_found_outside():
    inside = [(float(i), True) for i in range(100)]
    assert accept_above(inside, [40.5] * 10 + [-1.0] * 90) == 41.0
    assert accept_above(inside, [200.0] * 10 + [-1.0] * 90) == np.inf


@pytest.mark.parametrize("right", [0, 1])
def test_a_long_run_of_wrong_answers_proves_nothing(right):
    assert accept_above([(-float(i), i < right) for i in range(100)]) == np.inf


def test_answers_as_sure_as_each_other_are_accepted_together_or_not():
    sure = [(0.0, True)] * 30 + [(0.0, False)] * 30
    assert accept_above(sure) == np.inf
    assert accept_above([(1.0, True)] * 30 + sure) == 1.0


@pytest.mark.parametrize(("right", "count"), [(1, 1), (3, 7), (40, 50), (50, 50)])
def test_the_lower_bound_on_a_share_is_that_of_clopper_and_pearson(right, count):
    assert acceptance.at_least(right, count, 0.1) == pytest.approx(beta.ppf(0.1, right, count - right + 1))


def test_the_lower_bound_of_no_success_is_0_and_of_no_trial_1():
    assert acceptance.at_least(0, 9, 0.1) == 0.0 and acceptance.at_least(0, 0, 0.1) == 1.0
