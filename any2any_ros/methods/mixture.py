"""Mixture fusion (ours): every sensor may lapse, and then says nothing instead of something wrong.

A forward camera on the way back, a caption of an empty street: a sensor is often useless for a whole query, and
an affine likelihood ratio, sure of a sensor that is right on average, then outvotes the ones that work. Here the
observed similarities of a pair point to the true reference with probability 1 - lapse, as a softmax would, and
with probability `lapse` at random:

    evidence(r) = log( lapse + (1 - lapse) * R * softmax(slope * theta)_r )        over the R observed references

The most a sensor can say against a reference is log(lapse). The sum over pairs is the log of the posterior over
references, up to a constant, under a uniform prior and independent lapses; a missing pair adds exactly nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit

Floats = NDArray[np.floating[Any]]
Float64 = NDArray[np.float64]
Labels = NDArray[np.bool_]

PAIRS, REFERENCES = (-2, -1), -3  # axes
STARTS = (-1.0, 0.0, 1.0, 2.0, 3.0, 4.0)  # log slopes per spread of the similarities; the search starts at the best
STRONGEST = 8.0  # a log slope beyond is a pair separated by luck
LEAST_LAPSE = 0.01  # no calibration set is large enough to show that a sensor never fails


@dataclass(frozen=True, eq=False)
class Mixture:
    """slope, lapse (Mq, Mr): how sharply each pair points, and how often it does not; lapse 1 = never of use."""

    plug: ClassVar[str] = "mixture"

    slope: Float64
    lapse: Float64

    @classmethod
    def fit(cls, similarity: Floats, positive: Labels) -> Mixture:
        """Fit each pair by maximum likelihood of the right references."""
        slope, lapse = np.zeros(similarity.shape[PAIRS[0] :]), np.ones(similarity.shape[PAIRS[0] :])
        for q, r in np.ndindex(*slope.shape):
            slope[q, r], lapse[q, r] = _fit_pair(similarity[..., q, r], positive)
        return cls(slope, lapse)

    def evidence(self, similarity: Floats) -> Float64:
        """Return each pair's evidence (..., R, Mq, Mr); NaN stays NaN."""
        theta = np.asarray(similarity, dtype=np.float64)
        return _evidence(theta, self.slope, self.lapse)

    def score(self, similarity: Floats) -> Float64:
        evidence = self.evidence(similarity)
        seen = ~np.isnan(evidence)
        return np.where(seen.any(axis=PAIRS), np.where(seen, evidence, 0.0).sum(axis=PAIRS), np.nan)

    def pair_probability(self, similarity: Floats) -> Float64:
        """Return each pair's P(match) (..., Mq, Mr) at even prior odds; NaN stays NaN."""
        return np.asarray(expit(self.evidence(similarity)))


def _evidence(theta: Float64, slope: Float64, lapse: Float64) -> Float64:
    """Return log(lapse + (1 - lapse) * R * softmax(slope * theta)) along the references' axis."""
    seen = ~np.isnan(theta)
    highest = np.where(seen, theta, -np.inf).max(axis=REFERENCES, keepdims=True, initial=-1e300)
    weight = np.where(seen, np.exp(slope * (theta - highest)), 0.0)
    count = np.maximum(seen.sum(axis=REFERENCES, keepdims=True), 1)
    share = weight / np.maximum(weight.sum(axis=REFERENCES, keepdims=True), 1e-300)
    return np.where(seen, np.log(lapse + (1.0 - lapse) * count * share), np.nan)


def _fit_pair(theta: Floats, positive: Labels) -> tuple[float, float]:
    """Fit on similarities (Q, R) with labels (Q, R); a pair from which nothing can be learnt always lapses."""
    theta = np.asarray(theta, dtype=np.float64)
    usable = (positive & ~np.isnan(theta)).any(axis=1)
    theta, right = theta[usable], positive[usable] & ~np.isnan(theta[usable])
    spread = float(np.nanstd(theta)) if theta.size else 0.0
    if len(theta) < 2 or spread == 0:
        return 0.0, 1.0
    # What a step of the search needs, worked out once: similarities below each query's best, in units of the
    # spread, and where among them the right references are.
    below = (theta - np.nanmax(theta, axis=1, keepdims=True)) / spread
    query, _ = np.nonzero(right)
    at_right, count = below[right], (~np.isnan(below)).sum(axis=1)
    below = np.nan_to_num(below, nan=-np.inf)

    def loss(x: Float64) -> float:
        """Mean negative log-likelihood of the right references, against picking one of them at random."""
        slope, lapse = _natural(x)
        total = np.exp(slope * below).sum(axis=1)
        likelihood = lapse + (1 - lapse) * (count / total)[query] * np.exp(slope * at_right)
        return -float(np.log(np.bincount(query, likelihood) / np.bincount(query)).mean())

    start = min(((s, 0.0) for s in STARTS), key=lambda x: loss(np.array(x)))
    best = minimize(loss, start, method="Nelder-Mead", options={"xatol": 1e-2, "fatol": 1e-4})
    if best.fun >= 0:  # no better than not listening
        return 0.0, 1.0
    slope, lapse = _natural(best.x)
    return slope / spread, lapse


def _natural(x: Float64) -> tuple[float, float]:
    """Return slope and lapse from the unbounded numbers that are searched."""
    return float(np.exp(min(x[0], STRONGEST))), float(LEAST_LAPSE + (1 - LEAST_LAPSE) * expit(x[1]))
