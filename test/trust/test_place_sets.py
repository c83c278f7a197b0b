"""Scores behind place sets: in levels, and as many of +inf as neighbours make necessary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from any2any_ros.fusion.any2any import conformal_quantile
from any2any_ros.trust import place_sets


@pytest.mark.parametrize(("count", "levels"), [(3, 1), (79, 1), (80, 2), (120, 3), (5000, 3)])
def test_levels_are_as_many_as_there_are_queries_for(count, levels):
    bounds = place_sets.bounds(np.random.default_rng(0).normal(size=count))
    assert len(bounds) == levels - 1 and (np.diff(bounds) > 0).all()


def test_a_level_is_how_many_bounds_are_reached():
    assert place_sets.level(np.array([-1.0, 0.0, 0.5, 1.0, 9.0]), np.array([0.0, 1.0])).tolist() == [0, 1, 1, 2, 2]
    assert place_sets.level(np.array([3.0]), np.empty(0)).tolist() == [0]


def streets(seed, count=16, frames=15, alike=0.95):
    """Return the scores of so many streets' frames, which have `alike` of their variance in common, and the streets."""
    draw = np.random.default_rng(seed)
    own = draw.normal(size=(count, frames)) * np.sqrt(1 - alike)
    return (draw.normal(size=(count, 1)) * np.sqrt(alike) + own).ravel(), np.repeat(np.arange(count), frames)


@pytest.mark.parametrize("miss", [0.05, 0.1, 0.2])
def test_the_promise_is_kept_on_streets_not_seen(miss):
    """Which the scores of frames that are alike, taken as they are, do not."""
    plain, ours = [], []
    for seed in range(200):
        scores, street = streets(seed, count=8, alike=0.8)
        new = streets(10_000 + seed, count=60, frames=1)[0]
        (kept,) = place_sets.calibrated(scores, np.zeros(len(scores), int), street % 5, 1)
        plain.append((new <= conformal_quantile(scores, miss)).mean())
        ours.append((new <= conformal_quantile(kept, miss)).mean())
    assert np.mean(plain) < 1 - miss - 0.015
    assert abs(np.mean(ours) - (1 - miss)) < 0.015


def test_frames_that_are_not_alike_need_hardly_anything():
    shares = []
    for seed in range(50):
        scores, street = streets(seed, alike=0.0)
        (kept,) = place_sets.calibrated(scores, np.zeros(len(scores), int), street % 8, 1)
        shares.append(np.isinf(kept).mean())
    assert np.mean(shares) < 0.015


@given(st.integers(0, 200), st.integers(1, 60), st.integers(1, 3), st.integers(1, 5))
def test_scores_are_sorted_and_none_is_lost(seed, count, levels, folds):
    draw = np.random.default_rng(seed)
    scores, level, fold = draw.normal(size=count), draw.integers(levels, size=count), draw.integers(folds, size=count)
    found = place_sets.calibrated(scores, level, fold, levels)
    assert len(found) == levels
    for i, kept in enumerate(found):
        assert (np.diff(kept[np.isfinite(kept)]) >= 0).all()
        np.testing.assert_array_equal(kept[np.isfinite(kept)], np.sort(scores[level == i]))
        assert np.isinf(kept).sum() <= np.ceil(0.15 * (level == i).sum())


def test_one_stretch_tells_nothing_about_neighbours():
    scores = np.arange(20.0)
    (kept,) = place_sets.calibrated(scores, np.zeros(20, int), np.zeros(20, int), 1)
    np.testing.assert_array_equal(kept, scores)


def test_where_the_truth_is_never_found_no_share_is_enough():
    """Nothing can be promised; what is added is bounded, and the sets are everything."""
    scores = np.full(40, np.inf)
    (kept,) = place_sets.calibrated(scores, np.zeros(40, int), np.arange(40) % 4, 1)
    assert np.isinf(kept).all() and conformal_quantile(kept, 0.1) == np.inf
