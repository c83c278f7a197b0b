"""The rivals of conformal fusion: six other ways to turn the similarities of the observed pairs into one score.

Each is a `Fusion` (protocols.py): fit (Q, R, Mq, Mr) with labels (Q, R), then score (..., R, Mq, Mr) -> (..., R);
NaN = missing, higher is better, NaN where nothing was observed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import expit

from any2any_ros.arrays import Flags, Float64, Floats

PAIRS = (-2, -1)  # axes of the modality pairs
REFERENCES = -3  # axis of the references
RANK_OFFSET = 60.0  # reciprocal rank fusion's customary constant (Cormack et al., SIGIR 2009)


def _mean_observed(values: Floats) -> Float64:
    seen = ~np.isnan(values)
    total = np.where(seen, values, 0.0).sum(axis=PAIRS)
    count = seen.sum(axis=PAIRS)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


@dataclass(frozen=True)
class RawMean:
    """The mean of the raw similarities, as if all pairs had one scale."""

    kind: ClassVar[str] = "fusion"
    plug: ClassVar[str] = "raw_mean"

    @classmethod
    def fit(cls, similarity: Floats, positive: Flags) -> RawMean:
        return cls()

    def score(self, similarity: Floats) -> Float64:
        return _mean_observed(np.asarray(similarity, dtype=np.float64))

    def pair_probability(self, similarity: Floats) -> Float64:
        return np.full(similarity.shape, np.nan)


@dataclass(frozen=True)
class MinMax:
    """The mean after scaling each pair's similarities over the references of a query to [0, 1]."""

    kind: ClassVar[str] = "fusion"
    plug: ClassVar[str] = "min_max"

    @classmethod
    def fit(cls, similarity: Floats, positive: Flags) -> MinMax:
        return cls()

    def score(self, similarity: Floats) -> Float64:
        s = np.asarray(similarity, dtype=np.float64)
        seen = ~np.isnan(s)
        lo = np.where(seen, s, np.inf).min(axis=REFERENCES, keepdims=True, initial=np.inf)
        hi = np.where(seen, s, -np.inf).max(axis=REFERENCES, keepdims=True, initial=-np.inf)
        span = np.where(hi > lo, hi - lo, 1.0)
        return _mean_observed((s - lo) / span)

    def pair_probability(self, similarity: Floats) -> Float64:
        return np.full(similarity.shape, np.nan)


@dataclass(frozen=True)
class ZScore:
    """The mean after standardising each pair's similarities over the references of a query."""

    kind: ClassVar[str] = "fusion"
    plug: ClassVar[str] = "z_score"

    @classmethod
    def fit(cls, similarity: Floats, positive: Flags) -> ZScore:
        return cls()

    def score(self, similarity: Floats) -> Float64:
        s = np.asarray(similarity, dtype=np.float64)
        seen = ~np.isnan(s)
        count = np.maximum(seen.sum(axis=REFERENCES, keepdims=True), 1)
        mean = np.where(seen, s, 0.0).sum(axis=REFERENCES, keepdims=True) / count
        deviation = np.where(seen, s - mean, 0.0)
        spread = np.sqrt((deviation**2).sum(axis=REFERENCES, keepdims=True) / count)
        return _mean_observed((s - mean) / np.where(spread > 0, spread, 1.0))

    def pair_probability(self, similarity: Floats) -> Float64:
        return np.full(similarity.shape, np.nan)


@dataclass(frozen=True)
class ReciprocalRank:
    """The sum of 1 / (60 + rank) over the pairs; a reference that a pair does not see gets nothing from it."""

    kind: ClassVar[str] = "fusion"
    plug: ClassVar[str] = "reciprocal_rank"

    @classmethod
    def fit(cls, similarity: Floats, positive: Flags) -> ReciprocalRank:
        return cls()

    def score(self, similarity: Floats) -> Float64:
        s = np.asarray(similarity, dtype=np.float64)
        seen = ~np.isnan(s)
        order = np.argsort(np.where(seen, -s, np.inf), axis=REFERENCES, kind="stable")
        rank = np.empty_like(order)
        places = np.arange(1, s.shape[REFERENCES] + 1)[:, None, None]
        np.put_along_axis(rank, order, np.broadcast_to(places, s.shape), axis=REFERENCES)
        total = np.where(seen, 1.0 / (RANK_OFFSET + rank), 0.0).sum(axis=PAIRS)
        return np.where(seen.any(axis=PAIRS), total, np.nan)

    def pair_probability(self, similarity: Floats) -> Float64:
        return np.full(similarity.shape, np.nan)


@dataclass(frozen=True, eq=False)
class LikelihoodRatio:
    """The sum of each observed pair's log-likelihood ratio, log p(theta | match) - log p(theta | no match).

    A logistic regression per pair gives it as slope * theta + intercept, both (Mq, Mr), with the prior odds of
    the calibration set taken out, so that a missing pair is worth exactly nothing. Affine in theta.
    """

    kind: ClassVar[str] = "fusion"
    plug: ClassVar[str] = "likelihood_ratio"

    slope: Float64
    intercept: Float64

    @classmethod
    def fit(cls, similarity: Floats, positive: Flags) -> LikelihoodRatio:
        slope, intercept = np.zeros((2, *similarity.shape[-2:]))
        for q, r in np.ndindex(*slope.shape):
            slope[q, r], intercept[q, r] = _logistic(similarity[..., q, r], positive)
        return cls(slope, intercept)

    def evidence(self, similarity: Floats) -> Float64:
        """Return each pair's log-likelihood ratio (..., Mq, Mr); NaN stays NaN."""
        return np.asarray(similarity, dtype=np.float64) * self.slope + self.intercept

    def pair_probability(self, similarity: Floats) -> Float64:
        """Return each pair's P(match | theta) (..., Mq, Mr) at even prior odds; NaN stays NaN."""
        return np.asarray(expit(self.evidence(similarity)))

    def score(self, similarity: Floats) -> Float64:
        evidence = self.evidence(similarity)
        seen = ~np.isnan(evidence)
        return np.where(seen.any(axis=PAIRS), np.where(seen, evidence, 0.0).sum(axis=PAIRS), np.nan)


@dataclass(frozen=True, eq=False)
class BestAvailable:
    """What the single best observed pair says, the rest ignored: a robot that trusts its best living sensor.

    Pairs are ordered by their area under the ROC curve (Mq, Mr) on the calibration pairs; the value is the
    pair's log-likelihood ratio, so that references seen by different pairs still compare.
    """

    kind: ClassVar[str] = "fusion"
    plug: ClassVar[str] = "best_available"

    quality: Float64
    slope: Float64
    intercept: Float64

    @classmethod
    def fit(cls, similarity: Floats, positive: Flags) -> BestAvailable:
        ratio = LikelihoodRatio.fit(similarity, positive)
        quality = np.zeros(similarity.shape[-2:])
        for q, r in np.ndindex(*quality.shape):
            quality[q, r] = _area_under_curve(similarity[..., q, r], positive)
        return cls(quality, ratio.slope, ratio.intercept)

    def score(self, similarity: Floats) -> Float64:
        evidence = LikelihoodRatio(self.slope, self.intercept).evidence(similarity)
        flat = evidence.reshape(*evidence.shape[:-2], self.quality.size)
        best_first = flat[..., np.argsort(-self.quality.ravel(), kind="stable")]
        first = np.argmax(~np.isnan(best_first), axis=-1)[..., None]
        return np.asarray(np.take_along_axis(best_first, first, axis=-1)[..., 0])

    def pair_probability(self, similarity: Floats) -> Float64:
        return np.full(similarity.shape, np.nan)


def _logistic(theta: Floats, positive: Flags) -> tuple[float, float]:
    """Return slope and intercept of the log-likelihood ratio; (0, 0), no evidence, where nothing can be learnt."""
    seen = np.isfinite(theta)
    x, y = np.asarray(theta[seen], dtype=np.float64), positive[seen]
    if y.all() or not y.any() or np.ptp(x) == 0:
        return 0.0, 0.0
    from sklearn.linear_model import LogisticRegression  # costs 1 s: only where something is fitted

    centre, scale = float(x.mean()), float(x.std())
    model = LogisticRegression(C=1.0).fit(((x - centre) / scale)[:, None], y)
    slope = float(model.coef_[0, 0]) / scale
    if slope <= 0:  # more alike but less likely to match: noise, not evidence
        return 0.0, 0.0
    prior = np.log(y.mean() / (1 - y.mean()))
    return slope, float(model.intercept_[0] - slope * centre - prior)


def _area_under_curve(theta: Floats, positive: Flags) -> float:
    seen = np.isfinite(theta)
    if positive[seen].all() or not positive[seen].any():
        return 0.0
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(positive[seen], theta[seen]))
