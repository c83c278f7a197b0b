"""Baselines of COX, which learn from the pairs alone. Used by `any2any train cox` and by benchmarks/cox.py."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Float64, Rows
from any2any_ros.learning import cox_steps as steps
from any2any_ros.learning.cox import CoxConfig
from any2any_ros.learning.cox_examples import PENALTY, fit_known
from any2any_ros.observation import ObservationSet
from any2any_ros.standardisation import standardised, statistics

RIDGE = CoxConfig().ridge


@dataclass(frozen=True, eq=False)
class Task:
    """A new sensor with its features (N, D), and known observations (M) of classes known_class (M,), 0, 1, 2, ...

    pairs (P, 2): rows of `new` and of `known` that show the same thing. test (Q, D): new features to be classified.
    """

    new: Float64
    known: ObservationSet
    known_class: Rows
    pairs: Rows
    test: Float64

    @property
    def classes(self) -> int:
        return int(self.known_class.max()) + 1

    @property
    def labels(self) -> Float64:
        """Return (N, C): 1 for the classes of each paired sample's partners, 0 elsewhere."""
        labels = np.zeros((len(self.new), self.classes))
        labels[self.pairs[:, 0], self.known_class[self.pairs[:, 1]]] = 1
        return labels


def standard(task: Task) -> tuple[Float64, Float64]:
    """Return new and test features in standard deviations of the new ones, clipped as COX does."""
    scale = statistics(task.new)
    return standardised(task.new, *scale), standardised(task.test, *scale)


def classified(x: Float64, labels: Float64, test: Float64) -> Float64:
    """Return the posterior (Q, C) of test features by a linear classifier of the labelled rows of x (N, D)."""
    w, b = steps.softmax_regression(x, labels, labels.sum(axis=1), PENALTY)
    return steps.softmax(test @ w + b)


def erm(task: Task) -> Float64:
    """A linear classifier of the paired samples."""
    x, test = standard(task)
    return classified(x, task.labels, test)


def ridge(task: Task) -> Float64:
    """Ridge regression on the pairs to each known modality, its classifier, and the posteriors pooled."""
    x, test = standard(task)
    rows, partner = task.pairs.T
    known, posteriors = fit_known(task.known, task.known_class, task.classes), []
    for name, (w, b) in known.heads.items():
        z = known.features[name][partner]
        recorded = ~np.isnan(z[:, 0])
        if recorded.any():
            weights, bias = steps.ridge_regression(x[rows[recorded]], z[recorded], RIDGE)
            posteriors.append(steps.softmax((test @ weights + bias) @ w + b))
    return steps.pooled(posteriors)
