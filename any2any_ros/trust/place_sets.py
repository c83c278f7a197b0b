"""The nonconformity scores behind place sets: within levels of evidence, and honest about neighbours.

Split conformal prediction promises coverage for a query that is exchangeable with those of the calibration. Frames
are like their neighbours, so one of a new street is not: it is one more of a few streets, not of hundreds of frames,
and the quantile of their scores is too low for it. So the promise is tried on calibration queries whose whole stretch
was left out, and as many scores of +inf are added as it takes to keep it there, on average over the promises usually
made. (Dunn, Wasserman and Ramdas 2022 add one stretch's worth, which holds for any distribution, and with 15 streets
is nearly all.)
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Float64, Rows
from any2any_ros.fusion.any2any import conformal_quantile

LEVELS = 3  # of evidence, within which place sets keep their coverage
PER_LEVEL = 40  # calibration queries in each, at least
MISSES = (0.05, 0.1, 0.2)  # promises that are tried
SHARES = np.arange(0, 0.16, 0.01)  # of +inf, that are tried


def bounds(evidence: Float64) -> Float64:
    """Return what divides evidence into as many levels, equally full, as there are queries for."""
    levels = min(LEVELS, max(1, len(evidence) // PER_LEVEL))
    return np.asarray(np.quantile(evidence, np.arange(1, levels) / levels)) if levels > 1 else np.empty(0)


def level(evidence: Float64, bounds: Float64) -> NDArray[np.intp]:
    """Return each one's level (N,): how many of the bounds (L - 1,) its evidence (N,) reaches."""
    return np.searchsorted(bounds, evidence, side="right")


def calibrated(scores: Float64, level: Rows, fold: Rows, levels: int) -> list[Float64]:
    """Return the scores (N,) of each level, sorted, with +inf for what neighbours hide of each other.

    fold (N,): queries of one number are neighbours; one number in all tells nothing, and nothing is added.
    """
    parts = [(scores[level == i], fold[level == i]) for i in range(levels)]
    share = next((s for s in SHARES if _gain(parts, s) >= 0), SHARES[-1])
    return [np.sort(_reserved(own, share)) for own, _ in parts]


def _reserved(scores: Float64, share: float) -> Float64:
    return np.concatenate([scores, np.full(int(np.ceil(share * len(scores) - 1e-9)), np.inf)])


def _gain(parts: Sequence[tuple[Float64, Rows]], share: float) -> float:
    """Return by how many queries more than promised, over all MISSES, sets hold the truth in folds left out."""
    gain = 0.0
    for scores, fold in parts:
        for f in np.unique(fold):
            here, others = scores[fold == f], _reserved(scores[fold != f], share)
            gain += sum(float((here <= conformal_quantile(others, m)).sum()) - (1 - m) * len(here) for m in MISSES)
    return gain
