"""Conformal calibration of one stream of values, as in Any2Any (Eq. 4-6)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros.arrays import Flags, Float64, Floats


def conformal_quantile(scores: ArrayLike, epsilon: float) -> float:
    """Return alpha(eps), the k-th smallest score with k = ceil((n + 1) (1 - eps)); +inf where k > n (Eq. 5)."""
    ordered = np.sort(np.asarray(scores, dtype=np.float64), axis=None)
    exact = (ordered.size + 1) * (1 - epsilon)
    # In floating point (9 + 1) * 0.9 is 9.000000000000002: a plain ceiling would take one score too many.
    k = max(math.ceil(exact - 1e-9 * max(1.0, exact)), 0)
    if k > ordered.size:
        return math.inf
    return float(ordered[k - 1]) if k else -math.inf


@dataclass(frozen=True, eq=False)
class Calibrator:
    """From a value to a conformal probability. The values are similarities of one pair, or fused values.

    lo, hi: the range of the calibration values. gamma (n,): their nonconformity scores, sorted. inverse: how Eq. 6 is
    inverted, "exclusion" or "literal" (see `any2any.calibrate`).
    """

    lo: float
    hi: float
    gamma: Float64
    inverse: str = "exclusion"

    @classmethod
    def fit(cls, value: ArrayLike, positive: ArrayLike, inverse: str = "exclusion") -> Calibrator:
        """Fit on values (P,), NaN = missing, with labels (P,) bool: is this pair a true match?"""
        theta, label = np.asarray(value, dtype=np.float64), np.asarray(positive, dtype=bool)
        observed = np.isfinite(theta)
        theta, label = theta[observed], label[observed]
        if theta.size == 0:
            return cls(0.0, 0.0, theta, inverse)
        lo, hi = float(theta.min()), float(theta.max())
        gamma = np.abs(label - _scaled(theta, lo, hi))  # Eq. 4
        return cls(lo, hi, np.sort(gamma), inverse)

    def probability(self, value: ArrayLike) -> Float64:
        """Return p (...,) of values (...,): the largest 1 - eps at which label 0 is excluded. NaN stays NaN.

        All p are NaN where the calibrator was fitted on no value.
        """
        theta = np.asarray(value, dtype=np.float64)
        if self.gamma.size == 0:
            return np.full(theta.shape, np.nan)
        s = _scaled(theta, self.lo, self.hi)
        below = np.searchsorted(self.gamma, s, side="left")  # how many scores are smaller than s
        if self.inverse == "literal":
            # Eq. 6 as printed: the band must equal {1}, so some score has to lie in [1 - s, s).
            below = np.where(below > np.searchsorted(self.gamma, 1 - s, side="left"), below, 0)
        return np.where(np.isnan(theta), np.nan, below / (self.gamma.size + 1))


def leave_one_out(value: Floats, positive: Flags, inverse: str) -> Float64:
    """Return p (P,) of each calibration value, by a calibrator that is fitted on all values but this one."""
    p = np.full(value.shape, np.nan)
    observed = np.flatnonzero(np.isfinite(value))
    if observed.size < 2:
        return p
    whole = Calibrator.fit(value, positive, inverse)
    v, y = value[observed], positive[observed]
    s = _scaled(v, whole.lo, whole.hi)
    score = np.abs(y - s)
    below = np.searchsorted(whole.gamma, s, side="left") - (score < s)
    if inverse == "literal":
        below_mirror = np.searchsorted(whole.gamma, 1 - s, side="left") - (score < 1 - s)
        below = np.where(below > below_mirror, below, 0)
    p[observed] = below / observed.size
    # Without the only value at one end of the range, the range itself changes: fit again for these few values.
    for end in (whole.lo, whole.hi):
        at_end = observed[v == end]
        if at_end.size == 1:
            rest = observed[observed != at_end[0]]
            p[at_end] = Calibrator.fit(value[rest], positive[rest], inverse).probability(value[at_end])
    return p


def _scaled(value: Floats, lo: float, hi: float) -> Float64:
    """Return [lo, hi] mapped to [0, 1], clipped. Where all values are equal, this value is 0 and larger ones are 1."""
    if hi <= lo:
        return np.where(value > hi, 1.0, 0.0)
    return np.clip((value - lo) / (hi - lo), 0.0, 1.0)
