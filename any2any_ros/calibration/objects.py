"""How a model that grounds commands is calibrated, and judged, on described objects that its heads have not seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array, Flags, Names
from any2any_ros.calibration import reliability
from any2any_ros.errors import Any2AnyError
from any2any_ros.objects.grounding_model import SAME_OBJECT, Model
from any2any_ros.objects.views import ObjectViews
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.calibration import Calibration, calibrate
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.trust.confidence import ConfidenceConfig

TABLE = 8  # objects among which a calibration command finds the one it means
FOLDS = 5
ABSENT = 0.2  # share of the commands that mean something the robot has not seen
MISSES = (ConfidenceConfig.miss,)


@dataclass(frozen=True, eq=False)
class Tables:
    """Commands (Q) and the objects (R) among which each is asked: right and allowed (Q, R), folds (Q,) by object."""

    reference: ReferenceMap
    queries: ObservationSet
    right: Flags
    allowed: Flags
    folds: NDArray[np.intp]

    @classmethod
    def laid(cls, model: Model, objects: ObjectViews, seed: int) -> Tables:
        """Ask every command among TABLE objects: with all others of its class, or with whatever; both kinds of
        pictures are there, or one of them is missing."""
        names = np.unique(objects.instances)
        reference = _objects(model, objects.observations, objects.instances, names)
        draw, kinds = np.random.default_rng(seed), len(reference) // len(names)
        own = np.searchsorted(names, objects.instances)
        column, kind = np.arange(len(reference)) % len(names), np.arange(len(reference)) // len(names)
        class_of = np.array([objects.classes[objects.instances == n][0] for n in names])
        on_table = np.array([_table(draw, class_of, o) for o in own])[:, column]
        allowed = on_table & (draw.integers(kinds, size=len(own))[:, None] == kind)
        folds = draw.permutation(len(names))[own] % FOLDS
        queries = model.project(objects.observations, model.command_modalities)
        return cls(reference, queries, (own[:, None] == column) & allowed, allowed, folds)


def enough(objects: ObjectViews) -> bool:
    """Return whether these objects can lay a table."""
    return len(np.unique(objects.instances)) >= TABLE


def fitted(model: Model, objects: ObjectViews, seed: int = 0) -> Calibration:
    """Learn how far the model's answers can be trusted, from objects it was not trained on."""
    if not enough(objects):
        raise Any2AnyError(
            "Cannot calibrate the heads",
            f"{len(np.unique(objects.instances))} objects are set aside for it, {TABLE} are needed",
            "Give more objects of each class",
        )
    laid = Tables.laid(model, objects, seed)
    return calibrate(
        laid.reference, laid.queries, laid.right, laid.folds, SAME_OBJECT, promises=ConfidenceConfig(unmapped=ABSENT),
        allowed=laid.allowed, pairs=model.pairs,
    )  # fmt: skip


def judged(model: Model, objects: ObjectViews, seed: int = 0) -> list[dict[str, Any]]:
    """Return figures of a calibrated model on other objects, by what was said, chance among them; "absent": how many
    commands are accepted whose object is not on the table."""
    laid = Tables.laid(model, objects, seed)
    retriever = model.calibrated_or_not().retriever(laid.reference)
    every = np.ones(len(laid.queries), dtype=bool)
    there = reliability.outcomes(retriever, laid.queries, laid.right, every, MISSES, laid.allowed)
    absent = reliability.outcomes(retriever, laid.queries, laid.right, every, (), laid.allowed & ~laid.right)
    rows = reliability.by_pattern(there, MISSES)
    for row in rows:
        row["absent"] = float(np.mean([o.accepted for o in absent if o.pattern == row["pattern"]]))
    return rows


def _objects(model: Model, views: ObservationSet, instances: Names, names: Names) -> ReferenceMap:
    """Return the objects as they are remembered: whole, then seen by one kind of picture alone."""
    mean = {}
    for m, column in model.project(views, model.object_modalities).embeddings.items():
        rows = [column[(instances == n) & views.present(m)] for n in names]
        mean[m] = np.array([_middle(r) for r in rows], dtype=np.float32)
    shown = [tuple(mean), *((m,) for m in mean if len(mean) > 1)]
    columns = {m: np.concatenate([v if m in s else np.full_like(v, np.nan) for s in shown]) for m, v in mean.items()}
    poses = np.tile(np.eye(4), (len(shown) * len(names), 1, 1))
    poses[:, 0, 3] = np.tile(np.arange(len(names)), len(shown))  # apart, wherever they were
    ids = tuple(f"{n} by {'+'.join(s)}" for s in shown for n in names)
    return ReferenceMap(ObservationSet(columns, poses, ids), model.reference_records(), "calibration objects")


def _middle(vectors: Array) -> Array:
    """Return the mean direction (D,) of vectors (N, D) of length 1; NaN of none."""
    if len(vectors) == 0:
        return np.full(vectors.shape[1], np.nan, dtype=np.float32)
    mean = vectors.mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), dtype=np.float32)


def _table(draw: np.random.Generator, class_of: Names, own: int) -> Flags:
    """Return (objects,): which of them stand on a table with the one that is meant, every second time its like."""
    order = draw.permutation(len(class_of))
    alike = (class_of[order] == class_of[own]) & bool(draw.integers(2))
    first = np.concatenate([[own], order[alike & (order != own)], order[~alike & (order != own)]])
    flags = np.zeros(len(class_of), dtype=bool)
    flags[first[:TABLE]] = True
    return flags
