"""Mixture fusion (ours): every sensor may lapse, and then says nothing instead of something wrong.

A forward camera on the way back, a caption of an empty street: a sensor is often useless for a whole query, and
an affine likelihood ratio, sure of a sensor that is right on average, then outvotes the ones that work. Here the
similarities of a pair of modalities to the R observed references point to the true one with probability 1 - lapse,
as a softmax would, and with probability `lapse` at random:

    evidence(r) = log( lapse + (1 - lapse) * R * softmax(slope * theta)_r )
    lapse       = LEAST + (1 - LEAST) * sigmoid(offset - trust * max(theta))

A query that resembles nothing in the map well is likelier a lapse: `trust` >= 0. The most a sensor can say against
a reference is log(lapse). The sum over pairs is the log of the posterior over references, up to a constant, under
a uniform prior and independent lapses; a missing pair adds exactly nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import expit

from any2any_ros.arrays import Flags, Float64, Floats

PAIRS = (-2, -1)  # axes
LEAST = 0.02  # lapse; neighbouring frames are alike, and no calibration drive shows that a sensor never fails
STEEPEST = 8.0  # a log slope beyond is a pair separated by luck
STARTS = (0.0, 1.0, 2.0, 3.0, 4.0)  # log slopes per spread of the similarities; the search starts at the best
FLATTEN = 0.005  # a weak pull of log trust towards 0, without which nothing holds it where nothing ever lapses
NEVER = (0.0, np.inf, 0.0)  # slope, offset, trust of a pair that always lapses


@dataclass(frozen=True, eq=False)
class Mixture:
    """How sharply each pair points (slope) and when it does not (offset, trust), all (Mq, Mr)."""

    kind: ClassVar[str] = "fusion"
    plug: ClassVar[str] = "mixture"

    slope: Float64
    offset: Float64
    trust: Float64

    @classmethod
    def fit(cls, similarity: Floats, positive: Flags) -> Mixture:
        """Fit each pair by maximum likelihood of the right references."""
        found = np.zeros((3, *similarity.shape[PAIRS[0] :]))
        for q, r in np.ndindex(*found.shape[1:]):
            found[:, q, r] = _fit_pair(similarity[..., q, r], positive)
        return cls(*found)

    def evidence(self, similarity: Floats) -> Float64:
        """Return each pair's evidence (..., R, Mq, Mr); NaN stays NaN."""
        found = np.full(similarity.shape, np.nan)
        for (q, r), evidence, _ in self._observed(similarity):
            found[..., q, r] = evidence
        return found

    def _observed(self, similarity: Floats) -> Iterator[tuple[tuple[int, int], Float64, Flags]]:
        """Yield each pair that was compared at all, its evidence (..., R), and where it was seen (..., R)."""
        # Most pairs of sensors are never compared: only those that are cost anything.
        for q, r in np.ndindex(similarity.shape[PAIRS[0] :]):
            theta = np.asarray(similarity[..., q, r], dtype=np.float64)
            seen = ~np.isnan(theta)
            if seen.any():
                yield (q, r), self._evidence(theta, seen, q, r), seen

    def _evidence(self, theta: Float64, seen: Flags, q: int, r: int) -> Float64:
        """Return one pair's evidence (..., R)."""
        best = np.where(seen, theta, -1e300).max(axis=-1, keepdims=True)
        weight = np.where(seen, np.exp(self.slope[q, r] * (theta - best)), 0.0)
        count = np.maximum(seen.sum(axis=-1, keepdims=True), 1)
        share = weight / np.maximum(weight.sum(axis=-1, keepdims=True), 1e-300)
        lapse = _lapse(self.offset[q, r] - self.trust[q, r] * best)
        return np.where(seen, np.log(lapse + (1.0 - lapse) * count * share), np.nan)

    def score(self, similarity: Floats) -> Float64:
        total, known = np.zeros(similarity.shape[:-2]), np.zeros(similarity.shape[:-2], dtype=bool)
        for _, evidence, seen in self._observed(similarity):
            total += np.where(seen, evidence, 0.0)
            known |= seen
        return np.where(known, total, np.nan)

    def pair_probability(self, similarity: Floats) -> Float64:
        """Return each pair's P(match) (..., Mq, Mr) at even prior odds; NaN stays NaN."""
        return np.asarray(expit(self.evidence(similarity)))


def _lapse(logit: Float64) -> Float64:
    return np.asarray(LEAST + (1.0 - LEAST) * expit(logit))


def _fit_pair(theta: Floats, positive: Flags) -> tuple[float, float, float]:
    """Return slope, offset and trust for similarities (Q, R) with labels (Q, R)."""
    theta = np.asarray(theta, dtype=np.float64)
    usable = (positive & ~np.isnan(theta)).any(axis=1)
    theta, right = theta[usable], positive[usable] & ~np.isnan(theta[usable])
    spread = float(np.nanstd(theta)) if theta.size else 0.0
    if len(theta) < 2 or spread == 0:
        return NEVER
    # What a step of the search needs, worked out once: similarities below each query's best, in units of the
    # spread; where among them the right references are; and how good each query's best is among all queries' best.
    best = np.nanmax(theta, axis=1)
    below = (theta - best[:, None]) / spread
    query, _ = np.nonzero(right)
    at_right, count = below[right], (~np.isnan(below)).sum(axis=1)
    below = np.nan_to_num(below, nan=-np.inf)
    middle, scale = float(best.mean()), float(best.std()) or 1.0
    quality = (best - middle) / scale

    def loss(x: Float64) -> float:
        """Mean negative log-likelihood of the right references, against picking one of them at random."""
        slope, lapse = np.exp(min(x[0], STEEPEST)), _lapse(x[1] - np.exp(x[2]) * quality)
        pointed = (count / np.exp(slope * below).sum(axis=1))[query] * np.exp(slope * at_right)
        likelihood = lapse[query] + (1 - lapse[query]) * pointed
        gain = np.log(np.bincount(query, likelihood) / np.bincount(query)).mean()
        return float(FLATTEN * x[2] ** 2 - gain)

    start = min((np.array([s, 0.0, 0.0]) for s in STARTS), key=loss)
    # A simplex of our own: the default one hardly moves a coordinate that starts at 0.
    simplex = start + np.vstack([np.zeros(3), np.diag([0.5, 1.0, 0.5])])
    options = {"initial_simplex": simplex, "xatol": 1e-2, "fatol": 1e-4, "maxiter": 600}
    from scipy.optimize import minimize  # only where something is fitted: it costs a node 0.1 s

    found = minimize(loss, start, method="Nelder-Mead", options=options)
    if found.fun >= 0:  # no better than not listening
        return NEVER
    steepness, offset, log_trust = found.x
    trust = float(np.exp(log_trust)) / scale
    return float(np.exp(min(steepness, STEEPEST))) / spread, float(offset + trust * middle), trust
