"""Calibrates and evaluates a grounding model: commands mean objects on imagined tables.

For every command, TABLE objects are put on a table: for half of the commands preferably objects of the same class,
otherwise any. The objects were seen by both kinds of pictures (colour, depth) or by one of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from any2any_ros.arrays import Array, Flags, Names
from any2any_ros.calibration import reliability
from any2any_ros.calibration.fitting import calibrate
from any2any_ros.calibration.task import Task
from any2any_ros.errors import Any2AnyError
from any2any_ros.objects.grounding_model import SAME_OBJECT, Model
from any2any_ros.objects.views import ObjectViews
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.calibration import Calibration, uncalibrated
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.trust.confidence import ConfidenceConfig

TABLE = 8  # objects on a table; the command means one of them
FOLDS = 5
ABSENT = 0.2  # expected share of commands that mean an object which the robot has not seen
MISSES = (ConfidenceConfig.miss,)


def enough(objects: ObjectViews) -> bool:
    """Whether there are enough objects for a table."""
    return len(np.unique(objects.instances)) >= TABLE


def fit(model: Model, objects: ObjectViews, seed: int = 0) -> Calibration:
    """Fit the calibration of a model on objects that it was not trained on. Raises Any2AnyError for too few objects."""
    if not enough(objects):
        raise Any2AnyError(
            "Cannot calibrate the heads",
            f"{len(np.unique(objects.instances))} objects are set aside for it, {TABLE} are needed",
            "Give more objects of each class",
        )
    reference, task = tables(model, objects, seed)
    baseline = Retriever(reference, uncalibrated(reference, SAME_OBJECT, model.pairs))
    return calibrate(reference, task, promises=ConfidenceConfig(unmapped=ABSENT), baseline=baseline)


def evaluate(model: Model, objects: ObjectViews, seed: int = 0) -> list[dict[str, Any]]:
    """Return the figures of a model on other objects, by the pattern of the command, with chance among them.

    "absent": share of the commands that are accepted although their object is not on the table.
    """
    reference, task = tables(model, objects, seed)
    retriever, all_commands = Retriever(reference, model.calibrated_or_not()), np.ones(len(task), dtype=bool)
    present = reliability.outcomes(retriever, task, MISSES, all_commands)
    absent = reliability.outcomes(retriever, task, (), all_commands, task.unmapped)
    rows = reliability.by_pattern(present, MISSES)
    for row in rows:
        row["absent"] = float(np.mean([o.accepted for o in absent if o.pattern == row["pattern"]]))
    return rows


def tables(model: Model, objects: ObjectViews, seed: int) -> tuple[ReferenceMap, Task]:
    """Return the objects as references, and the commands as a task in folds by object: only objects of one table may
    answer a command."""
    names = np.unique(objects.instances)
    reference = remembered(model, objects.observations, objects.instances, names)
    draw, kinds = np.random.default_rng(seed), len(reference) // len(names)
    meant = np.searchsorted(names, objects.instances)
    column, kind = np.arange(len(reference)) % len(names), np.arange(len(reference)) // len(names)
    class_of = np.array([objects.classes[objects.instances == n][0] for n in names])
    on_table = np.array([table(draw, class_of, o) for o in meant])[:, column]
    allowed = on_table & (draw.integers(kinds, size=len(meant))[:, None] == kind)
    folds = draw.permutation(len(names))[meant] % FOLDS
    queries, positive = model.project(objects.observations, model.command_modalities), meant[:, None] == column
    return reference, Task(queries, positive, allowed, folds=folds, same_place=SAME_OBJECT)


def remembered(model: Model, views: ObservationSet, instances: Names, names: Names) -> ReferenceMap:
    """Return the objects as references: first seen by both kinds of pictures, then by each kind alone."""
    mean = {}
    for m, column in model.project(views, model.object_modalities).embeddings.items():
        rows = [column[(instances == n) & views.present(m)] for n in names]
        mean[m] = np.array([_mean_direction(r) for r in rows], dtype=np.float32)
    shown = [tuple(mean), *((m,) for m in mean if len(mean) > 1)]
    columns = {m: np.concatenate([v if m in s else np.full_like(v, np.nan) for s in shown]) for m, v in mean.items()}
    poses = np.tile(np.eye(4), (len(shown) * len(names), 1, 1))
    poses[:, 0, 3] = np.tile(np.arange(len(names)), len(shown))  # so that each is a place of its own
    ids = tuple(f"{n} by {'+'.join(s)}" for s in shown for n in names)
    return ReferenceMap(ObservationSet(columns, poses, ids), model.reference_records(), "calibration objects")


def _mean_direction(vectors: Array) -> Array:
    """Return the mean direction (D,) of vectors (N, D) of length 1; NaN where there is none."""
    if len(vectors) == 0:
        return np.full(vectors.shape[1], np.nan, dtype=np.float32)
    mean = vectors.mean(axis=0)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-12), dtype=np.float32)


def table(draw: np.random.Generator, class_of: Names, meant: int) -> Flags:
    """Return (objects,): those on a table with the one that is meant; at random, objects of its class come first."""
    order = draw.permutation(len(class_of))
    alike = (class_of[order] == class_of[meant]) & bool(draw.integers(2))
    first = np.concatenate([[meant], order[alike & (order != meant)], order[~alike & (order != meant)]])
    flags = np.zeros(len(class_of), dtype=bool)
    flags[first[:TABLE]] = True
    return flags
