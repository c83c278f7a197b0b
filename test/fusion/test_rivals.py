"""Every fusion against a plain loop over its definition, and what must hold for all of them."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from any2any_ros.fusion import FUSIONS
from any2any_ros.fusion.rivals import BestAvailable, LikelihoodRatio, MinMax, RawMean, ReciprocalRank, ZScore
from any2any_ros.protocols import Fusion

ALL = list(FUSIONS.all())
SHAPE = (2, 3)


def random_case(seed, queries=4, references=9, missing=0.3):
    """Return similarities (Q, R, 2, 3) with gaps, also of whole queries and references, and labels (Q, R)."""
    draw = np.random.default_rng(seed)
    positive = draw.random((queries, references)) < 0.25
    similarity = draw.normal(size=(queries, references, *SHAPE)) * [1, 5, 0.2] + positive[..., None, None]
    similarity[draw.random(similarity.shape) < missing] = np.nan
    if missing:
        similarity[draw.integers(queries)] = np.nan
        similarity[:, draw.integers(references)] = np.nan
        similarity[:, :, 1, draw.integers(3)] = np.nan
    return similarity, positive


def fitted(cls, seed=0):
    return cls.fit(*random_case(seed, queries=40, references=30, missing=0.2))


def loop(similarity, score_pair, combine):
    """Score every pair of every reference from all that the pair says to this query, then combine what is there."""
    out = np.full(similarity.shape[:2], np.nan)
    for q, r in np.ndindex(*out.shape):
        said = []
        for pair in np.ndindex(*SHAPE):
            column = similarity[q, :, pair[0], pair[1]].tolist()
            if not math.isnan(column[r]):
                said.append(score_pair(column[r], [v for v in column if not math.isnan(v)], pair))
        if said:
            out[q, r] = combine(said)
    return out


def mean(values):
    return sum(values) / len(values)


def scaled(value, column, _):
    return (value - min(column)) / ((max(column) - min(column)) or 1)


def standardised(value, column, _):
    spread = math.sqrt(mean([(v - mean(column)) ** 2 for v in column]))
    return (value - mean(column)) / (spread or 1)


def reciprocal_rank(value, column, _):
    return 1 / (60 + 1 + sum(v > value for v in column))


@pytest.mark.parametrize(
    ("fusion", "score_pair", "combine"),
    [
        (RawMean(), lambda value, column, pair: value, mean),
        (MinMax(), scaled, mean),
        (ZScore(), standardised, mean),
        (ReciprocalRank(), reciprocal_rank, sum),
    ],
    ids=lambda v: getattr(v, "plug", ""),
)
@settings(max_examples=50)
@given(st.integers(0, 10_000))
def test_equals_a_loop_over_its_definition(fusion, score_pair, combine, seed):
    similarity, _ = random_case(seed)
    np.testing.assert_allclose(fusion.score(similarity), loop(similarity, score_pair, combine), atol=1e-9)


@pytest.mark.parametrize("seed", range(5))
def test_the_likelihood_ratio_is_the_sum_of_lines(seed):
    fusion, (similarity, _) = fitted(LikelihoodRatio), random_case(seed)
    expected = loop(similarity, lambda v, _, pair: fusion.slope[pair] * v + fusion.intercept[pair], sum)
    np.testing.assert_allclose(fusion.score(similarity), expected, atol=1e-9)
    p = fusion.pair_probability(similarity)
    np.testing.assert_allclose(p, 1 / (1 + np.exp(-fusion.evidence(similarity))), atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_best_available_listens_to_one_pair_only(seed):
    fusion, (similarity, _) = fitted(BestAvailable), random_case(seed)
    pairs = sorted(np.ndindex(*SHAPE), key=lambda pair: -fusion.quality[pair])
    expected = np.full(similarity.shape[:2], np.nan)
    for q, r in np.ndindex(*expected.shape):
        best = next((pair for pair in pairs if not np.isnan(similarity[q, r][pair])), None)
        if best is not None:
            expected[q, r] = fusion.slope[best] * similarity[q, r][best] + fusion.intercept[best]
    np.testing.assert_allclose(fusion.score(similarity), expected, atol=1e-12)


def test_the_best_pair_is_the_one_of_the_largest_area_under_the_curve():
    similarity, positive = random_case(0, 30, 20)
    quality = BestAvailable.fit(similarity, positive).quality
    for q, r in np.ndindex(*SHAPE):
        seen = ~np.isnan(similarity[..., q, r])
        right, wrong = (similarity[..., q, r][seen & flags] for flags in (positive, ~positive))
        if right.size == 0:
            assert quality[q, r] == 0
            continue
        wins = (right[:, None] > wrong).mean() + 0.5 * (right[:, None] == wrong).mean()
        assert quality[q, r] == pytest.approx(wins)


# --- all of them ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cls", ALL)
def test_is_a_fusion_that_scores_any_number_of_queries(cls):
    fusion = fitted(cls)
    assert isinstance(fusion, Fusion)
    for shape in [(3, 7), (7,), (0, 7), (3, 0), (0,)]:
        assert fusion.score(np.zeros((*shape, *SHAPE))).shape == shape
    similarity, _ = random_case(1)
    whole = fusion.score(similarity)
    np.testing.assert_allclose(np.stack([fusion.score(s) for s in similarity]), whole, atol=1e-12)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("seed", range(3))
def test_nan_exactly_where_nothing_is_observed(cls, seed):
    similarity, _ = random_case(seed)
    # Every pair must have been calibrated: what never was has nothing to say.
    fusion = cls.fit(*random_case(50, queries=40, references=30, missing=0))
    scores = fusion.score(similarity)
    np.testing.assert_array_equal(np.isnan(scores), np.isnan(similarity).all(axis=(-2, -1)))


@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_the_order_of_the_references_does_not_matter(cls, kind):
    fusion, (similarity, _) = fitted(cls), random_case(3)
    similarity, order = similarity.astype(kind), np.random.default_rng(0).permutation(similarity.shape[1])
    scores = fusion.score(similarity)
    np.testing.assert_allclose(fusion.score(similarity[:, order]), scores[:, order], atol=1e-9)


@pytest.mark.parametrize("cls", ALL)
def test_the_callers_similarities_are_not_touched(cls):
    similarity, positive = random_case(4)
    before = similarity.copy()
    cls.fit(similarity, positive).score(similarity)
    np.testing.assert_array_equal(similarity, before)


@pytest.mark.parametrize("cls", ALL)
def test_one_pair_alone_keeps_its_own_order(cls):
    """With a single sensor every fusion ranks as that sensor does."""
    fusion = fitted(cls)
    values = np.random.default_rng(0).normal(size=40)
    similarity = np.full((40, *SHAPE), np.nan)
    similarity[:, 0, 0] = values
    scores = fusion.score(similarity)
    order = np.argsort(-values)
    assert (np.diff(scores[order]) <= 1e-12).all()


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("cls", ALL)
@pytest.mark.parametrize("labels", [np.zeros, np.ones])
def test_calibration_without_both_labels_is_no_crash(cls, labels):
    similarity, positive = random_case(5, queries=8)
    scores = cls.fit(similarity, labels(positive.shape, dtype=bool)).score(similarity)
    assert not np.isinf(scores).any()


# --- what is learnt -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.5, 0.05])
def test_the_likelihood_ratio_of_two_normals_is_found(share):
    """Whatever share of the calibration pairs is right: the prior is taken out."""
    draw = np.random.default_rng(0)
    positive = draw.random((200, 400)) < share
    apart, sigma = 0.8, 0.5
    theta = np.where(positive, apart, 0.0) + sigma * draw.normal(size=positive.shape)
    fusion = LikelihoodRatio.fit(theta[..., None, None], positive)
    assert fusion.slope.item() == pytest.approx(apart / sigma**2, rel=0.03)
    assert fusion.intercept.item() == pytest.approx(-(apart**2) / (2 * sigma**2), abs=0.06)


def test_the_scale_of_a_similarity_does_not_matter():
    similarity, positive = random_case(6, 40, 30)
    scaled_up = similarity * [[1000.0], [0.001]] + 7
    one, other = (LikelihoodRatio.fit(s, positive).score(s) for s in (similarity, scaled_up))
    np.testing.assert_allclose(one, other, atol=1e-6)


@pytest.mark.parametrize("useless", ["constant", "never seen", "seen once", "backwards"])
def test_a_pair_that_knows_nothing_gets_no_weight(useless):
    similarity, positive = random_case(7, 40, 30, missing=0)
    pair = similarity[..., 1, 2]
    if useless == "constant":
        pair[:] = 0.7
    elif useless == "backwards":
        pair[:] = 0.01 * pair - positive
    else:
        pair[:] = np.nan
        pair[0, :1] = 0.5 if useless == "seen once" else np.nan
    fusion = LikelihoodRatio.fit(similarity, positive)
    assert fusion.slope[1, 2] == fusion.intercept[1, 2] == 0
    assert (fusion.slope.ravel()[:5] > 0).all()
