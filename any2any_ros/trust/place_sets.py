"""The nonconformity scores behind place sets: by level of evidence, and with a reserve because neighbours are alike.

Split conformal prediction promises coverage for a query that is exchangeable with the calibration queries. But a frame
is like its neighbours. So a query from a new street is not one more of several hundred frames. It is one more of a few
streets, and the quantile of the frames' scores is too low for it. If all frames of a street were the same, one street's
worth of scores of +inf, less the one that a quantile counts anyway, would keep the promise for any distribution (Dunn,
Wasserman and Ramdas, 2022). If they were independent, none would be needed. In between, the reserve is the design
effect of the queries (neighbours.py) minus 1.
"""

from __future__ import annotations

import numpy as np

from any2any_ros.arrays import Float64, Rows
from any2any_ros.trust import neighbours

LEVELS = 3  # of evidence, at most; place sets keep their coverage in each
PER_LEVEL = 40  # calibration queries that a level needs,
WORTH = 20  # and how many independent ones they must be worth; 19 are the fewest that promise .95


def worth(scores: Float64, stretch: Rows) -> float:
    """Return how many independent queries the queries with these scores and stretches (N,) are worth."""
    return len(scores) / neighbours.effect(stretch, neighbours.correlation(scores, stretch))


def wanted(scores: Float64, stretch: Rows, miss: float) -> int:
    """Return how many queries like these (N,) make place sets that leave out anything."""
    return neighbours.wanted(stretch, 1 / miss - 1, neighbours.estimate(scores, stretch))


def bounds(evidence: Float64, worth: float) -> Float64:
    """Return the bounds (L - 1,) between levels of evidence (N,): equally full, and as many as N allows.

    worth: how many independent queries the N are worth.
    """
    levels = min(LEVELS, max(1, len(evidence) // PER_LEVEL), max(1, int(worth / WORTH)))
    return np.asarray(np.quantile(evidence, np.arange(1, levels) / levels)) if levels > 1 else np.empty(0)


def level(evidence: Float64, bounds: Float64) -> Rows:
    """Return the level (N,) of evidence (N,): how many of the bounds (L - 1,) it reaches."""
    return np.searchsorted(bounds, evidence, side="right")


def calibrated(scores: Float64, level: Rows, stretch: Rows, levels: int) -> list[Float64]:
    """Return the nonconformity scores of each level, sorted, with the reserve of +inf at the end.

    scores, level, stretch (N,): queries of one stretch are neighbours.
    """
    alike = neighbours.correlation(scores, stretch)
    return [_with_reserve(scores[level == i], neighbours.effect(stretch[level == i], alike) - 1) for i in range(levels)]


def _with_reserve(scores: Float64, reserve: float) -> Float64:
    return np.concatenate([np.sort(scores), np.full(int(np.ceil(reserve - 1e-9)), np.inf)])
