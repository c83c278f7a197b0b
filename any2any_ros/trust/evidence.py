"""The evidence for a match: the log odds that the match is right, in a map that may lack its place.

Two ridge logistic regressions give it. Is the match right, if its place is in the map? The features are what compares
the match with other places. Is its place in the map? The features are what the match is by itself. No slope is
negative: a larger feature never means less evidence.

Features are (..., 2, F): one row for each of the two questions, NaN = unknown. Weights are (2, 2, 1 + F): for each
question the bias and the slopes, and below them 0 and the value that stands for an unknown feature.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, log_expit, logit

from any2any_ros.arrays import Flags, Float64, Rows

TINY = 1e-12  # the smallest 1 - p whose logarithm is taken
RIDGE = 1.0  # of the logistic regressions, as scikit-learn's default C = 1
LARGEST_BIAS = 20.0


def log_odds(features: Float64, weights: Float64, unmapped: float) -> Float64:
    """Return the evidence (K,) of features (K, 2, F), for a robot that is unmapped this share of the time.

    Weights with fewer slopes than F use only the first features; with more, the other features are unknown.
    """
    right, mapped = answers(features, weights)
    log_both = log_expit(right) + log_expit(mapped - logit(max(unmapped, TINY)))
    return np.asarray(log_both - np.log(-np.expm1(np.minimum(log_both, -TINY))))


def answers(features: Float64, weights: Float64) -> tuple[Float64, Float64]:
    """Return the log odds (K,) of "right, if its place is mapped", and of "its place is mapped" at even odds."""
    width = weights.shape[-1] - 1
    used = features[..., :width]
    if used.shape[-1] < width:
        used = np.concatenate([used, np.full((*used.shape[:-1], width - used.shape[-1]), np.nan)], axis=-1)
    known = np.where(np.isnan(used), weights[:, 1, 1:], used)
    right, mapped = ((known * weights[:, 0, 1:]).sum(axis=-1) + weights[:, 0, 0]).T
    return right, mapped


def fit(features: Float64, right: Flags, mapped: Flags) -> Float64:
    """Return the weights (2, 2, 1 + F) of features (N, 2, F): which matches are right, and which have their place in
    the map (N,)."""
    return np.stack([_fit_logistic(features[mapped, 0], right[mapped]), _fit_logistic(features[:, 1], mapped)])


def held_out_log_odds(features: Float64, right: Flags, mapped: Flags, fold: Rows, unmapped: float) -> Float64:
    """Return the evidence (N,) of calibration queries, by weights that are fitted on the other folds (N,)."""
    evidence = np.empty(len(right))
    for f in np.unique(fold):
        here = fold == f
        others = here if here.all() else ~here
        weights = fit(features[others], right[others], mapped[others])
        evidence[here] = log_odds(features[here], weights, unmapped)
    return evidence


def _fit_logistic(features: Float64, label: Flags) -> Float64:
    """Return the weights (2, 1 + F) of one ridge logistic regression without negative slopes: features (N, F), label
    (N,). The mean of a feature stands for an unknown one."""
    unknown = np.isnan(features)
    mean = np.where(unknown, 0.0, features).sum(axis=0) / np.maximum((~unknown).sum(axis=0), 1)
    centred = np.where(unknown, 0.0, features - mean)
    spread = centred.std(axis=0)
    usable = spread > 1e-9 * np.maximum(np.abs(mean), 1.0)
    scaled = np.where(usable, centred / np.where(usable, spread, 1.0), 0.0)
    sign = np.where(label, 1.0, -1.0)

    def loss(w: Float64) -> tuple[float, Float64]:
        margin = sign * (w[0] + scaled @ w[1:])
        pull = -sign * expit(-margin)
        gradient = np.concatenate([[pull.sum()], pull @ scaled + RIDGE * w[1:]])
        return float(np.logaddexp(0.0, -margin).sum() + RIDGE / 2 * (w[1:] ** 2).sum()), gradient

    # Without bounds, labels that are all the same would send the bias to infinity.
    bounds = [(-LARGEST_BIAS, LARGEST_BIAS), *[(0.0, None)] * features.shape[1]]
    start = np.concatenate([[0.0], np.ones(features.shape[1])])
    from scipy.optimize import minimize  # slow to import, and only fitting needs it

    best = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    slopes = np.where(usable, best[1:], 0.0) / np.where(usable, spread, 1.0)
    return np.array([[best[0] - slopes @ mean, *slopes], [0.0, *mean]])
