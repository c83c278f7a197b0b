"""The training data of COX: known modalities with their classifiers, and the supervision by pairs and labels.

All arguments are validated here. From here on, features are in standard deviations. Paper: docs/cox.md.
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
from any2any_ros.learning.cox_steps import LinearMap
from any2any_ros.observation import ObservationSet
from any2any_ros.standardisation import standardised, statistics

PENALTY = 10.0  # of the squared weights of every linear classifier, for features in standard deviations


@dataclass(frozen=True, eq=False)
class Known:
    """The known modalities, all but `share` by modality.

    features (M, D_k), NaN where missing. statistics: mean and spread (D_k,). heads: the frozen classifiers. centroids
    (C, D_k): the mean features of each class; zero, the mean of all, for a class that the modality never observed.
    share (C,) of the classes.
    """

    features: dict[str, Float64]
    statistics: dict[str, tuple[Float64, Float64]]
    heads: dict[str, LinearMap]
    centroids: dict[str, Float64]
    share: Float64

    def classify(self, mapped: Mapping[str, Float64]) -> tuple[Float64, Float64]:
        """Return the pooled posterior (N, C) of features (N, D_k) by modality, and the share (N,) of the classifiers
        whose most probable class is that of the pooled posterior."""
        posteriors = [steps.softmax(z @ self.heads[k][0] + self.heads[k][1]) for k, z in mapped.items()]
        together = steps.pooled(posteriors)
        votes = np.array([posterior.argmax(axis=1) for posterior in posteriors])
        return together, np.mean(votes == together.argmax(axis=1), axis=0)


@dataclass(frozen=True, eq=False)
class Supervision:
    """What pairs and labels say of the new samples.

    labels (N, C): class shares, 0 for unlabelled samples. features by known modality (N, D_k): those of a paired
    sample's partners, NaN for other samples.
    """

    labels: Float64
    features: dict[str, Float64]

    @property
    def rows(self) -> Rows:
        """Return the labelled rows."""
        return np.flatnonzero(self.labels.sum(axis=1))

    def clamp(self, posterior: Float64) -> Float64:
        """Return the posterior (N, C), with the labels in the labelled rows."""
        labelled = self.labels.sum(axis=1, keepdims=True) > 0
        return np.where(labelled, self.labels, posterior)

    def emergent_pairs(self, posterior: Float64, known: Known) -> dict[str, Float64]:
        """Return the known features (N, D_k) that each new sample is paired with: those of its partners, or without
        partners the centroids of its classes, weighted by the posterior (N, C)."""
        return {k: np.where(np.isnan(z), posterior @ known.centroids[k], z) for k, z in self.features.items()}


def fit_known(known: ObservationSet, label: Rows, classes: int) -> Known:
    """Return the modalities that were observed at all, each with a classifier of its classes `label` (M,)."""
    present = {k: known.present(k) for k in known.modalities if known.present(k).any()}
    scale = {k: statistics(known.embeddings[k][rows].astype(np.float64)) for k, rows in present.items()}
    features = {k: standardised(known.embeddings[k], *scale[k]) for k in present}
    one_hot = np.eye(classes)[label]
    heads = {
        k: steps.softmax_regression(np.nan_to_num(z), one_hot, present[k].astype(np.float64), PENALTY)
        for k, z in features.items()
    }
    count = {k: np.maximum(one_hot[rows].sum(axis=0), 1)[:, None] for k, rows in present.items()}
    centroids = {k: one_hot[rows].T @ features[k][rows] / count[k] for k, rows in present.items()}
    return Known(features, scale, heads, centroids, one_hot.mean(axis=0))


def supervise(
    count: int, known: Known, pairs: ArrayLike | None, labelled: Mapping[int, Any], label: Rows, classes: NDArray[Any]
) -> Supervision:
    """Return what pairs and labels say of `count` new samples; several pairs of one sample are averaged."""
    table = _pairs(pairs, count, len(label))
    labels = np.zeros((count, len(classes)))
    np.add.at(labels, (table[:, 0], label[table[:, 1]]), 1)
    for row, name in labelled.items():
        which = np.flatnonzero(classes == name)
        if len(which) != 1 or not 0 <= row < count:
            why = f"new sample {row} of {count} is said to be of class {name!r}"
            raise Any2AnyError("A label cannot be used", why, "Give rows of `new` and classes that `labels` has")
        labels[row] = np.eye(len(classes))[which[0]]
    features = {k: _paired(table, z, count) for k, z in known.features.items()}
    total = labels.sum(axis=1, keepdims=True)
    return Supervision(labels / np.maximum(total, 1), features)


def _paired(table: Rows, known: Float64, count: int) -> Float64:
    """Return the mean known features of each new sample's partners (count, D_k), NaN for a sample without partners."""
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
    """Return the classes (C,), sorted, and which of them each known sample has (M,)."""
    names = np.asarray(labels)
    classes, label = np.unique(names, return_inverse=True)
    recorded = any(known.present(k).any() for k in known.modalities)
    if names.shape != (len(known),) or len(classes) < 2 or not recorded:
        why = f"there are {len(known)} known samples, {len(classes)} classes, and labels of shape {names.shape}"
        remedy = "Give a class for every known sample, at least two classes, and a modality that was recorded"
        raise Any2AnyError("A new modality cannot be connected", why, remedy)
    return classes, label.astype(np.intp)


def new_features(new: Floats) -> tuple[Float64, tuple[Float64, Float64]]:
    """Return the new features (N, D) in standard deviations, and their mean and spread (D,)."""
    x = np.asarray(new, dtype=np.float64)
    if x.ndim != 2 or len(x) < 2 or x.shape[1] < 1 or not np.isfinite(x).all():
        why = f"its features have the shape {x.shape}" + ("" if np.isfinite(x).all() else ", and not all are finite")
        raise Any2AnyError("A new modality cannot be connected", why, "Give (N, D), at least two rows, none missing")
    scale = statistics(x)
    return standardised(x, *scale), scale
