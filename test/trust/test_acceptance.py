"""From which evidence on an answer is accepted, against thresholds that can be worked out by hand."""

import numpy as np
import pytest
from scipy.stats import beta

from any2any_ros.trust import acceptance
from any2any_ros.trust.acceptance import Answers


def accept_above(inside, outside=(), stretch=None, stretch_outside=None):
    """Return the threshold; inside: (evidence, right) at mapped places; outside: evidence at unmapped places.

    stretch, stretch_outside: of each answer; None: all are independent.
    """
    evidence, right = np.array([z for z, _ in inside]), np.array([r for _, r in inside], dtype=bool)
    mapped = Answers(evidence, right, np.arange(len(right)) if stretch is None else stretch)
    stretch_outside = np.arange(len(outside)) if stretch_outside is None else stretch_outside
    unmapped = Answers(np.array(outside, dtype=float), np.zeros(len(outside), dtype=bool), stretch_outside)
    return acceptance.threshold(mapped, unmapped, precision=0.9, accepted_unmapped=0.05, risk=0.1)


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


# --- neighbours -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("stretches", "accepted"), [(2, False), (4, False), (30, True)])
def test_right_answers_of_few_streets_prove_less(stretches, accepted):
    """60 right answers of two streets are worth two: the next street may be a hard one."""
    inside = [(-float(i), True) for i in range(60)]
    assert np.isfinite(accept_above(inside, stretch=np.arange(60) % stretches)) == accepted


def test_refused_answers_of_few_streets_prove_less():
    inside, outside = [(float(i), True) for i in range(50)], [-1.0] * 60
    assert accept_above(inside, outside, stretch_outside=np.arange(60) // 2) == 0.0
    assert accept_above(inside, outside, stretch_outside=np.arange(60) // 30) == np.inf


def town(seed, streets, frames=10, hard=0.2):
    """Return evidence, right and street of frames. On a hard street, they are as sure as elsewhere, and all wrong."""
    draw = np.random.default_rng(seed)
    street = np.repeat(np.arange(streets), frames)
    wrong = (draw.random(streets) < hard)[street]
    return draw.normal(size=len(street)), ~wrong, street


@pytest.mark.parametrize("streets", [2, 4, 16])
def test_a_promise_that_is_broken_on_hard_streets_is_hardly_ever_taken_for_proven(streets):
    """A fifth of the streets is hard, so the precision is .8 at every threshold. `risk` is .1.

    Counted as independent, the frames of 4 streets would prove the promise four times in ten: whenever none is hard.
    (Of 8 streets none is hard one time in six, and the 80 right answers from 8 streets are believed.)
    """
    proven = []
    for seed in range(200):
        evidence, right, street = town(seed, streets)
        inside = list(zip(evidence.tolist(), right.tolist(), strict=True))
        proven.append(np.isfinite(accept_above(inside, stretch=street)))
    assert np.mean(proven) <= 0.1 + 2 * np.sqrt(0.1 * 0.9 / 200)


def test_a_promise_that_is_kept_on_many_streets_is_proven():
    evidence, right, street = town(0, streets=40, hard=0.0)
    assert np.isfinite(accept_above(list(zip(evidence.tolist(), right.tolist(), strict=True)), stretch=street))


def test_one_more_answer_never_proves_less():
    """The answer of a second query in a stretch that is already known does not end the acceptance."""
    inside = [(-float(i), True) for i in range(30)]
    assert accept_above(inside, stretch=np.r_[np.arange(24), np.zeros(6, int)]) == -29.0


@pytest.mark.parametrize(("size", "stated"), [(1, 45), (10, 75)])
def test_so_many_answers_as_are_wanted_can_prove_both_promises(size, stated):
    """45: 0.95 ** 45 < 0.1. Ten to a stretch, 70 are worth less than 45, if nothing speaks against any of them."""
    promises = {"precision": 0.9, "accepted_unmapped": 0.05, "risk": 0.1}
    wanted = acceptance.wanted(np.arange(100) // size, **promises)
    assert wanted <= stated
    for count, accepted in ((10 * -(-wanted // 10), True), (wanted - size, False)):
        street = np.arange(count) // size
        inside = [(float(i), True) for i in range(count)]
        assert np.isfinite(accept_above(inside, [-1.0] * count, street, street)) == accepted


def test_without_a_promise_about_unmapped_places_fewer_answers_are_wanted():
    stretch = np.arange(50)
    assert acceptance.wanted(stretch, precision=0.9, accepted_unmapped=1.0, risk=0.1) == 22
