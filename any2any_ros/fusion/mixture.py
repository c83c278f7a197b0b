"""Mixture fusion (ours, the default): a sensor may lapse, and then says nothing instead of something wrong.

A sensor is often useless for a whole query: a camera that looks forward, on the way back; a caption of an empty street.
A likelihood ratio is sure of a sensor that is right on average, and lets it outvote the sensors that work. In the
mixture, the similarities theta of a pair of modalities to the R observed references point to the right reference, as a
softmax does, with probability 1 - lapse. With probability `lapse` they point anywhere:

    evidence(r) = log( lapse + (1 - lapse) * R * softmax(slope * theta)_r )
    lapse       = LEAST + (1 - LEAST) * sigmoid(offset - trust * max(theta))

A query that is not much like anything in the map is more likely a lapse: trust >= 0. The evidence of a pair against a
reference is never below log(lapse). The score is the sum of the evidence over the pairs. It is the log posterior over
references, up to a constant, for a uniform prior and independent lapses. A missing pair adds exactly nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from scipy.special import expit

from any2any_ros.arrays import Flags, Float64, Floats
from any2any_ros.declared import INFINITE, NOT_NEGATIVE
from any2any_ros.fusion._pairs import PAIRS, FittedPairs

LEAST = (
    0.02  # the smallest lapse; neighbouring frames are alike, and no calibration drive shows that a sensor never fails
)
STEEPEST = 8.0  # the largest log slope: a steeper one means that a pair separated the calibration queries by luck
STARTS = (0.0, 1.0, 2.0, 3.0, 4.0)  # log slopes, per standard deviation of theta; the search starts at the best of them
FLATTEN = 0.005  # a weak pull of log trust towards 0: nothing else bounds it where no query is a lapse
ALWAYS_LAPSES = (0.0, np.inf, 0.0)  # slope, offset, trust of a pair that says nothing


@dataclass(frozen=True, eq=False)
class Mixture(FittedPairs):
    """The fitted fusion. slope: how sharply each pair points; offset, trust: when it lapses; all (Mq, Mr)."""

    kind: ClassVar[str] = "fusion"
    plug: ClassVar[str] = "mixture"

    slope: Annotated[Float64, NOT_NEGATIVE]
    offset: Annotated[Float64, INFINITE]
    trust: Annotated[Float64, NOT_NEGATIVE]

    @classmethod
    def fit(cls, similarity: Floats, positive: Flags) -> Mixture:
        """Fit each pair by maximum likelihood of the right references: similarities (Q, R, Mq, Mr), labels (Q, R)."""
        parameters = np.zeros((3, *similarity.shape[PAIRS[0] :]))
        for q, r in np.ndindex(*parameters.shape[1:]):
            parameters[:, q, r] = _fit_pair(similarity[..., q, r], positive)
        return cls(*parameters)

    def evidence(self, similarity: Floats) -> Float64:
        """Return each pair's evidence (..., R, Mq, Mr); NaN stays NaN."""
        every = np.full(similarity.shape, np.nan)
        for (q, r), evidence, _ in self._observed(similarity):
            every[..., q, r] = evidence
        return every

    def _observed(self, similarity: Floats) -> Iterator[tuple[tuple[int, int], Float64, Flags]]:
        """Yield each pair that was observed anywhere, its evidence (..., R), and where it was observed (..., R)."""
        # Most pairs of modalities are never compared, and cost nothing here.
        for q, r in np.ndindex(similarity.shape[PAIRS[0] :]):
            theta = np.asarray(similarity[..., q, r], dtype=np.float64)
            observed = ~np.isnan(theta)
            if observed.any():
                yield (q, r), self._evidence(theta, observed, q, r), observed

    def _evidence(self, theta: Float64, observed: Flags, q: int, r: int) -> Float64:
        """Return one pair's evidence (..., R)."""
        best = np.where(observed, theta, -1e300).max(axis=-1, keepdims=True)
        weight = np.where(observed, np.exp(self.slope[q, r] * (theta - best)), 0.0)
        count = np.maximum(observed.sum(axis=-1, keepdims=True), 1)
        share = weight / np.maximum(weight.sum(axis=-1, keepdims=True), 1e-300)
        lapse = _lapse(self.offset[q, r] - self.trust[q, r] * best)
        return np.where(observed, np.log(lapse + (1.0 - lapse) * count * share), np.nan)

    def score(self, similarity: Floats) -> Float64:
        total, known = np.zeros(similarity.shape[:-2]), np.zeros(similarity.shape[:-2], dtype=bool)
        for _, evidence, observed in self._observed(similarity):
            total += np.where(observed, evidence, 0.0)
            known |= observed
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
        return ALWAYS_LAPSES
    # What every step of the search needs: each similarity minus the best of its query, in standard deviations; these
    # at the right references; and each query's best, standardised over all queries.
    best = np.nanmax(theta, axis=1)
    below = (theta - best[:, None]) / spread
    query, _ = np.nonzero(right)
    at_right, count = below[right], (~np.isnan(below)).sum(axis=1)
    below = np.nan_to_num(below, nan=-np.inf)
    middle, scale = float(best.mean()), float(best.std()) or 1.0
    quality = (best - middle) / scale

    def loss(x: Float64) -> float:
        """Return the mean negative log-likelihood ratio of the right references to a random choice."""
        slope, lapse = np.exp(min(x[0], STEEPEST)), _lapse(x[1] - np.exp(x[2]) * quality)
        pointed = (count / np.exp(slope * below).sum(axis=1))[query] * np.exp(slope * at_right)
        likelihood = lapse[query] + (1 - lapse[query]) * pointed
        gain = np.log(np.bincount(query, likelihood) / np.bincount(query)).mean()
        return float(FLATTEN * x[2] ** 2 - gain)

    start = min((np.array([s, 0.0, 0.0]) for s in STARTS), key=loss)
    # SciPy's own simplex hardly moves a coordinate that starts at 0.
    simplex = start + np.vstack([np.zeros(3), np.diag([0.5, 1.0, 0.5])])
    options = {"initial_simplex": simplex, "xatol": 1e-2, "fatol": 1e-4, "maxiter": 600}
    from scipy.optimize import minimize  # takes 0.1 s to import, and only fitting needs it

    optimum = minimize(loss, start, method="Nelder-Mead", options=options)
    if optimum.fun >= 0:  # no better than saying nothing
        return ALWAYS_LAPSES
    steepness, offset, log_trust = optimum.x
    trust = float(np.exp(log_trust)) / scale
    return float(np.exp(min(steepness, STEEPEST))) / spread, float(offset + trust * middle), trust
