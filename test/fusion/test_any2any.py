"""Eq. 4-6 against their own words, the golden numbers, and what must always hold."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from any2any_ros import storage
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion import FUSIONS
from any2any_ros.fusion._conformal import leave_one_out
from any2any_ros.fusion.any2any import Calibrator, calibrate, conformal_quantile

THETA = np.array([0, 0.125, 0.25, 0.25, 0.5, 1, 0.75, 0.375])
LABEL = np.array([0, 0, 0, 0, 0, 1, 1, 1], dtype=bool)


def brute_scale(value, lo, hi):
    if hi == lo:
        return 1.0 if value > hi else 0.0
    return min(max((value - lo) / (hi - lo), 0.0), 1.0)


def brute_gamma(theta, label):
    seen = [(t, y) for t, y in zip(theta, label, strict=True) if not math.isnan(t)]
    lo, hi = min(t for t, _ in seen), max(t for t, _ in seen)
    return sorted(abs(float(y) - brute_scale(t, lo, hi)) for t, y in seen), lo, hi


def brute_probability(theta, label, value):
    """Eq. 6, exclusion form: the largest 1-eps at which alpha(eps) < s, so that label 0 is not in the band."""
    if math.isnan(value):
        return math.nan
    gamma, lo, hi = brute_gamma(theta, label)
    s = brute_scale(value, lo, hi)
    return max((k / (len(gamma) + 1) for k in range(1, len(gamma) + 1) if gamma[k - 1] < s), default=0.0)


def brute_literal(theta, label, value):
    gamma, lo, hi = brute_gamma(theta, label)
    s = brute_scale(value, lo, hi)
    # the band at level k is {y : |y - s| <= gamma_k}; it equals {1} when 1-s <= gamma_k < s
    levels = [k / (len(gamma) + 1) for k in range(1, len(gamma) + 1) if 1 - s <= gamma[k - 1] < s]
    return max(levels, default=0.0)


def test_golden_scores():
    calibrator = Calibrator.fit(THETA, LABEL)
    assert calibrator.gamma.tolist() == [0, 0, 0.125, 0.25, 0.25, 0.25, 0.5, 0.625]


def test_golden_probabilities():
    at = np.array([0, 0.125, 0.25, 0.3, 0.5, 0.5625, 0.75, 2])
    assert (9 * Calibrator.fit(THETA, LABEL).probability(at)).round(9).tolist() == [0, 2, 3, 6, 6, 7, 8, 8]


pairs = st.integers(2, 40).flatmap(
    lambda n: st.tuples(
        hnp.arrays(np.float64, n, elements=st.integers(0, 8).map(lambda v: v / 8) | st.floats(-2, 2)),
        hnp.arrays(np.bool_, n),
        hnp.arrays(np.float64, 8, elements=st.integers(-4, 12).map(lambda v: v / 8) | st.floats(-3, 3)),
    )
)


@given(pairs)
def test_probability_is_equation_6(case):
    theta, label, values = case
    ours = Calibrator.fit(theta, label).probability(values)
    assert ours == pytest.approx([brute_probability(theta, label, v) for v in values], abs=1e-9)


@given(pairs)
def test_literal_inverse_is_equation_6_as_printed(case):
    theta, label, values = case
    ours = Calibrator.fit(theta, label, "literal").probability(values)
    assert ours == pytest.approx([brute_literal(theta, label, v) for v in values], abs=1e-9)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60), st.floats(0.001, 0.999))
def test_quantile_is_equation_5(scores, epsilon):
    k = math.ceil(round((len(scores) + 1) * (1 - epsilon), 9))
    expected = math.inf if k > len(scores) else sorted(scores)[k - 1]
    assert conformal_quantile(scores, epsilon) == expected


def test_quantile_survives_float_dust():
    assert (9 + 1) * (1 - 0.7) > 3  # the trap: a plain ceiling would take the fourth score
    assert conformal_quantile(range(9), 0.7) == 2


def random_set(seed, count, shape=(2, 3), missing=0.3, ties=True):
    draw = np.random.default_rng(seed)
    label = draw.random(count) < 0.3
    theta = draw.normal(size=(count, *shape)) + label[:, None, None]
    theta = np.round(theta, 1) if ties else theta
    return np.where(draw.random(theta.shape) < missing, np.nan, theta), label


@pytest.mark.parametrize("combine", ["mean", "max"])
@pytest.mark.parametrize("seed", range(5))
def test_two_stages_equal_brute_force(seed, combine):
    theta, label = random_set(seed, 60)
    fitted = calibrate(theta, label, combine=combine, stage2="same")
    query, _ = random_set(100 + seed, 30)

    def fuse(row):
        p = [
            brute_probability(theta[:, q, r], label, row[q, r])
            for q in range(2)
            for r in range(3)
            if not math.isnan(row[q, r])
        ]
        return (math.nan if not p else max(p) if combine == "max" else sum(p) / len(p)), p

    stage1 = np.array([fuse(row)[0] for row in theta])
    expected = np.array([fuse(row)[0] for row in query])
    assert fitted.fused(query) == pytest.approx(expected, abs=1e-9, nan_ok=True)
    # Feed stage 2 its own F, so that float dust of the mean cannot break a tie differently.
    own = fitted.fused(theta)
    assert own == pytest.approx(stage1, abs=1e-9, nan_ok=True)
    second = [brute_probability(own, label, f) for f in fitted.fused(query)]
    assert fitted.probability(query) == pytest.approx(second, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("inverse", ["exclusion", "literal"])
@pytest.mark.parametrize("seed", range(4))
def test_leave_one_out_equals_refitting_without_each(seed, inverse):
    theta, label = random_set(seed, 25, shape=(1, 1))
    value = theta[:, 0, 0]
    ours = leave_one_out(value, label, inverse)
    for i in range(len(value)):
        rest = np.arange(len(value)) != i
        expected = Calibrator.fit(value[rest], label[rest], inverse).probability(value[i])
        assert ours[i] == pytest.approx(float(expected), abs=1e-12, nan_ok=True)


@pytest.mark.parametrize("stage2", ["leave_one_out", "split"])
def test_small_sets_keep_their_promise(stage2):
    """P(label 0 and p >= 1-eps) <= eps over exchangeable pairs, where one set for both stages breaks it."""
    epsilon, wrong = 0.3, []
    for seed in range(300):
        theta, label = random_set(seed, 72, shape=(1, 2), missing=0.2, ties=False)
        fitted = calibrate(theta[:-1], label[:-1], stage2=stage2)
        p = fitted.probability(theta[-1:])[0]
        wrong.append(not label[-1] and p >= 1 - epsilon)
    assert np.mean(wrong) <= epsilon + 0.05


@settings(max_examples=30)
@given(st.integers(0, 10_000))
def test_score_orders_by_p2_then_f(seed):
    theta, label = random_set(seed, 80)
    fitted = calibrate(theta, label, by_availability=bool(seed % 2))
    query, _ = random_set(seed + 1, 40)
    p2, fused, score = fitted.probability(query), fitted.fused(query), fitted.score(query)
    known = np.flatnonzero(~np.isnan(score))
    by_score = known[np.argsort(score[known], kind="stable")]
    by_pair = known[np.lexsort((fused[known], p2[known]))]
    assert by_score.tolist() == by_pair.tolist()


@given(st.integers(0, 10_000))
def test_more_alike_is_never_less_probable(seed):
    theta, label = random_set(seed, 40, shape=(1, 1))
    p = Calibrator.fit(theta[:, 0, 0], label).probability(np.linspace(-4, 4, 200))
    assert (np.diff(p) >= 0).all() and p.min() >= 0 and p.max() < 1


def test_nothing_observed_is_nan_and_no_crash():
    theta, label = random_set(0, 50)
    fitted = calibrate(theta, label)
    assert np.isnan(fitted.score(np.full((3, 2, 3), np.nan))).all()
    empty = calibrate(np.full((5, 2, 2), np.nan), np.zeros(5, dtype=bool))
    assert np.isnan(empty.score(np.zeros((4, 2, 2)))).all()


def test_a_pair_never_calibrated_does_not_speak():
    theta, label = random_set(0, 50, missing=0)
    theta[:, 0, 0] = np.nan
    fitted = calibrate(theta, label)
    query = np.full((1, 2, 3), np.nan)
    query[0, 0, 0] = 5.0
    assert np.isnan(fitted.score(query)).all()


def test_constant_similarity_does_not_divide_by_zero():
    fitted = calibrate(np.full((20, 1, 1), 0.5), np.arange(20) % 2 == 0)
    assert np.isfinite(fitted.score(np.array([[[0.4]], [[0.5]], [[0.6]]]))).all()


def test_saved_state_comes_back(tmp_path):
    theta, label = random_set(3, 200)
    fitted = calibrate(theta, label, by_availability=True)
    storage.save(fitted, tmp_path / "fusion")
    again = storage.load(tmp_path / "fusion", FUSIONS)
    query, _ = random_set(4, 30)
    np.testing.assert_array_equal(again.score(query), fitted.score(query))


@pytest.mark.parametrize(
    "change", [{"combine": "median"}, {"inverse": "other"}, {"stage2": "none"}], ids=lambda c: next(iter(c))
)
def test_unknown_choices_are_refused(change):
    theta, label = random_set(0, 20)
    with pytest.raises(Any2AnyError, match=next(iter(change))):
        calibrate(theta, label, **change)


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(Any2AnyError, match="shape"):
        calibrate(np.zeros((3, 2)), np.zeros(3, dtype=bool))
    theta, label = random_set(0, 20)
    with pytest.raises(Any2AnyError, match="Calibrate again"):
        calibrate(theta, label).score(np.zeros((4, 3, 3)))


def test_an_empty_map_has_no_scores_whatever_stage_2_is_fitted_on():
    draw = np.random.default_rng(0)
    similarity, positive = draw.normal(size=(600, 2, 2)), draw.random(600) < 0.5
    for by_availability in (False, True):
        fitted = calibrate(similarity, positive, by_availability=by_availability)
        assert fitted.score(np.empty((0, 2, 2))).shape == (0,)
