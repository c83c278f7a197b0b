"""Which pairs reality separates, and what the towns say of them."""

import numpy as np
import pytest
from order.compare import AGREES, DRAWS, FAR, REVERSES, STRETCH, UNCLEAR, Recalls, pairs, rank_correlation

QUERIES = 30 * STRETCH


def hits(*shares, seed=0):
    """Return the hits of descriptors a, b, c …, each with its share of right answers, mixed."""
    rng = np.random.default_rng(seed)
    return {
        name: (rng.random(QUERIES) < share).astype(int).tolist() for name, share in zip("abcdef", shares, strict=False)
    }


def compared(reality, town):
    return pairs(Recalls.of(reality), Recalls.of(town))


@pytest.mark.parametrize(
    ("town", "verdict"), [((0.9, 0.3), AGREES), ((0.3, 0.9), REVERSES), ((0.6, 0.6), UNCLEAR), ((0.6, 0.61), UNCLEAR)]
)
def test_the_verdict_is_by_the_interval_of_the_towns(town, verdict):
    (pair,) = compared([hits(0.8, 0.5)], [hits(*town, seed=1)])
    assert (pair.better, pair.worse, pair.verdict, pair.disputed) == ("a", "b", verdict, False)
    assert pair.reality[1] < pair.reality[0] < pair.reality[2]


def test_a_small_difference_is_none():
    assert not compared([hits(0.80, 0.78)], [hits(0.2, 0.9)])
    assert len(compared([hits(0.80, 0.78, 0.5)], [hits(0.2, 0.9, 0.5)])) == 2


def test_a_difference_by_chance_is_none():
    few = {"a": [1, 1, 1, 0, 1, 1], "b": [1, 0, 1, 1, 1, 0]}
    many = {name: of * STRETCH * 40 for name, of in few.items()}
    assert Recalls.of([few]).difference("a", "b")[0] > FAR and len(compared([many], [many])) == 1
    short = {"a": [1] * STRETCH + [0] * STRETCH, "b": [0] * STRETCH + [1] * (STRETCH - 5) + [0] * 5}
    assert Recalls.of([short]).difference("a", "b")[0] > FAR and not compared([short], [many])


def test_a_set_that_says_the_opposite_makes_a_pair_disputed():
    (pair,) = compared([hits(0.9, 0.4), hits(0.4, 0.6)], [hits(0.9, 0.4)])
    assert pair.disputed
    (pair,) = compared([hits(0.9, 0.4), hits(0.6, 0.61)], [hits(0.9, 0.4)])
    assert not pair.disputed


def test_every_set_counts_the_same():
    large, small = hits(0.9, 0.1), {"a": [0, 0], "b": [1, 1]}
    recalls = Recalls.of([large, small])
    assert recalls.recall("a") == pytest.approx(np.mean(large["a"]) / 2)
    assert recalls.recall("b") == pytest.approx((np.mean(large["b"]) + 1) / 2)


def test_an_interval_is_as_wide_as_stretches_differ():
    """Twenty queries that share their fate are worth one."""
    apart = Recalls.of([hits(0.5)]).interval("a")
    rng = np.random.default_rng(3)
    together = np.repeat(rng.random(QUERIES // STRETCH) < 0.5, STRETCH).astype(int).tolist()
    low, high = Recalls.of([{"a": together}]).interval("a")
    assert high - low > 3 * (apart[1] - apart[0])
    assert low < np.mean(together) < high


def test_figures_are_the_same_every_time():
    first, second = (Recalls.of([hits(0.5, 0.7)]) for _ in range(2))
    assert first.drawn.shape == (2, DRAWS) and np.array_equal(first.drawn, second.drawn)


def test_rank_correlation():
    assert rank_correlation(Recalls.of([hits(0.9, 0.5, 0.1)]), Recalls.of([hits(0.6, 0.4, 0.2)])) == pytest.approx(1)
    assert rank_correlation(Recalls.of([hits(0.9, 0.5, 0.1)]), Recalls.of([hits(0.2, 0.4, 0.6)])) == pytest.approx(-1)
