"""What speaks for a match, as the log odds of its being right in a map that has its place.

Two ridge logistic regressions: is it right, if its place is in the map (by what compares it with other places), and is
its place in the map (by what it is by itself)? Their slopes are never negative: more is never less.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, logit

from any2any_ros.arrays import Flags, Float64

TINY = 1e-12  # 1 - p that still has a logarithm
RIDGE = 1.0  # of the logistic regression, as scikit-learn's default C = 1


def weigh(features: Float64, weights: Float64, unmapped: float) -> Float64:
    """Return the evidence (K,) of features (K, 2, F), or of the first of them where the weights are shared."""
    right, mapped = parts(features, weights)
    log_both = log_expit(right) + log_expit(mapped - logit(max(unmapped, TINY)))
    return np.asarray(log_both - np.log(-np.expm1(np.minimum(log_both, -TINY))))


def parts(features: Float64, weights: Float64) -> tuple[Float64, Float64]:
    """Return the log odds (K,) of "right, if mapped", and of "mapped" at even odds."""
    used = features[..., : weights.shape[-1] - 1]
    known = np.where(np.isnan(used), weights[:, 1, 1:], used)
    right, mapped = ((known * weights[:, 0, 1:]).sum(axis=-1) + weights[:, 0, 0]).T
    return right, mapped


def cross_weighed(features: Float64, right: Flags, mapped: Flags, fold: NDArray[np.intp], unmapped: float) -> Float64:
    """Return each event's evidence (N,), by weights learnt from the other folds."""
    evidence = np.empty(len(right))
    for f in np.unique(fold):
        here = fold == f
        others = here if here.all() else ~here
        evidence[here] = weigh(
            features[here], learnt_weights(features[others], right[others], mapped[others]), unmapped
        )
    return evidence


def learnt_weights(features: Float64, right: Flags, mapped: Flags) -> Float64:
    """Return the weights (2, 2, 1 + F) of the evidence."""
    return np.stack([_logistic(features[mapped, 0], right[mapped]), _logistic(features[:, 1], mapped)])


def _logistic(features: Float64, label: Flags) -> Float64:
    """Return a ridge logistic regression: bias and slopes, and 0 and the features' means (2, 1 + F).

    No slope is negative: more is never less.
    """
    unknown = np.isnan(features)
    middle = np.where(unknown, 0.0, features).sum(axis=0) / np.maximum((~unknown).sum(axis=0), 1)
    centred = np.where(unknown, 0.0, features - middle)
    spread = centred.std(axis=0)
    usable = spread > 1e-9 * np.maximum(np.abs(middle), 1.0)
    scaled = np.where(usable, centred / np.where(usable, spread, 1.0), 0.0)
    sign = np.where(label, 1.0, -1.0)

    def loss(w: Float64) -> tuple[float, Float64]:
        margin = sign * (w[0] + scaled @ w[1:])
        pull = -sign * expit(-margin)
        slope = np.concatenate([[pull.sum()], pull @ scaled + RIDGE * w[1:]])
        return float(np.logaddexp(0.0, -margin).sum() + RIDGE / 2 * (w[1:] ** 2).sum()), slope

    # The bias is bounded because labels that are all alike would send it to infinity.
    bounds = [(-20.0, 20.0), *[(0.0, None)] * features.shape[1]]
    start = np.concatenate([[0.0], np.ones(features.shape[1])])
    from scipy.optimize import minimize  # only where something is fitted

    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    slopes = np.where(usable, found[1:], 0.0) / np.where(usable, spread, 1.0)
    return np.array([[found[0] - slopes @ middle, *slopes], [0.0, *middle]])
