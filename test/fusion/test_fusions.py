"""Every fusion against a plain loop over its definition, and what must hold for all of them."""

import math

import numpy as np
import pytest
from fusion_cases import SHAPE, fitted, loop, random_case
from hypothesis import given, settings
from hypothesis import strategies as st

from any2any_ros.fusion import FUSIONS
from any2any_ros.fusion.min_max import MinMax
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.fusion.reciprocal_rank import ReciprocalRank
from any2any_ros.fusion.z_score import ZScore
from any2any_ros.protocols import Fusion

ALL = list(FUSIONS.all())


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


@pytest.mark.parametrize("cls", ALL)
def test_a_pair_has_a_probability_where_it_was_observed_or_nowhere(cls):
    similarity, _ = random_case(2, missing=0.2)
    p = cls.fit(*random_case(50, queries=40, references=30, missing=0)).pair_probability(similarity)
    assert p.shape == similarity.shape and p.dtype == np.float64
    tells = cls.plug in {"any2any", "likelihood_ratio", "mixture"}
    np.testing.assert_array_equal(np.isnan(p), np.isnan(similarity) if tells else True)
    assert ((p[~np.isnan(p)] >= 0) & (p[~np.isnan(p)] <= 1)).all()


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
