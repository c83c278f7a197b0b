"""The mixture against its formula, against data drawn from its own model, and against the ratio it improves on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logsumexp

from any2any_ros.fusion import mixture
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.fusion.mixture import LEAST, Mixture
from any2any_ros.metrics import expected_calibration_error

SHARP, OFFSET, TRUST = 3.0, -1.0, 0.0  # lapses in 28 % of the queries, whatever they look like


def lapse_of(offset, trust, best):
    return LEAST + (1 - LEAST) * expit(offset - trust * best)


def one_pair(slope=SHARP, offset=OFFSET, trust=TRUST):
    return Mixture(*(np.full((1, 1), v) for v in (slope, offset, trust)))


def drawn(sensors, queries=2000, references=20, seed=0):
    """Return similarities (Q, R, M, M) and labels (Q, R) drawn from the model; sensors: (slope, offset, trust) each.

    Similarities that do not depend on the order, of which one is picked as the model says, are those of the model
    when the one picked trades places with the right reference.
    """
    draw = np.random.default_rng(seed)
    right, rows = draw.integers(references, size=queries), np.arange(queries)
    similarity = np.full((queries, references, len(sensors), len(sensors)), np.nan)
    for m, (slope, offset, trust) in enumerate(sensors):
        theta = draw.normal(size=(queries, references))
        weight = np.exp(slope * theta)
        lapse = lapse_of(offset, trust, theta.max(axis=1, keepdims=True))
        p = lapse / references + (1 - lapse) * weight / weight.sum(axis=1, keepdims=True)
        picked = (p.cumsum(axis=1) > draw.random((queries, 1))).argmax(axis=1)
        theta[rows, picked], theta[rows, right] = theta[rows, right], theta[rows, picked]
        similarity[:, :, m, m] = theta
    return similarity, np.arange(references) == right[:, None]


@settings(max_examples=60)
@given(st.integers(0, 10_000), st.floats(0, 20), st.floats(-5, 5), st.floats(0, 5))
def test_evidence_is_the_formula(seed, slope, offset, trust):
    draw = np.random.default_rng(seed)
    theta = np.where(draw.random(12) < 0.3, np.nan, draw.normal(size=12))
    found = one_pair(slope, offset, trust).evidence(theta[:, None, None])[:, 0, 0]
    known = theta[~np.isnan(theta)]
    for value, evidence in zip(theta, found, strict=True):
        if np.isnan(value):
            assert np.isnan(evidence)
            continue
        lapse = lapse_of(offset, trust, known.max())
        softmax = np.exp(slope * value) / np.exp(slope * known).sum()
        assert evidence == pytest.approx(np.log(lapse + (1 - lapse) * len(known) * softmax), abs=1e-9)


@pytest.mark.filterwarnings("error")
@given(st.floats(0, 1e6), st.floats(-1e3, 1e3))
def test_evidence_stays_between_the_lapse_and_all_of_it(slope, scale):
    theta = scale * np.random.default_rng(0).normal(size=(50, 1, 1))
    evidence = one_pair(slope).evidence(theta)
    lapse = lapse_of(OFFSET, TRUST, 0)
    assert evidence.min() >= np.log(lapse) - 1e-9
    assert evidence.max() <= np.log(lapse + (1 - lapse) * 50) + 1e-9


def test_a_sensor_that_never_points_says_exactly_nothing():
    never = Mixture(*(np.full((1, 1), v) for v in mixture.ALWAYS_LAPSES))
    similarity = np.random.default_rng(0).normal(size=(9, 1, 1))
    assert (never.score(similarity) == 0).all() and (never.pair_probability(similarity) == 0.5).all()


@pytest.mark.filterwarnings("error")
def test_a_missing_sensor_adds_exactly_nothing():
    """Of the whole query, or of one reference only."""
    similarity, _ = drawn([(3, -2, 0), (2, -1, 0.5)], queries=5)
    fusion = Mixture(np.full((2, 2), 3.0), np.full((2, 2), -1.0), np.full((2, 2), 0.5))
    blind = similarity.copy()
    blind[:, :, 1] = np.nan
    alone = one_pair(3.0, -1.0, 0.5).score(similarity[:, :, :1, :1])
    np.testing.assert_allclose(fusion.score(blind), alone, atol=1e-12)
    part = similarity.copy()
    part[:, 4, 1] = np.nan
    np.testing.assert_allclose(fusion.score(part)[:, 4], alone[:, 4], atol=1e-12)


@pytest.mark.parametrize(
    "sensors",
    [[(3, -1, 0)], [(3, -1, 0), (1, -3, 0)], [(2, 1, 0.8), (4, -0.5, 0.3), (0.5, -2, 0)]],
    ids=["one", "two", "three"],
)
def test_its_posterior_is_calibrated_where_the_model_holds(sensors):
    similarity, positive = drawn(sensors, queries=6000)
    fusion = Mixture(
        *(np.full((len(sensors),) * 2, 1.0) * column for column in np.array(sensors, dtype=float).T[:, None])
    )
    score = fusion.score(similarity)
    posterior = np.exp(score - logsumexp(score, axis=1, keepdims=True))
    assert expected_calibration_error(posterior.ravel(), positive.ravel()) < 0.01
    assert expected_calibration_error(posterior.max(axis=1), positive[np.arange(6000), score.argmax(axis=1)]) < 0.02


@pytest.mark.parametrize("lapse", [0.05, 0.3, 0.6])
@pytest.mark.parametrize("slope", [2.0, 6.0])
def test_slope_and_lapse_of_synthetic_data_are_found(slope, lapse):
    similarity, positive = drawn([(slope, np.log(lapse / (1 - lapse)), 0)], references=30)
    fusion = Mixture.fit(similarity, positive)
    assert fusion.slope.item() == pytest.approx(slope, rel=0.2)
    best = similarity[..., 0, 0].max(axis=1)
    assert lapse_of(fusion.offset.item(), fusion.trust.item(), best).mean() == pytest.approx(
        lapse_of(np.log(lapse / (1 - lapse)), 0, 0), abs=0.05
    )


def test_queries_that_resemble_nothing_are_found_to_lapse():
    offset, trust = 6.0, 3.5
    similarity, positive = drawn([(4.0, offset, trust)], queries=4000)
    fusion = Mixture.fit(similarity, positive)
    best = np.quantile(similarity[..., 0, 0].max(axis=1), [0.1, 0.5, 0.9])
    found = lapse_of(fusion.offset.item(), fusion.trust.item(), best)
    np.testing.assert_allclose(found, lapse_of(offset, trust, best), atol=0.1)
    assert found[0] > 0.5 > 0.3 > found[2]


def test_more_or_fewer_references_do_not_change_what_is_learnt():
    """R is in the formula: a map may be calibrated on a sample of its references."""
    small, large = (Mixture.fit(*drawn([(3, -1, 0)], 3000, references)) for references in (10, 60))
    assert small.slope.item() == pytest.approx(large.slope.item(), rel=0.15)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("useless", ["noise", "constant", "never seen", "seen once"])
def test_a_pair_that_knows_nothing_gets_no_weight(useless):
    similarity, positive = drawn([(3, -1, 0), (3, -1, 0)], queries=300)
    pair = similarity[..., 1, 1]
    if useless == "noise":
        pair[:] = np.random.default_rng(1).normal(size=pair.shape)
    elif useless == "constant":
        pair[:] = 0.7
    else:
        pair[:] = np.nan
        pair[0, 0] = 0.5 if useless == "seen once" else np.nan
    evidence = Mixture.fit(similarity, positive).evidence(similarity)[..., 1, 1]
    assert np.abs(evidence[~np.isnan(evidence)]).max(initial=0) < (0.2 if useless == "noise" else 1e-12)


def lapsing(seed, queries=600, references=40):
    """One sensor is always fair; the other is by far the best, and says anything at all one time in six."""
    draw = np.random.default_rng(seed)
    right, rows = draw.integers(references, size=queries), np.arange(queries)
    similarity = np.full((queries, references, 2, 2), np.nan)
    fair, keen = draw.normal(size=(2, queries, references))
    fair[rows, right] += 3
    keen[rows, right] += 12
    lapses = draw.random(queries) < 1 / 6
    keen[lapses] = 6 * draw.normal(size=(lapses.sum(), references))
    similarity[..., 0, 0], similarity[..., 1, 1] = fair, keen
    return similarity, np.arange(references) == right[:, None], lapses


def test_a_lapsing_sensor_does_not_outvote_a_good_one_as_it_does_in_the_ratio():
    similarity, positive, _ = lapsing(0)
    held_out, truth, lapses = lapsing(1)

    def hits(score):
        return truth[np.arange(len(truth)), score.argmax(axis=1)]

    ours, ratio = (hits(cls.fit(similarity, positive).score(held_out)) for cls in (Mixture, LikelihoodRatio))
    fair, keen = (hits(held_out[..., m, m]) for m in (0, 1))
    assert ours[lapses].mean() > fair[lapses].mean() - 0.1 > ratio[lapses].mean() + 0.1
    assert ours.mean() > max(fair.mean(), keen.mean()) + 0.05
