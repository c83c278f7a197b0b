"""Which descriptor is better, in reality and in the towns, and whether both agree.

Hits (Q,) say for each query whether the first answer was right. Queries beside each other are not independent, so the
bootstrap draws stretches of STRETCH queries; the same stretches for all descriptors, since they saw the same frames.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from any2any_ros.arrays import Float64

STRETCH = 20  # queries, one after the other, that are drawn together
DRAWS = 2000
FAR = 0.05  # of R@1: reality separates two descriptors that differ by more
INSIDE = (2.5, 97.5)  # percentiles of an interval
AGREES, REVERSES, UNCLEAR = "agrees", "reverses", "cannot tell"

Hits = Mapping[str, Sequence[int]]  # of one set, by descriptor


@dataclass(frozen=True, eq=False)
class Recalls:
    """R@1 of D descriptors, mean over the sets. sets (D, S): of each set. drawn (D, DRAWS): of the bootstrap."""

    names: tuple[str, ...]
    sets: Float64
    drawn: Float64

    @classmethod
    def of(cls, sets: Sequence[Hits], seed: int = 0) -> Recalls:
        """Measure sets; every set counts the same, whatever its size."""
        names = tuple(sets[0])
        rng = np.random.default_rng(seed)
        hits = [np.array([one[name] for name in names], dtype=float) for one in sets]
        drawn = np.mean([_drawn(h, rng) for h in hits], axis=0)
        return cls(names, np.stack([h.mean(axis=1) for h in hits], axis=1), drawn)

    def recall(self, name: str) -> float:
        return float(self.sets[self.names.index(name)].mean())

    def interval(self, name: str) -> tuple[float, float]:
        """Return the 95 % interval of R@1."""
        return _inside(self.drawn[self.names.index(name)])

    def difference(self, first: str, second: str) -> tuple[float, float, float]:
        """Return by how much the first has a larger R@1, and the 95 % interval of that."""
        a, b = (self.names.index(name) for name in (first, second))
        return (float((self.sets[a] - self.sets[b]).mean()), *_inside(self.drawn[a] - self.drawn[b]))

    def smallest_difference(self, first: str, second: str) -> float:
        """Return the difference in the set where the first is worst, compared with the second."""
        a, b = (self.names.index(name) for name in (first, second))
        return float((self.sets[a] - self.sets[b]).min())


@dataclass(frozen=True)
class Pair:
    """Two descriptors that reality separates. Differences: R@1 of the better less that of the worse, with interval.

    disputed: one of the real sets says the opposite, by more than FAR.
    """

    better: str
    worse: str
    reality: tuple[float, float, float]
    town: tuple[float, float, float]
    disputed: bool

    @property
    def verdict(self) -> str:
        """Return what the towns say of the order of reality."""
        _, low, high = self.town
        return AGREES if low > 0 else REVERSES if high < 0 else UNCLEAR


def pairs(reality: Recalls, town: Recalls) -> list[Pair]:
    """Return the pairs that reality separates: by more than FAR, and by more than chance; largest difference first."""
    separated = []
    for one, other in combinations(reality.names, 2):
        better, worse = sorted((one, other), key=reality.recall, reverse=True)
        real = reality.difference(better, worse)
        if real[0] > FAR and real[1] > 0:
            disputed = reality.smallest_difference(better, worse) < -FAR
            separated.append(Pair(better, worse, real, town.difference(better, worse), disputed))
    return sorted(separated, key=lambda pair: -pair.reality[0])


def rank_correlation(reality: Recalls, town: Recalls) -> float:
    """Return Kendall's tau of both orders, from -1 (reversed) to 1 (the same)."""
    from scipy.stats import kendalltau

    both = [[r.recall(name) for name in reality.names] for r in (reality, town)]
    return float(kendalltau(*both).statistic)


def _drawn(hits: Float64, rng: np.random.Generator) -> Float64:
    """Return R@1 (D, DRAWS) of stretches drawn with replacement. hits (D, Q)."""
    starts = np.arange(0, hits.shape[1], STRETCH)
    right = np.add.reduceat(hits, starts, axis=1)
    asked = np.diff([*starts, hits.shape[1]])
    chosen = rng.integers(len(starts), size=(DRAWS, len(starts)))
    return np.asarray(right[:, chosen].sum(axis=2) / asked[chosen].sum(axis=1))


def _inside(drawn: Float64) -> tuple[float, float]:
    low, high = np.percentile(drawn, INSIDE)
    return float(low), float(high)
