"""From described objects to heads by which a command, typed or spoken, finds the object it means."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros import declared
from any2any_ros.arrays import Array
from any2any_ros.calibration import objects as object_calibration
from any2any_ros.data.availability import sensors_off
from any2any_ros.learning import calmrl, emma, emma_evaluation
from any2any_ros.learning.calmrl import CalMRL
from any2any_ros.learning.emma import EMMA, EmmaConfig
from any2any_ros.learning.emma_evaluation import CANDIDATES
from any2any_ros.objects import grounding_model
from any2any_ros.objects.grounding_model import Model
from any2any_ros.objects.views import ObjectViews
from any2any_ros.observation import ObservationSet
from any2any_ros.progress import Progress, silent
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.workflows import described_objects, training

LIKE = 20  # candidates of a validation trial when the label is INSTANCE
WARM_UP = 100  # CalMRL's steps with complete objects, before incomplete ones join
HIDDEN = 0.5  # share of the test objects' vectors that the imputer is judged by
INSTANCE, CLASS = "instance", "class"
BY_EMMA, BY_CALMRL = "emma", "calmrl"
DEFAULTS: dict[str, dict[str, Any]] = {BY_EMMA: {}, BY_CALMRL: {"loss": "calmrl", "warm_up": WARM_UP}}


def train_heads(
    objects: ObjectViews,
    folder: Path,
    method: str = BY_EMMA,
    config: EmmaConfig | None = None,
    label: str = INSTANCE,
    progress: Progress[Any] = silent,
) -> dict[str, Any]:
    """Train heads for described objects, calibrate and test them; write a model, training.json and curves.png.

    method: one of DEFAULTS. config: None: the method's own. label: what the heads learn to distinguish: single objects
    (INSTANCE), as a robot must, or classes (CLASS), as in EMMA's paper. Returns the content of training.json. Ctrl-C
    ends the training, and keeps the best heads so far. Raises Any2AnyError when the objects are too few, and when
    PyTorch is absent.
    """
    config = config or default_config(method)
    training.refuse_unwritable(folder)

    # Data: N views, a vector (D,) of each modality that was recorded; no object is in two parts.
    part = described_objects.split(objects, config.seed)
    train, held_out, test = (objects.take(part == i) for i in range(3))

    # Imputation: what stands in, in training, for a vector that was not recorded; emma takes nothing.
    imputer = calmrl.fit(train.observations) if method == BY_CALMRL else None
    imputed = imputer.impute(train.observations) if imputer else None

    # Training: the heads are validated on the held-out objects every `interval` steps, until they no longer improve.
    labels, candidates = (train.classes, CANDIDATES) if label == CLASS else (train.instances, LIKE)
    judge = emma_evaluation.validation(held_out, config.seed, label, candidates)
    checkpoints = emma.training(train.observations, labels, config, judge, imputed)
    best, curve = training.run_training(checkpoints, progress)

    # Test: five candidates of five classes, for every choice of what is said and what is seen.
    trials = emma_evaluation.trials_of(test, config.seed)
    results = emma_evaluation.evaluate(best.distance, test, trials)
    imputation_rows = imputation(best, imputer, test.observations, config.seed) if imputer else []

    # Calibration: how far an answer can be trusted, on objects that the heads were not trained with.
    model = Model(best, {m: declared.build(EncoderRecord, r) for m, r in objects.encoders.items()})
    reliability: list[dict[str, Any]] = []
    if object_calibration.enough(held_out) and object_calibration.enough(test) and model.pairs:
        model = dataclasses.replace(model, calibration=object_calibration.fit(model, held_out, config.seed))
        reliability = object_calibration.evaluate(model, test, config.seed)

    # On disk: the model, and how it was made and judged.
    record = {
        "config": dataclasses.asdict(config),
        "encoders": objects.encoders,
        "views": {"train": len(train), "held out": len(held_out), "test": len(test)},
        "curve": training.curve_rows(curve),
        "test": results,
        "chance": emma_evaluation.chance(),
        "label": label,
        "trust": reliability,
    } | ({"imputation": imputation_rows} if imputer else {})
    with training.results(folder) as home:
        grounding_model.save(model, home)
        training.write_record(home, record)
        training.write_curve(home, curve, emma_evaluation.chance(candidates)["mrr"], "MRR on objects held out")
    return record


def default_config(method: str) -> EmmaConfig:
    """Return the settings of a method, one of DEFAULTS."""
    return EmmaConfig(**DEFAULTS[method])


def imputation(heads: EMMA, imputer: CalMRL, test: ObservationSet, seed: int) -> list[dict[str, Any]]:
    """Return how well hidden embeddings of complete test views are imputed, and how far the anchors of views move.

    error: root mean square error of the hidden embeddings, in standard deviations of the training embeddings. shift:
    mean distance between the anchor of a view with imputed embeddings and that of the complete view. Empty when fewer
    than two modalities are known, or when no test view is complete.
    """
    known = [m for m in heads.modalities if m in imputer.modalities and m in test.embeddings]
    whole = test.only(known).take(np.all([test.present(m) for m in known], axis=0)) if len(known) > 1 else test.take([])
    off = sensors_off(len(whole), max(len(known), 1), HIDDEN, np.random.default_rng(seed))
    some = off.any(axis=1)
    if not some.any():
        return []
    whole, off = whole.take(some), off[some]
    seen = whole.without(off)
    right = _anchors(heads, whole)
    rivals = {"nothing": seen, "means": seen.filled(heads.mean), "CalMRL": imputer.impute(seen)}
    return [
        {"imputed by": name, "error": _error(heads, data, whole, seen), "views": len(whole),
         "shift": float(np.linalg.norm(_anchors(heads, data) - right, axis=1).mean())}
        for name, data in rivals.items()
    ]  # fmt: skip


def _anchors(heads: EMMA, data: ObservationSet) -> Array:
    """Return (N, dims)."""
    z = np.stack([heads.project(m, x) for m, x in data.embeddings.items()], axis=1)
    return np.array([calmrl.anchor(row) for row in z])


def _error(heads: EMMA, data: ObservationSet, whole: ObservationSet, seen: ObservationSet) -> float | None:
    wrong = [
        (((x - whole.embeddings[m]) / heads.spread[m])[~seen.present(m)]).ravel() for m, x in data.embeddings.items()
    ]
    value = float(np.sqrt(np.mean(np.square(np.concatenate(wrong)))))
    return None if np.isnan(value) else value  # nothing is guessed
