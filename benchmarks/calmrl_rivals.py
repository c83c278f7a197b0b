"""The rivals of CalMRL in benchmarks/calmrl.py: ways to complete missing modalities, and how a ranking is judged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from any2any_ros import metrics
from any2any_ros.arrays import Flags, Float64
from any2any_ros.imputers.calmrl import CalMRL
from any2any_ros.imputers.groups import patterns
from any2any_ros.observation import ObservationSet

Row = dict[str, Any]
Completer = Callable[[ObservationSet], ObservationSet]
DEPTH = 100  # of the average precision
RIDGE = 0.1  # share of the mean variance of the features


def by_means(train: ObservationSet) -> Completer:
    """Return a completer that inserts the mean vectors of the training data."""
    means = {m: np.asarray(np.nanmean(v, axis=0, dtype=np.float64)) for m, v in train.embeddings.items()}
    return lambda data: data.filled(means)


def by_zeros(data: ObservationSet) -> ObservationSet:
    """Return the data with zeros for missing vectors."""
    return data.filled({m: np.zeros(v.shape[1]) for m, v in data.embeddings.items()})


def by_ridge(train: ObservationSet) -> Completer:
    """Return a completer that regresses missing modalities on observed ones, pattern by pattern.

    It is fitted on the complete rows of the training data.
    """
    whole = train.take(np.all([train.present(m) for m in train.modalities], axis=0))
    means = {m: v.mean(axis=0, dtype=np.float64) for m, v in whole.embeddings.items()}

    def complete(data: ObservationSet) -> ObservationSet:
        completed = {m: np.tile(means[m], (len(data), 1)) for m in data.modalities}
        for pattern, rows in patterns(data, data.modalities):
            x, new = (
                np.column_stack([d.embeddings[m][r] - means[m] for m in pattern] or [np.zeros((len(r), 1))])
                for d, r in ((whole, np.arange(len(whole))), (data, rows))
            )
            kernel = x @ x.T  # the dual form, because there are few rows
            kernel[np.diag_indices_from(kernel)] += RIDGE * np.trace(kernel) / max(len(kernel), 1) + 1e-9
            weight = np.linalg.solve(kernel, x @ new.T).T
            for m in set(data.modalities) - set(pattern):
                completed[m][rows] += weight @ (whole.embeddings[m] - means[m])
        return data.filled(completed)

    return complete


def rivals(train: ObservationSet, model: CalMRL) -> dict[str, Completer]:
    """Return name -> completer of all methods, those of CalMRL included."""
    return {
        "none": lambda data: data, "zero": by_zeros, "mean": by_means(train),
        "ridge, complete rows": by_ridge(train),
        "CalMRL, imputed": model.impute, "CalMRL, latent": lambda data: latent(model, data),
    }  # fmt: skip


def latent(model: CalMRL, data: ObservationSet) -> ObservationSet:
    """Return the latent vectors as the only modality."""
    return ObservationSet({"latent": model.posterior(data)[0].astype(np.float32)}, data.poses, data.ids)


def similarity(query: ObservationSet, reference: ObservationSet) -> Float64:
    """Return (Q, R): the mean cosine over the modalities that both sides have; -2 where they share none."""
    total, count = np.zeros((len(query), len(reference))), np.zeros((len(query), len(reference)))
    for m in query.modalities:
        shared = query.present(m)[:, None] & reference.present(m)
        a, b = (np.nan_to_num(d.embeddings[m].astype(np.float64)) for d in (query, reference))
        a, b = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (a, b))
        total += np.where(shared, a @ b.T, 0)
        count += shared
    return np.where(count > 0, total / np.maximum(count, 1), -2.0)


def judge(scores: Float64, right: Flags) -> Row:
    """Return R@1 and mean average precision of scores (Q, R). right (Q, R)."""
    order = np.argsort(-scores, axis=1, kind="stable")[:, :DEPTH]
    relevant = np.take_along_axis(right, order, axis=1)
    return {
        "R@1": metrics.recall_at_k(relevant, 1),
        f"mAP@{DEPTH}": metrics.average_precision_at_k(relevant, right.sum(axis=1), DEPTH),
    }
