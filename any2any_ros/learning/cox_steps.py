"""The steps of COX, each a function of arrays; learning/cox.py puts them in order. Paper: docs/cox.md.

x (N, D) are the features of the new sensor; posterior (N, C) are the class probabilities of its samples.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from any2any_ros.arrays import Float64, Rows

LinearMap = tuple[Float64, Float64]  # weights (in, out), bias (out,)

TINY = 1e-12
ROUNDS = 60  # of propagation and of balancing: both have converged by then


@dataclass(frozen=True, eq=False)
class Examples:
    """Rows (P,) of the new features, and the targets (P, E) of a regression for them."""

    rows: Rows
    targets: Float64


def softmax(logits: Float64) -> Float64:
    """Return (N, C) with rows that sum to 1."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def pooled(posteriors: list[Float64]) -> Float64:
    """Return the geometric mean (N, C) of the classifiers' posteriors (N, C)."""
    return softmax(np.mean([np.log(posterior + TINY) for posterior in posteriors], axis=0))


def softmax_loss(flat: Float64, x: Float64, target: Float64, weight: Float64, penalty: float) -> tuple[float, Float64]:
    """Return the loss and its gradient at the parameters `flat`: (D + 1) * C numbers, the bias last.

    The loss is the cross-entropy to the rows of target (N, C), weighted by weight (N,), plus half `penalty` times the
    squared weights. Up to a constant it is the sum of KL(target || learner) with fixed targets.
    """
    line = flat.reshape(x.shape[1] + 1, -1)
    p = softmax(x @ line[:-1] + line[-1])
    loss = -(weight[:, None] * target * np.log(p + TINY)).sum() + penalty / 2 * (line[:-1] ** 2).sum()
    miss = weight[:, None] * (p * target.sum(axis=1, keepdims=True) - target)
    return float(loss), np.concatenate([x.T @ miss + penalty * line[:-1], miss.sum(axis=0)[None]]).ravel()


def softmax_regression(x: Float64, target: Float64, weight: Float64, penalty: float) -> LinearMap:
    """Return the linear classifier of x (N, D) that minimises `softmax_loss`."""
    from scipy.optimize import minimize  # only fitting needs it

    used = weight > 0
    start = np.zeros((x.shape[1] + 1) * target.shape[1])
    arguments = (x[used], target[used], weight[used], penalty)
    flat = minimize(softmax_loss, start, arguments, jac=True, method="L-BFGS-B", options={"maxiter": 100}).x
    line = flat.reshape(x.shape[1] + 1, -1)
    return line[:-1], line[-1]


def ridge_regression(x: Float64, y: Float64, ridge: float) -> LinearMap:
    """Return the ridge regression x (N, D) -> y (N, E); ridge: relative to the mean squared length of x."""
    mean_x, mean_y = x.mean(axis=0), y.mean(axis=0)
    a, b = x - mean_x, y - mean_y
    strength = ridge * (a**2).sum() / len(a) + TINY
    if len(a) < a.shape[1]:  # the smaller of two systems with the same solution
        weights = a.T @ np.linalg.solve(a @ a.T + strength * np.eye(len(a)), b)
    else:
        weights = np.linalg.solve(a.T @ a + strength * np.eye(a.shape[1]), a.T @ b)
    return weights, mean_y - mean_x @ weights


def neighbour_graph(x: Float64, neighbours: int) -> Any:
    """Return D^-1/2 W D^-1/2 (N, N), sparse (Zhou et al. 2004), for the similarity W of each row to its nearest rows.

    Distances are in units of how far both rows' nearest neighbours reach. D: the row sums of W.
    """
    from scipy.sparse import csr_matrix, diags
    from sklearn.neighbors import NearestNeighbors

    k = min(neighbours, len(x) - 1)
    distance, row = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(x).kneighbors()
    reach = np.maximum(distance[:, -1], TINY)
    similarity = np.exp(-(distance**2) / (reach[:, None] * reach[row])).ravel()
    one_way = csr_matrix((similarity, row.ravel(), np.arange(0, k * len(x) + 1, k)), shape=(len(x), len(x)))
    both = one_way.maximum(one_way.T)
    scale = diags(1 / np.sqrt(np.maximum(np.asarray(both.sum(axis=1)).ravel(), TINY)))
    return scale @ both @ scale


def propagate(graph: Any, seeds: Float64, spread: float) -> Float64:
    """Return F (N, C) with F = spread * graph @ F + seeds: the seeds, propagated from neighbour to neighbour."""
    propagated = seeds
    for _ in range(ROUNDS):
        propagated = spread * (graph @ propagated) + seeds
    return np.asarray(propagated)


def smooth_regression(x: Float64, graph: Any, examples: Examples, ridge: float, spread: float) -> Float64:
    """Return the targets (N, E) of every row of x (N, D), predicted from examples.

    It is a kernel ridge regression. The kernel is the sum of a linear one and of what a row sends to another through
    the graph (`propagate` with `spread`), each scaled to a mean of 1 between a row and itself. So the prediction is
    nearly linear, and smooth along the new sensor's own neighbourhoods.
    """
    rows, y = examples.rows, examples.targets
    linear = x @ x[rows].T
    seeds = np.zeros((len(x), len(rows)))
    seeds[rows, np.arange(len(rows))] = 1
    propagated = propagate(graph, seeds, spread)
    to_itself = np.einsum("ii->i", propagated[rows]).mean()
    kernel = linear / max((x**2).sum(axis=1).mean(), TINY) + propagated / to_itself
    among = kernel[rows]
    among = (among + among.T) / 2 + (ridge * np.trace(among) / len(rows) + TINY) * np.eye(len(rows))
    mean = y.mean(axis=0)
    return np.asarray(mean + kernel @ np.linalg.solve(among, y - mean))


def balanced(posterior: Float64, share: Float64, strength: float) -> Float64:
    """Return the posterior (N, C) with weights on its classes that bring their shares nearer to `share` (C,).

    strength 0 changes nothing. strength 1 makes the shares equal to `share` (Sinkhorn: the nearest posterior that has
    them). Between, the log weights are shrunk by that factor, as in unbalanced transport.
    """
    logits, weight = np.log(posterior + TINY), np.zeros(posterior.shape[1])
    weighted = softmax(logits)
    for _ in range(ROUNDS):
        step = np.log((share + TINY) / (weighted.mean(axis=0) + TINY))
        weight = weight + step if strength == 1 else strength * (weight + step)
        weighted = softmax(logits + weight)
    return weighted


def rows_to_one(values: Float64) -> Float64:
    """Return non-negative values (N, C) divided by their row sums; equal shares in a row of zeros."""
    total = values.sum(axis=1, keepdims=True)
    return np.where(total > 0, values / np.where(total > 0, total, 1), 1 / values.shape[1])
