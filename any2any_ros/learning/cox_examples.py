"""What COX is taught with: the known modalities and their classifiers, and what pairs and labels say of new samples.

Everything that is given is checked here. Features are in standard deviations from here on. METHODS: docs/cox.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from any2any_ros.arrays import Float64, Floats, Rows
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import cox_steps as steps
from any2any_ros.learning.cox_steps import Line
from any2any_ros.observation import ObservationSet

PENALTY = 10.0  # on the squared weights of every linear classifier, with features in standard deviations


@dataclass(frozen=True, eq=False)
class Known:
    """The known modalities: features (M, D_k), NaN where missing, and what was learnt of them; all by modality."""

    features: dict[str, Float64]
    statistics: dict[str, Line]
    heads: dict[str, Line]
    centroids: dict[str, Float64]  # (C, D_k), zero (the mean) for a class that the modality never saw
    share: Float64  # (C,) of the classes

    def judge(self, mapped: Mapping[str, Float64]) -> tuple[Float64, Float64]:
        """Return what the classifiers think of features (N, D_k), pooled (N, C), and which share of them agree (N,)."""
        opinions = [steps.softmax(z @ self.heads[k][0] + self.heads[k][1]) for k, z in mapped.items()]
        together = steps.pooled(opinions)
        votes = np.array([opinion.argmax(axis=1) for opinion in opinions])
        return together, np.mean(votes == together.argmax(axis=1), axis=0)


@dataclass(frozen=True, eq=False)
class Taught:
    """What is known of the new samples: shares of classes (N, C), 0 where unlabelled; the known features of the paired
    (N, D_k), NaN elsewhere."""

    labels: Float64
    features: dict[str, Float64]

    @property
    def rows(self) -> Rows:
        return np.flatnonzero(self.labels.sum(axis=1))

    def clamp(self, posterior: Float64) -> Float64:
        """Return the posterior (N, C) with the labelled rows as they are labelled."""
        labelled = self.labels.sum(axis=1, keepdims=True) > 0
        return np.where(labelled, self.labels, posterior)

    def emergent(self, posterior: Float64, known: Known) -> dict[str, Float64]:
        """Return the known features (N, D_k) that each new sample is paired with: its own, or else its classes'."""
        return {k: np.where(np.isnan(own), posterior @ known.centroids[k], own) for k, own in self.features.items()}


def learn_known(known: ObservationSet, label: Rows, classes: int) -> Known:
    """Return the known modalities that somebody recorded, each with a classifier."""
    seen = {k: known.present(k) for k in known.modalities if known.present(k).any()}
    statistics = {k: steps.statistics(known.embeddings[k][rows].astype(np.float64)) for k, rows in seen.items()}
    features = {k: steps.standardised(known.embeddings[k], statistics[k]) for k in seen}
    one_hot = np.eye(classes)[label]
    heads = {
        k: steps.softmax_regression(np.nan_to_num(z), one_hot, seen[k].astype(np.float64), PENALTY)
        for k, z in features.items()
    }
    count = {k: np.maximum(one_hot[rows].sum(axis=0), 1)[:, None] for k, rows in seen.items()}
    centroids = {k: one_hot[rows].T @ features[k][rows] / count[k] for k, rows in seen.items()}
    return Known(features, statistics, heads, centroids, one_hot.mean(axis=0))


def teach(
    count: int, known: Known, pairs: ArrayLike | None, labelled: Mapping[int, Any], label: Rows, classes: NDArray[Any]
) -> Taught:
    """Return what pairs and labels say of `count` new samples; several pairs of one are averaged."""
    table = _pairs(pairs, count, len(label))
    labels = np.zeros((count, len(classes)))
    np.add.at(labels, (table[:, 0], label[table[:, 1]]), 1)
    for row, name in labelled.items():
        found = np.flatnonzero(classes == name)
        if len(found) != 1 or not 0 <= row < count:
            why = f"new sample {row} of {count} is said to be of class {name!r}"
            raise Any2AnyError("A label cannot be used", why, "Give rows of `new` and classes that `labels` has")
        labels[row] = np.eye(len(classes))[found[0]]
    features = {k: _paired(table, z, count) for k, z in known.features.items()}
    total = labels.sum(axis=1, keepdims=True)
    return Taught(labels / np.maximum(total, 1), features)


def _paired(table: Rows, known: Float64, count: int) -> Float64:
    """Return the mean known features of each new sample's partners (count, D_k), NaN where it has none."""
    table = table[~np.isnan(known[table[:, 1], 0])]
    total, partners = np.zeros((count, known.shape[1])), np.bincount(table[:, 0], minlength=count)[:, None]
    np.add.at(total, table[:, 0], known[table[:, 1]])
    return np.where(partners > 0, total / np.maximum(partners, 1), np.nan)


def _pairs(pairs: ArrayLike | None, new: int, known: int) -> Rows:
    table = np.asarray([] if pairs is None else pairs)
    table = table.reshape(-1, 2) if table.size == 0 else table
    whole = table.size == 0 or np.issubdtype(table.dtype, np.integer)
    if table.ndim != 2 or table.shape[1] != 2 or not whole or ((table < 0) | (table >= (new, known))).any():
        why = f"their shape is {table.shape}, for {new} new samples and {known} known ones"
        raise Any2AnyError(
            "The pairs cannot be used", why, "Give (P, 2) whole numbers: a row of `new`, a row of `known`"
        )
    return table.astype(np.intp)


def classes_of(labels: ArrayLike, known: ObservationSet) -> tuple[NDArray[Any], Rows]:
    given = np.asarray(labels)
    found, label = np.unique(given, return_inverse=True)
    something = any(known.present(k).any() for k in known.modalities)
    if given.shape != (len(known),) or len(found) < 2 or not something:
        why = f"there are {len(known)} known samples, {len(found)} classes, and labels of shape {given.shape}"
        remedy = "Give a class for every known sample, at least two classes, and a modality that was recorded"
        raise Any2AnyError("A new modality cannot be connected", why, remedy)
    return found, label.astype(np.intp)


def new_features(new: Floats) -> tuple[Float64, Line]:
    x = np.asarray(new, dtype=np.float64)
    if x.ndim != 2 or len(x) < 2 or x.shape[1] < 1 or not np.isfinite(x).all():
        why = f"its features have the shape {x.shape}" + ("" if np.isfinite(x).all() else ", and not all are finite")
        raise Any2AnyError("A new modality cannot be connected", why, "Give (N, D), at least two rows, none missing")
    statistics = steps.statistics(x)
    return steps.standardised(x, statistics), statistics
