"""What COX must beat to be worth it: what the pairs alone teach. Used by `any2any train cox` and by the benchmark."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Float64, Rows
from any2any_ros.learning import cox_steps as steps
from any2any_ros.learning.cox import CoxConfig
from any2any_ros.learning.cox_examples import PENALTY, learn_known
from any2any_ros.observation import ObservationSet

RIDGE = CoxConfig().ridge


@dataclass(frozen=True, eq=False)
class Task:
    """A new sensor: its features (N, D), the known sensors' (M) with classes (M,) 0, 1, 2, ..., pairs (P, 2) of rows of
    both, and new features (Q, D) that are asked about."""

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
        """Return (N, C): the classes that the pairs give away, 0 elsewhere."""
        found = np.zeros((len(self.new), self.classes))
        found[self.pairs[:, 0], self.known_class[self.pairs[:, 1]]] = 1
        return found


def standard(task: Task) -> tuple[Float64, Float64]:
    """Return new and test features in standard deviations of the new ones, cut as COX cuts them."""
    line = steps.statistics(task.new)
    return steps.standardised(task.new, line), steps.standardised(task.test, line)


def taught(x: Float64, labels: Float64, test: Float64) -> Float64:
    """Return what a linear classifier of the labelled rows makes of the test (Q, C)."""
    w, b = steps.softmax_regression(x, labels, labels.sum(axis=1), PENALTY)
    return steps.softmax(test @ w + b)


def erm(task: Task) -> Float64:
    """A linear classifier of what the pairs label."""
    x, test = standard(task)
    return taught(x, task.labels, test)


def ridge(task: Task) -> Float64:
    """Ridge regression from the new features to each known sensor's on the pairs, and that one's classifier; pooled."""
    x, test = standard(task)
    rows, partner = task.pairs.T
    known, opinions = learn_known(task.known, task.known_class, task.classes), []
    for name, (w, b) in known.heads.items():
        z = known.features[name][partner]
        seen = ~np.isnan(z[:, 0])
        if seen.any():
            weights, bias = steps.ridge_regression(x[rows[seen]], z[seen], RIDGE)
            opinions.append(steps.softmax((test @ weights + bias) @ w + b))
    return steps.pooled(opinions)
