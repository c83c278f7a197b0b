"""The rivals of COX in benchmarks/cox.py. Each returns the class probabilities (Q, C) of the test digits of a task."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable

import numpy as np

from any2any_ros.arrays import Float64, Rows
from any2any_ros.learning import cox_baselines, cox_steps
from any2any_ros.learning.cox import CoxConfig
from any2any_ros.learning.cox_baselines import classified, erm, ridge, standard
from any2any_ros.learning.cox_examples import PENALTY
from any2any_ros.standardisation import standardised, statistics

CLASSES = 10
ENTROPY = 1.0  # weight of the entropy, compared with the cross-entropy of the labels; chosen by --choose
MASKED, HIDDEN, EPOCHS = 0.3, 64, 40  # of the autoencoder: share of features masked, width of the code, epochs


@dataclasses.dataclass(frozen=True, eq=False)
class Task(cox_baselines.Task):
    """The task of one new view, with the classes of the new digits (for the upper bound) and of the test digits."""

    new_class: Rows
    test_class: Rows


def entropy(task: Task, weight: float | None = None) -> Float64:
    """ERM, with low entropy on the digits without labels (entropy minimisation, Grandvalet & Bengio 2004)."""
    from scipy.optimize import minimize

    x, test = standard(task)
    labels, share = task.labels, ENTROPY if weight is None else weight
    marked = labels.sum(axis=1)
    rest = x[marked == 0]

    def loss(flat: Float64) -> tuple[float, Float64]:
        value, gradient = cox_steps.softmax_loss(flat, x, labels, marked, PENALTY)
        line = flat.reshape(x.shape[1] + 1, -1)
        p = cox_steps.softmax(rest @ line[:-1] + line[-1])
        surprise = -np.log(p + cox_steps.TINY)
        own = (p * surprise).sum(axis=1, keepdims=True)
        slope = share * p * (surprise - own)
        both = np.concatenate([rest.T @ slope, slope.sum(axis=0)[None]]).ravel()
        return value + share * float(own.sum()), gradient + both

    w, b = cox_steps.softmax_regression(x, labels, marked, PENALTY)
    start = np.concatenate([w, b[None]]).ravel()
    line = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 100}).x.reshape(len(w) + 1, -1)
    return cox_steps.softmax(test @ line[:-1] + line[-1])


def label_propagation(task: Task) -> Float64:
    """Propagate the labels of the pairs, and balance them, as COX does; use nothing else of the known modalities."""
    x, test = standard(task)
    config, labels = CoxConfig(), task.labels
    graph = cox_steps.neighbour_graph(x, config.neighbours)
    carried = cox_steps.rows_to_one(cox_steps.propagate(graph, labels, config.spread))
    share = np.bincount(task.known_class, minlength=CLASSES) / len(task.known_class)
    labelled = cox_steps.balanced(carried**config.sharpness, share, config.balance)
    return classified(x, np.where(labels.sum(axis=1, keepdims=True) > 0, labels, labelled), test)


def self_supervised(task: Task) -> Float64:
    """Fit a masked autoencoder to all new digits, and a linear classifier of its code to the labels of the pairs."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    x, test = standard(task)
    draw = np.random.default_rng(0)
    masked = x * (draw.random(x.shape) > MASKED)
    net = MLPRegressor(hidden_layer_sizes=(HIDDEN,), max_iter=EPOCHS, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is stopped early on purpose
        net.fit(masked, x)

    def code(values: Float64) -> Float64:
        return np.asarray(np.maximum(values @ net.coefs_[0] + net.intercepts_[0], 0))

    scale = statistics(code(x))
    both = [standardised(code(values), *scale) for values in (x, test)]
    return classified(both[0], task.labels, both[1])


def aligned(task: Task) -> Float64:
    """The upper bound: every new digit is paired."""
    x, test = standard(task)
    return classified(x, np.eye(CLASSES)[task.new_class], test)


BASELINES: dict[str, Callable[[Task], Float64]] = {
    "ERM on the pairs": erm,
    "entropy minimisation": entropy,
    "label propagation": label_propagation,
    "self-supervision": self_supervised,
    "ridge to known heads": ridge,
    "fully aligned": aligned,
}
