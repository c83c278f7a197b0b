"""Every figure against its definition spelled out in loops, and chance against enumeration and against dice."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from any2any_ros import metrics

RELEVANT = np.array([[0, 1, 0, 1], [1, 0, 0, 0], [0, 0, 0, 0]], dtype=bool)

tables = hnp.arrays(np.bool_, st.tuples(st.integers(1, 6), st.integers(1, 7)))


def test_golden_figures():
    assert metrics.recall_at_k(RELEVANT, 1) == pytest.approx(1 / 3)
    assert metrics.recall_at_k(RELEVANT, 2) == pytest.approx(2 / 3)
    assert metrics.precision_at_k(RELEVANT, 4) == pytest.approx((2 / 4 + 1 / 4) / 3)
    assert metrics.reciprocal_rank(RELEVANT) == pytest.approx((1 / 2 + 1) / 3)
    # precision at each hit, over as many hits as could be in the first four
    assert metrics.average_precision_at_k(RELEVANT, [2, 3, 1], 4) == pytest.approx(((1 / 2 + 2 / 4) / 2 + 1 / 3) / 3)


@given(tables, st.integers(1, 8))
def test_recall_precision_and_rank_are_what_their_names_say(relevant, k):
    recall, precision, rank = [], [], []
    for row in relevant.tolist():
        recall.append(any(row[:k]))
        precision.append(sum(row[:k]) / k)
        rank.append(1 / (row.index(True) + 1) if any(row) else 0)
    assert metrics.recall_at_k(relevant, k) == pytest.approx(np.mean(recall))
    assert metrics.precision_at_k(relevant, k) == pytest.approx(np.mean(precision))
    assert metrics.reciprocal_rank(relevant) == pytest.approx(np.mean(rank))


@given(tables, st.integers(1, 8), st.data())
def test_average_precision_is_the_mean_precision_at_each_hit(relevant, k, data):
    positives = [sum(row) + data.draw(st.integers(0, 3)) for row in relevant.tolist()]
    expected = []
    for row, possible in zip(relevant.tolist(), positives, strict=True):
        at_hits = [sum(row[: j + 1]) / (j + 1) for j in range(min(k, len(row))) if row[j]]
        expected.append(sum(at_hits) / max(min(k, possible), 1))
    ours = metrics.average_precision_at_k(relevant, positives, k)
    assert ours == pytest.approx(np.mean(expected)) and 0 <= ours <= 1 + 1e-12


def test_a_perfect_ranking_scores_one():
    perfect = np.array([[1, 1, 0, 0], [1, 0, 0, 0]], dtype=bool)
    assert metrics.average_precision_at_k(perfect, [2, 1], 4) == 1
    assert metrics.average_precision_at_k(np.ones((1, 3), dtype=bool), [10], 3) == 1


def test_coverage_counts_sets_that_hold_a_positive():
    sets = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 0], [0, 0, 1]], dtype=bool)
    positive = np.array([[0, 1, 0], [0, 1, 1], [1, 1, 1], [1, 0, 1]], dtype=bool)
    assert metrics.coverage(sets, positive) == 0.5


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40), st.integers(1, 12))
def test_calibration_error_is_the_weighted_gap_of_equal_bins(pairs, bins):
    expected = 0.0
    for b in range(bins):
        inside = [(p, y) for p, y in pairs if b == min(int(p * bins), bins - 1)]
        if inside:
            p, y = np.mean(inside, axis=0)
            expected += len(inside) / len(pairs) * abs(p - y)
    probability, correct = zip(*pairs, strict=True)
    assert metrics.expected_calibration_error(probability, correct, bins) == pytest.approx(expected, abs=1e-12)


def test_a_calibrated_forecast_has_no_error_and_a_boaster_all_of_it():
    draw = np.random.default_rng(0)
    p = draw.random(200_000)
    assert metrics.expected_calibration_error(p, draw.random(len(p)) < p) < 0.01
    assert metrics.expected_calibration_error(np.ones(10), np.zeros(10)) == 1
    assert metrics.expected_calibration_error([1.0, 0.0], [True, False]) == 0


def test_probabilities_that_are_not_known_have_no_error_to_speak_of():
    assert math.isnan(metrics.expected_calibration_error([np.nan, 0.5], [True, True]))


@pytest.mark.parametrize(
    ("positives", "total", "k"), [(1, 5, 1), (2, 6, 3), (3, 4, 2), (0, 4, 2), (4, 4, 1), (1, 3, 9)]
)
def test_chance_is_the_share_of_all_draws_that_hit(positives, total, k):
    draws = list(itertools.combinations(range(total), min(k, total)))
    hits = sum(any(i < positives for i in drawn) for drawn in draws)
    assert metrics.chance([positives], total, k) == pytest.approx(hits / len(draws), abs=1e-12)


def test_chance_is_what_a_random_ranker_scores():
    draw = np.random.default_rng(0)
    positives, totals = draw.integers(1, 20, 30), draw.integers(20, 60, 30)
    for k in (1, 5):
        hits = [
            [(draw.permutation(total)[:k] < right).any() for right, total in zip(positives, totals, strict=True)]
            for _ in range(1000)
        ]
        assert metrics.chance(positives, totals, k) == pytest.approx(np.mean(hits), abs=0.01)


def test_chance_holds_for_maps_of_a_million():
    assert metrics.chance([10], 1_000_000, 5) == pytest.approx(5e-5, rel=1e-3)
    assert metrics.chance([999_999], 1_000_000, 1) == pytest.approx(0.999999, abs=1e-9)


@pytest.mark.filterwarnings("error")
def test_without_queries_nothing_is_known():
    none = np.empty((0, 5), dtype=bool)
    for value in (
        metrics.recall_at_k(none, 1), metrics.precision_at_k(none, 1), metrics.reciprocal_rank(none),
        metrics.average_precision_at_k(none, [], 5), metrics.coverage(none, none), metrics.chance([], 5, 1),
        metrics.expected_calibration_error([], []),
    ):  # fmt: skip
        assert math.isnan(value)


def test_without_matches_nothing_is_right():
    empty = np.empty((3, 0), dtype=bool)
    assert metrics.recall_at_k(empty, 5) == metrics.precision_at_k(empty, 5) == metrics.reciprocal_rank(empty) == 0
    assert metrics.chance([0, 0], [0, 0], 5) == 0
