"""Fusion by likelihood ratios: how much likelier a similarity is for a right reference than for a wrong one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.special import expit

from any2any_ros.arrays import Flags, Float64, Floats
from any2any_ros.fusion._pairs import PAIRS, FittedPairs


@dataclass(frozen=True, eq=False)
class LikelihoodRatio(FittedPairs):
    """The sum of the observed pairs' log-likelihood ratios, log p(theta | match) - log p(theta | no match).

    The ratio of a pair is slope * theta + intercept, both (Mq, Mr), by a logistic regression for each pair. The prior
    odds of the calibration set are subtracted, so that a missing pair adds exactly nothing.
    """

    kind: ClassVar[str] = "fusion"
    plug: ClassVar[str] = "likelihood_ratio"

    slope: Float64
    intercept: Float64

    @classmethod
    def fit(cls, similarity: Floats, positive: Flags) -> LikelihoodRatio:
        """Fit each pair on similarities (..., Mq, Mr), NaN = missing, with labels (...,)."""
        slope, intercept = np.zeros((2, *similarity.shape[-2:]))
        for q, r in np.ndindex(*slope.shape):
            slope[q, r], intercept[q, r] = _fit_pair(similarity[..., q, r], positive)
        return cls(slope, intercept)

    def evidence(self, similarity: Floats) -> Float64:
        """Return each pair's log-likelihood ratio (..., Mq, Mr); NaN stays NaN."""
        return np.asarray(similarity, dtype=np.float64) * self.slope + self.intercept

    def score(self, similarity: Floats) -> Float64:
        evidence = self.evidence(similarity)
        observed = ~np.isnan(evidence)
        return np.where(observed.any(axis=PAIRS), np.where(observed, evidence, 0.0).sum(axis=PAIRS), np.nan)

    def pair_probability(self, similarity: Floats) -> Float64:
        """Return each pair's P(match | theta) (..., Mq, Mr) at even prior odds; NaN stays NaN."""
        return np.asarray(expit(self.evidence(similarity)))


def _fit_pair(theta: Floats, positive: Flags) -> tuple[float, float]:
    """Return slope and intercept of one pair; (0, 0), which is no evidence, where nothing can be learnt from it."""
    observed = np.isfinite(theta)
    x, y = np.asarray(theta[observed], dtype=np.float64), positive[observed]
    if y.all() or not y.any() or np.ptp(x) == 0:
        return 0.0, 0.0
    from sklearn.linear_model import LogisticRegression  # takes 1 s to import, and only fitting needs it

    centre, scale = float(x.mean()), float(x.std())
    model = LogisticRegression(C=1.0).fit(((x - centre) / scale)[:, None], y)
    slope = float(model.coef_[0, 0]) / scale
    if slope <= 0:  # a larger similarity makes a match less likely: that is noise, not evidence
        return 0.0, 0.0
    prior = np.log(y.mean() / (1 - y.mean()))
    return slope, float(model.intercept_[0] - slope * centre - prior)
