"""How many independent queries the frames of a drive are worth.

A frame is like its neighbours: on a hard street, frame after frame fails. So N frames from a few stretches of a drive
prove less than N independent queries would. In the terms of survey sampling the stretches are clusters, and N queries
are worth N / effect independent ones. The design effect (Kish, 1965) is

    effect = 1 + (size - 1) * correlation

size: queries in a stretch, as the mean over queries. correlation: the intraclass correlation of a property, such as
"was wrong", by analysis of variance (Donner and Koval, 1980). 0: the queries of a stretch are no more alike than any
others; 1: the property is the same in all of them.

Few stretches cannot show that their queries differ. Therefore the estimate is drawn towards 1: all the way for FEW
stretches, a quarter of the way for twice as many, a sixteenth for four times as many. FEW was chosen on a simulated
town and on half of the draws of docs/confidence.md.

Kish, "Survey Sampling", 1965. Donner and Koval, "The estimation of intraclass correlation in the analysis of family
data", Biometrics 1980.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Flags, Float64, Rows

FEW = 2.0  # stretches
UPPER = (0.05, 0.1, 0.2)  # the shares of highest values that are followed


def correlation(values: Float64, stretch: Rows) -> float:
    """Return the intraclass correlation, 0 to 1, of being among the highest values (N,), drawn towards 1.

    stretch (N,): number of each query's stretch.
    """
    return float(_drawn_to_1(estimate(values, stretch), len(np.unique(stretch))))


def estimate(values: Float64, stretch: Rows) -> float:
    """Return the same as observed: the mean over the UPPER shares of highest values; 1 where nothing shows it."""
    limits = [np.quantile(values, 1 - share, method="lower") for share in UPPER] if len(values) else []
    found = [float(_Counts.of_all(values > limit, stretch).correlation()[0]) for limit in limits]
    known = [c for c in found if np.isfinite(c)]
    return max(float(np.mean(known)), 0.0) if known else 1.0


def effect(stretch: Rows, correlation: float) -> float:
    """Return the design effect of queries in these stretches (N,) with this correlation; 1 for no query."""
    if len(stretch) == 0:
        return 1.0
    count = np.unique(stretch, return_counts=True)[1]
    return 1 + (float((count**2).sum()) / len(stretch) - 1) * correlation


def wanted(stretch: Rows, worth: float, alike: float = 0.0) -> int:
    """Return how many queries, in stretches like these (N,), are worth so many independent ones.

    alike: the correlation that many stretches would show.
    """
    size = effect(stretch, 1.0)

    def enough(count: int) -> bool:
        shown = float(_drawn_to_1(alike, count / size))
        return bool(count >= worth * (1 + (size - 1) * shown) - 1e-9)

    count = int(np.ceil(worth - 1e-9))
    while not enough(count):
        count += 1
    return count


def effects_of_first(flags: Flags, stretch: Rows) -> Float64:
    """Return the design effects (N,) of the first 1, 2, … N queries for a property. flags (N,): which have it."""
    before, had = _earlier(np.ones(len(stretch)), stretch), _earlier(flags.astype(np.float64), stretch)
    mean_square = (had + flags) ** 2 / (before + 1) - had**2 / np.maximum(before, 1)
    return _Counts(
        np.arange(1.0, len(stretch) + 1),
        np.cumsum(flags, dtype=np.float64),
        np.cumsum(before == 0, dtype=np.float64),
        np.cumsum(2 * before + 1),
        np.cumsum(mean_square),
    ).effect()


def effects_by_limit(stretch: Rows) -> Float64:
    """Return the design effects (N + 1,) of N queries for a property that the first 0, 1, … N of them have."""
    n, which = len(stretch), np.unique(stretch, return_inverse=True)[1]
    count = np.bincount(which).astype(np.float64)
    mean_square = (2 * _earlier(np.ones(n), stretch) + 1) / count[which] if n else np.empty(0)
    return _Counts(
        np.full(n + 1, float(n)),
        np.arange(n + 1.0),
        np.full(n + 1, float(len(count))),
        np.full(n + 1, (count**2).sum()),
        np.concatenate([[0.0], np.cumsum(mean_square)]),
    ).effect()


def _earlier(values: Float64, stretch: Rows) -> Float64:
    """Return (N,): the sum of the values (N,) of all queries of the same stretch that come before each query."""
    order = np.argsort(stretch, kind="stable")
    running = np.concatenate([[0.0], np.cumsum(values[order])])[:-1]
    first = np.searchsorted(stretch[order], stretch[order])
    result = np.empty(len(values))
    result[order] = running - running[first]
    return result


def _drawn_to_1(shown: Float64 | float, stretches: Float64 | float) -> Float64:
    away = np.minimum(FEW / np.maximum(stretches, 1.0), 1.0) ** 2
    return np.asarray(shown + (1 - shown) * away)


@dataclass(frozen=True, eq=False)
class _Counts:
    """P samples of queries, of which some have a property; all (P,).

    queries, having, stretches: their numbers. squares: sum over stretches of queries². mean_squares: sum over stretches
    of having² / queries.
    """

    queries: Float64
    having: Float64
    stretches: Float64
    squares: Float64
    mean_squares: Float64

    @classmethod
    def of_all(cls, flags: Flags, stretch: Rows) -> _Counts:
        """Return the one sample of all queries. flags (N,): which have the property."""
        which = np.unique(stretch, return_inverse=True)[1]
        count, having = np.bincount(which), np.bincount(which, flags)
        sums = (len(flags), having.sum(), len(count), (count**2).sum(), (having**2 / count).sum())
        return cls(*(np.array([s], dtype=np.float64) for s in sums))

    def correlation(self) -> Float64:
        """Return the intraclass correlation (P,), at most 1; NaN where a sample cannot show it."""
        n, k = self.queries, self.stretches
        with np.errstate(divide="ignore", invalid="ignore"):
            between = (self.mean_squares - self.having**2 / n) / (k - 1)
            within = (self.having - self.mean_squares) / (n - k)
            usual = (n - self.squares / n) / (k - 1)  # queries in a stretch, as the variances weigh them
            total = between + (usual - 1) * within
            possible = (k > 1) & (n > k) & (total > 1e-12)
            return np.where(possible, (between - within) / total, np.nan)

    def effect(self) -> Float64:
        """Return the design effect (P,). Where a sample cannot show a correlation, nothing speaks for one."""
        shown = np.maximum(np.nan_to_num(self.correlation(), nan=0.0), 0.0)
        return np.asarray(1 + (self.squares / self.queries - 1) * _drawn_to_1(shown, self.stretches))
