"""The nonconformity scores behind place sets: by level of evidence, and with a reserve because neighbours are alike.

Split conformal prediction promises coverage for a query that is exchangeable with the calibration queries. But a frame
is like its neighbours. So a query from a new street is not one more of several hundred frames. It is one more of a few
streets, and the quantile of the frames' scores is too low for it. Therefore the promise is tried on stretches of the
calibration drive that were left out, and scores of +inf are added: the fewest that keep the promise there, on average
over the promises that are usually made. (Dunn, Wasserman and Ramdas, 2022, add one stretch's worth of scores. That
holds for any distribution, but with 15 streets it makes the sets almost as large as the map.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from any2any_ros.arrays import Float64, Rows
from any2any_ros.fusion.any2any import conformal_quantile

LEVELS = 3  # of evidence, at most; place sets keep their coverage in each
PER_LEVEL = 40  # calibration queries that a level needs
MISSES = (0.05, 0.1, 0.2)  # the promises that are tried: the share of sets that lack the true place
SHARES = np.arange(0, 0.16, 0.01)  # the shares of +inf that are tried


def bounds(evidence: Float64) -> Float64:
    """Return the bounds (L - 1,) between levels of evidence (N,): equally full, and as many as N allows."""
    levels = min(LEVELS, max(1, len(evidence) // PER_LEVEL))
    return np.asarray(np.quantile(evidence, np.arange(1, levels) / levels)) if levels > 1 else np.empty(0)


def level(evidence: Float64, bounds: Float64) -> Rows:
    """Return the level (N,) of evidence (N,): how many of the bounds (L - 1,) it reaches."""
    return np.searchsorted(bounds, evidence, side="right")


def calibrated(scores: Float64, level: Rows, fold: Rows, levels: int) -> list[Float64]:
    """Return the nonconformity scores of each level, sorted, with the reserve of +inf at the end.

    scores, level, fold (N,): queries of one fold are neighbours. A single fold tells nothing about neighbours, and then
    nothing is added.
    """
    parts = [(scores[level == i], fold[level == i]) for i in range(levels)]
    share = next((s for s in SHARES if _surplus(parts, s) >= 0), SHARES[-1])
    return [np.sort(_with_reserve(of_level, share)) for of_level, _ in parts]


def _with_reserve(scores: Float64, share: float) -> Float64:
    return np.concatenate([scores, np.full(int(np.ceil(share * len(scores) - 1e-9)), np.inf)])


def _surplus(parts: Sequence[tuple[Float64, Rows]], share: float) -> float:
    """Return how many sets more than promised, over all MISSES, hold the true place of queries in folds left out."""
    surplus = 0.0
    for scores, fold in parts:
        for f in np.unique(fold):
            here, others = scores[fold == f], _with_reserve(scores[fold != f], share)
            surplus += sum(float((here <= conformal_quantile(others, m)).sum()) - (1 - m) * len(here) for m in MISSES)
    return surplus
