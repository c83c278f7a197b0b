"""The steps of COX, each a function of arrays; learning/cox.py puts them in order. METHODS: docs/cox.md.

x (N, D) are the new sensor's features, a row of posterior (N, C) is what is thought of one of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Float64

Line = tuple[Float64, Float64]  # weights (in, out), bias (out,)

TINY = 1e-12
FARTHEST = 5.0  # standard deviations: a feature that training hardly ever saw must not outshout the others
SCARCE = 1e-6  # a spread below this share of the mean is none
ROUNDS = 60  # of propagation and of balancing: both have settled by then


def statistics(x: Float64) -> Line:
    """Return mean and spread (D,) of x (N, D); a feature that never changes is left as large as it is."""
    mean, spread = x.mean(axis=0), x.std(axis=0)
    return mean, np.where(spread <= SCARCE * np.abs(mean), 1.0, spread)


def standardised(x: Any, statistics: Line) -> Float64:
    mean, spread = statistics
    return np.asarray(np.clip((np.asarray(x, dtype=np.float64) - mean) / spread, -FARTHEST, FARTHEST))


def softmax(logits: Float64) -> Float64:
    """Return (N, C) with rows that sum to 1."""
    e = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


def pooled(opinions: list[Float64]) -> Float64:
    """Return the experts' posterior (N, C): the geometric mean of theirs."""
    return softmax(np.mean([np.log(opinion + TINY) for opinion in opinions], axis=0))


def softmax_loss(flat: Float64, x: Float64, target: Float64, weight: Float64, penalty: float) -> tuple[float, Float64]:
    """Return the loss and its gradient at the parameters `flat`: (D + 1) * C numbers, the bias last.

    Cross-entropy to the rows of target (N, C), weighted by weight (N,), and half `penalty` times the squared weights.
    Up to a constant it is the sum of KL(target || learner): targets are fixed while the learner moves.
    """
    line = flat.reshape(x.shape[1] + 1, -1)
    p = softmax(x @ line[:-1] + line[-1])
    loss = -(weight[:, None] * target * np.log(p + TINY)).sum() + penalty / 2 * (line[:-1] ** 2).sum()
    miss = weight[:, None] * (p * target.sum(axis=1, keepdims=True) - target)
    return float(loss), np.concatenate([x.T @ miss + penalty * line[:-1], miss.sum(axis=0)[None]]).ravel()


def softmax_regression(x: Float64, target: Float64, weight: Float64, penalty: float) -> Line:
    """Return the linear classifier of x (N, D) that minimises `softmax_loss`."""
    from scipy.optimize import minimize  # only where something is fitted

    used = weight > 0
    start = np.zeros((x.shape[1] + 1) * target.shape[1])
    arguments = (x[used], target[used], weight[used], penalty)
    found = minimize(softmax_loss, start, arguments, jac=True, method="L-BFGS-B", options={"maxiter": 100}).x
    line = found.reshape(x.shape[1] + 1, -1)
    return line[:-1], line[-1]


def ridge_regression(x: Float64, y: Float64, ridge: float) -> Line:
    """Return the linear map x (N, D) -> y (N, E) of least squares; ridge: relative to the mean squared length of x."""
    centre, middle = x.mean(axis=0), y.mean(axis=0)
    a, b = x - centre, y - middle
    strength = ridge * (a**2).sum() / len(a) + TINY
    if len(a) < a.shape[1]:  # the smaller of two systems with one solution
        weights = a.T @ np.linalg.solve(a @ a.T + strength * np.eye(len(a)), b)
    else:
        weights = np.linalg.solve(a.T @ a + strength * np.eye(a.shape[1]), a.T @ b)
    return weights, middle - centre @ weights


def neighbour_graph(x: Float64, neighbours: int) -> Any:
    """Return W (N, N), sparse: how near each row's nearest rows are, by distances in units of both ends' own, with
    D^-1/2 W D^-1/2 taken (Zhou et al. 2004)."""
    from scipy.sparse import csr_matrix, diags
    from sklearn.neighbors import NearestNeighbors

    k = min(neighbours, len(x) - 1)
    distance, row = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(x).kneighbors()
    reach = np.maximum(distance[:, -1], TINY)
    near = np.exp(-(distance**2) / (reach[:, None] * reach[row])).ravel()
    one_way = csr_matrix((near, row.ravel(), np.arange(0, k * len(x) + 1, k)), shape=(len(x), len(x)))
    both = one_way.maximum(one_way.T)
    scale = diags(1 / np.sqrt(np.maximum(np.asarray(both.sum(axis=1)).ravel(), TINY)))
    return scale @ both @ scale


def propagate(graph: Any, seeds: Float64, spread: float) -> Float64:
    """Return F (N, C) with F = spread * graph @ F + seeds: what the seeds say, carried from neighbour to neighbour."""
    carried = seeds
    for _ in range(ROUNDS):
        carried = spread * (graph @ carried) + seeds
    return np.asarray(carried)


def smooth_regression(
    x: Float64, graph: Any, rows: NDArray[np.intp], y: Float64, ridge: float, spread: float
) -> Float64:
    """Return y for every row of x (N, D), taught by `rows` (P,) with y (P, E).

    Kernel ridge regression; the kernel is the sum of a linear one and of what a row sends to another through the graph,
    each with a mean of 1 for a row and itself: nearly linear, and smooth along what the sensor itself finds alike.
    """
    linear = x @ x[rows].T
    seeds = np.zeros((len(x), len(rows)))
    seeds[rows, np.arange(len(rows))] = 1
    carried = propagate(graph, seeds, spread)
    own = np.einsum("ii->i", carried[rows]).mean()
    kernel = linear / max((x**2).sum(axis=1).mean(), TINY) + carried / own
    among = kernel[rows]
    among = (among + among.T) / 2 + (ridge * np.trace(among) / len(rows) + TINY) * np.eye(len(rows))
    middle = y.mean(axis=0)
    return np.asarray(middle + kernel @ np.linalg.solve(among, y - middle))


def balanced(posterior: Float64, share: Float64, strength: float) -> Float64:
    """Return the posterior (N, C) with its classes weighted until their shares are nearer to `share` (C,).

    strength 0 leaves it alone, 1 makes the shares those asked for (Sinkhorn: the nearest posterior that has them);
    between, the log weights are held back by that factor, as an unbalanced transport does.
    """
    logits, weight = np.log(posterior + TINY), np.zeros(posterior.shape[1])
    found = softmax(logits)
    for _ in range(ROUNDS):
        step = np.log((share + TINY) / (found.mean(axis=0) + TINY))
        weight = weight + step if strength == 1 else strength * (weight + step)
        found = softmax(logits + weight)
    return found


def rows_to_one(values: Float64) -> Float64:
    """Return non-negative (N, C) with rows that sum to 1, equal ones where there is nothing."""
    total = values.sum(axis=1, keepdims=True)
    return np.where(total > 0, values / np.where(total > 0, total, 1), 1 / values.shape[1])
