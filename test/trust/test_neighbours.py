"""How many independent queries a drive is worth, against the plain formulas and against drives made up of streets."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from any2any_ros.trust import neighbours


def by_definition(flags, stretch):
    """Return the design effect of one sample, by the analysis of variance written out."""
    groups = [flags[stretch == s].astype(float) for s in np.unique(stretch)]
    k, n = len(groups), len(flags)
    estimate = 0.0
    if 1 < k < n and 0 < flags.sum() < n:
        between = sum(len(g) * (g.mean() - flags.mean()) ** 2 for g in groups) / (k - 1)
        within = sum(((g - g.mean()) ** 2).sum() for g in groups) / (n - k)
        usual = (n - sum(len(g) ** 2 for g in groups) / n) / (k - 1)
        estimate = max(0.0, (between - within) / (between + (usual - 1) * within))
    estimate += (1 - estimate) * min(1.0, 2 / k) ** 2
    return 1 + (sum(len(g) ** 2 for g in groups) / n - 1) * estimate


queries = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=1, max_size=60)


@given(queries)
def test_the_effects_of_the_first_queries_are_those_of_the_definition(pairs):
    flags, stretch = (np.array(column) for column in zip(*pairs, strict=True))
    effects = neighbours.effects_of_first(flags, stretch)
    expected = [by_definition(flags[:n], stretch[:n]) for n in range(1, len(flags) + 1)]
    np.testing.assert_allclose(effects, expected)


@given(queries)
def test_the_effects_by_limit_are_those_of_the_definition(pairs):
    stretch = np.array([s for _, s in pairs])
    effects = neighbours.effects_by_limit(stretch)
    expected = [by_definition(np.arange(len(stretch)) < n, stretch) for n in range(len(stretch) + 1)]
    np.testing.assert_allclose(effects, expected)


@given(queries, st.integers(0, 100))
def test_queries_are_worth_at_least_their_stretches_and_at_most_their_number(pairs, seed):
    """Stretches of one size; otherwise a large one counts for more."""
    stretch = np.repeat(np.arange(len(pairs)), 3)
    values = np.random.default_rng(seed).normal(size=len(stretch))
    alike = neighbours.correlation(values, stretch)
    assert 0 <= alike <= 1
    assert 1 <= neighbours.effect(stretch, alike) <= 3 + 1e-9


def streets(seed, count, frames, alike):
    """Return values of so many streets' frames, which have `alike` of their variance in common, and the streets."""
    draw = np.random.default_rng(seed)
    own = draw.normal(size=(count, frames)) * np.sqrt(1 - alike)
    return (draw.normal(size=(count, 1)) * np.sqrt(alike) + own).ravel(), np.repeat(np.arange(count), frames)


def test_frames_that_are_not_alike_are_worth_their_number():
    effects = [
        neighbours.effect(s, neighbours.correlation(v, s)) for v, s in (streets(i, 30, 10, 0.0) for i in range(30))
    ]
    assert np.mean(effects) < 1.4


def test_frames_that_are_all_the_same_are_worth_their_streets():
    for seed in range(10):
        values, street = streets(seed, 30, 10, 1.0)
        assert neighbours.effect(street, neighbours.correlation(values, street)) > 8


@pytest.mark.parametrize("count", [1, 2])
def test_one_or_two_streets_cannot_show_that_their_frames_differ(count):
    values, street = streets(0, count, 10, 0.0)
    assert neighbours.correlation(values, street) == 1.0
    assert neighbours.effects_of_first(values > 0, street)[-1] == 10.0


def test_queries_without_neighbours_are_independent():
    values = np.random.default_rng(0).normal(size=40)
    assert neighbours.effect(np.arange(40), neighbours.correlation(values, np.arange(40))) == 1.0
    np.testing.assert_array_equal(neighbours.effects_of_first(values > 0, np.arange(40)), 1.0)


def test_the_order_of_the_stretches_does_not_matter():
    values, street = streets(3, 6, 10, 0.5)
    order = np.random.default_rng(0).permutation(len(values))
    assert neighbours.correlation(values, street) == pytest.approx(
        neighbours.correlation(values[order], 9 - street[order])
    )


@pytest.mark.filterwarnings("error")
def test_no_query_at_all_is_no_crash():
    nothing = np.empty(0, dtype=np.intp)
    assert neighbours.effect(nothing, 1.0) == 1.0
    assert neighbours.correlation(np.empty(0), nothing) == 1.0
    assert neighbours.effects_of_first(np.empty(0, dtype=bool), nothing).shape == (0,)


@pytest.mark.filterwarnings("error")
def test_values_that_are_all_the_same_show_no_difference():
    assert neighbours.correlation(np.full(20, np.inf), np.arange(20) // 5) == 1.0


@pytest.mark.parametrize("size", [1, 5, 20])
@pytest.mark.parametrize("alike", [0.0, 0.5, 1.0])
def test_so_many_queries_as_are_wanted_are_worth_enough_and_one_less_is_not(size, alike):
    stretch = np.arange(200) // size
    wanted = neighbours.wanted(stretch, 22.0, alike)
    for count in (wanted, wanted - 1):
        shown = alike + (1 - alike) * min(1.0, 2 * size / count) ** 2
        assert (count / (1 + (size - 1) * shown) >= 22.0) == (count == wanted)
    assert wanted >= 22 and (size == 1) <= (wanted == 22)
