"""What speaks for a match: log odds that rise with everything that is familiar, learnt from other places."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from any2any_ros.trust import evidence


def learnt(seed, count=80, sensors=2):
    """Return features (N, 2, 1 + M), what is right, what is mapped, and folds, all drawn at random."""
    draw = np.random.default_rng(seed)
    mapped = draw.random(count) < 0.6
    return draw.normal(size=(count, 2, 1 + sensors)), mapped & (draw.random(count) < 0.7), mapped, np.arange(count) % 4


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(0, 1), st.integers(0, 2), st.floats(0, 5), st.floats(0, 0.9))
def test_more_of_anything_is_never_less_evidence(seed, half, which, more, unmapped):
    features, right, mapped, _ = learnt(seed)
    weights = evidence.fit(features, right, mapped)
    raised = features[:1].copy()
    raised[0, half, which] += more
    assert evidence.log_odds(raised, weights, unmapped) >= evidence.log_odds(features[:1], weights, unmapped)


def test_evidence_is_the_log_odds_of_both_being_true():
    features, right, mapped, _ = learnt(0)
    weights = evidence.fit(features, right, mapped)
    first, second = (expit(features[:, i] @ weights[i, 0, 1:] + weights[i, 0, 0]) for i in (0, 1))
    np.testing.assert_allclose(expit(evidence.log_odds(features, weights, 0.5)), first * second)
    # outside once in twenty: the odds of being inside are nineteen times those at even odds
    inside = 19 * second / (19 * second + 1 - second)
    np.testing.assert_allclose(expit(evidence.log_odds(features, weights, 0.05)), first * inside)


def test_the_weights_are_those_of_a_ridge_logistic_regression():
    """Where scikit-learn's happen to be positive, they are the same."""
    draw = np.random.default_rng(0)
    features = draw.normal(size=(400, 3)) * [1, 20, 0.1] + [0, 5, 1]
    label = draw.random(400) < expit(features @ [1.0, 0.05, 8.0] - 8)
    middle, spread = features.mean(axis=0), features.std(axis=0)
    model = LogisticRegression(tol=1e-10).fit((features - middle) / spread, label)
    assert (model.coef_ > 0).all()
    (bias, *slopes), (_, *means) = evidence._fit_logistic(features, label)
    np.testing.assert_allclose(
        bias + features @ slopes, model.decision_function((features - middle) / spread), atol=1e-3
    )
    np.testing.assert_allclose(means, middle)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("label", [True, False])
def test_labels_that_are_all_alike_are_no_crash(label):
    found = evidence._fit_logistic(np.arange(30.0)[:, None], np.full(30, label))
    assert np.isfinite(found).all() and (found[0, 0] + found[0, 1] * 15 > 0) == label


def test_what_a_reference_lacks_neither_speaks_for_nor_against_it():
    features, right, mapped, _ = learnt(0)
    features[::3, 1, 2] = np.nan
    weights = evidence.fit(features, right, mapped)
    lacking, middling = features[:1].copy(), features[:1].copy()
    middling[0, 1, 2] = np.nanmean(features[:, 1, 2])
    assert np.isnan(lacking[0, 1, 2])
    assert evidence.log_odds(lacking, weights, 0.05) == pytest.approx(evidence.log_odds(middling, weights, 0.05))


def test_nothing_is_weighed_by_what_it_taught():
    """The evidence of a fold does not change when its own labels do."""
    features, right, mapped, fold = learnt(0)
    other = np.where(fold == 2, mapped & ~right, right)
    one, two = (evidence.held_out_log_odds(features, r, mapped, fold, 0.05) for r in (right, other))
    np.testing.assert_array_equal(one[fold == 2], two[fold == 2])
    assert not np.allclose(one[fold != 2], two[fold != 2])


def test_a_feature_that_a_query_does_not_have_counts_as_unknown():
    features, right, mapped, _ = learnt(1)
    weights = evidence.fit(features, right, mapped)
    unknown = features.copy()
    unknown[..., -1] = np.nan
    np.testing.assert_allclose(
        evidence.log_odds(features[..., :-1], weights, 0.1), evidence.log_odds(unknown, weights, 0.1)
    )
