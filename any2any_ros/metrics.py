"""How good a set of rankings is, and what chance would have made of it.

`relevant` (Q, K) bool says whether the j-th match of a query is right (False where there is no j-th match).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammaln

from any2any_ros.arrays import Flags


def recall_at_k(relevant: Flags, k: int) -> float:
    """Return the share of queries with a right match among the first k; NaN without queries."""
    return _mean(np.asarray(relevant)[:, :k].any(axis=1))


def precision_at_k(relevant: Flags, k: int) -> float:
    """Return the mean share of right matches among the first k."""
    return _mean(np.asarray(relevant)[:, :k].sum(axis=1) / k)


def average_precision_at_k(relevant: Flags, positives: ArrayLike, k: int) -> float:
    """Return mAP@k: mean over queries of sum_j precision@j * relevant_j / min(k, positives); positives (Q,)."""
    hits = np.asarray(relevant, dtype=bool)[:, :k]
    precision = np.cumsum(hits, axis=1) / np.arange(1, hits.shape[1] + 1)
    possible = np.minimum(np.asarray(positives), k)
    return _mean((precision * hits).sum(axis=1) / np.maximum(possible, 1))


def reciprocal_rank(relevant: Flags) -> float:
    """Return the mean of 1 / (rank of the first right match), 0 where there is none in the list."""
    hits = np.asarray(relevant, dtype=bool)
    return _mean(hits.any(axis=1) / (1.0 + hits.argmax(axis=1)) if hits.shape[1] else np.zeros(len(hits)))


def coverage(sets: NDArray[np.bool_], positive: NDArray[np.bool_]) -> float:
    """Return the share of queries whose set (Q, R) holds at least one of their positives (Q, R)."""
    return _mean((np.asarray(sets) & np.asarray(positive)).any(axis=1))


def expected_calibration_error(probability: ArrayLike, correct: ArrayLike, bins: int = 10) -> float:
    """Return the mean over equal-width bins of |mean probability - share correct|, weighted by their counts.

    NaN without a single probability, or where one is NaN (before calibration).
    """
    p, y = np.asarray(probability, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if p.size == 0 or np.isnan(p).any():
        return float("nan")
    which = np.minimum((p * bins).astype(int), bins - 1)
    gap = np.bincount(which, p - y, minlength=bins)
    return float(np.abs(gap).sum() / p.size)


def chance(positives: ArrayLike, references: ArrayLike, k: int) -> float:
    """Return recall@k of a random ranker: positives (Q,) right ones among references (Q,) or () candidates."""
    wrong = np.asarray(references, dtype=np.float64) - np.asarray(positives, dtype=np.float64)
    total = np.broadcast_to(np.asarray(references, dtype=np.float64), wrong.shape)
    draws = np.minimum(k, total)
    # P(no hit) = C(wrong, draws) / C(total, draws), in logarithms
    possible = wrong >= draws
    w = np.where(possible, wrong, draws)
    log_miss = (
        gammaln(w + 1) - gammaln(w - draws + 1) - gammaln(total + 1) + gammaln(total - draws + 1)
    )  # fmt: skip
    return _mean(1.0 - np.where(possible, np.exp(log_miss), 0.0))


def _mean(values: ArrayLike) -> float:
    array = np.asarray(values, dtype=np.float64)
    return float(array.mean()) if array.size else float("nan")
