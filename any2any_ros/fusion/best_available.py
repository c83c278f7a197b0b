"""Fusion by the best pair alone: a robot that trusts the best of its living sensors and ignores the others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from any2any_ros.arrays import Flags, Float64, Floats
from any2any_ros.declared import SHARE
from any2any_ros.fusion._pairs import FittedPairs, unknown_probability
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio


@dataclass(frozen=True, eq=False)
class BestAvailable(FittedPairs):
    """The log-likelihood ratio of the best observed pair of each reference.

    quality (Mq, Mr): area under the ROC curve of each pair on the calibration pairs; the best pair has the largest.
    slope, intercept (Mq, Mr): of the log-likelihood ratio, which makes references comparable that different pairs
    observed.
    """

    kind: ClassVar[str] = "fusion"
    plug: ClassVar[str] = "best_available"

    quality: Annotated[Float64, SHARE]
    slope: Float64
    intercept: Float64

    @classmethod
    def fit(cls, similarity: Floats, positive: Flags) -> BestAvailable:
        """Fit each pair on similarities (..., Mq, Mr), NaN = missing, with labels (...,)."""
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

    pair_probability = staticmethod(unknown_probability)


def _area_under_curve(theta: Floats, positive: Flags) -> float:
    """Return the area under the ROC curve of one pair's similarities; 0 where only one label was observed."""
    observed = np.isfinite(theta)
    if positive[observed].all() or not positive[observed].any():
        return 0.0
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(positive[observed], theta[observed]))
