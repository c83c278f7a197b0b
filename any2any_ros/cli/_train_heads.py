"""`any2any train emma` and `train calmrl`: heads by which a command, typed or spoken, finds the object it means."""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

import numpy as np

from any2any_ros import tables
from any2any_ros.arrays import Array
from any2any_ros.calibration import objects as object_calibration
from any2any_ros.cli import _arguments, _train_data
from any2any_ros.data.availability import sensors_off
from any2any_ros.learning import calmrl, emma, emma_evaluation
from any2any_ros.learning.calmrl import CalMRL
from any2any_ros.learning.emma import EMMA, EmmaConfig
from any2any_ros.learning.emma_evaluation import CANDIDATES
from any2any_ros.objects import grounding_model
from any2any_ros.objects.grounding_model import Model
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.reference_map import EncoderRecord

LIKE = 20  # candidates of a validation trial where single objects are told apart
WARM_UP = 100  # CalMRL's steps with complete objects, before incomplete ones join
HIDDEN = 0.5  # share of the test objects' vectors that the imputer is judged by
DEFAULTS: dict[str, dict[str, Any]] = {"emma": {}, "calmrl": {"loss": "calmrl", "warm_up": WARM_UP}}


def add_arguments(parser: argparse.ArgumentParser, method: str) -> None:
    _train_data.add_arguments(parser)
    parser.add_argument(
        "--label", choices=("instance", "class"), default="instance",
        help="what is told apart: single objects, as a robot must (default), or classes, as in EMMA's paper",
    )  # fmt: skip
    _arguments.add_settings(parser, EmmaConfig, **DEFAULTS[method])


def run(arguments: argparse.Namespace) -> int:
    config = _arguments.settings(arguments, EmmaConfig)

    # Data: N views, a vector (D,) of each modality that was recorded; no object stands in two parts.
    objects = _train_data.features(arguments)
    part = _train_data.dealt(objects, config.seed)
    train, held_out, test = (objects.take(part == i) for i in range(3))

    # Imputing: what stands in, in training, for a vector that was not recorded; emma takes nothing.
    imputer = calmrl.fit(train.observations) if arguments.method == "calmrl" else None
    imputed = imputer.impute(train.observations) if imputer else None

    # Training: a look at the held-out objects every `interval` steps, until they are no longer told apart better.
    by_class = arguments.label == "class"
    labels, candidates = (train.classes, CANDIDATES) if by_class else (train.instances, LIKE)
    judge = emma_evaluation.validation(held_out, config.seed, arguments.label, candidates)
    looks = emma.training(train.observations, labels, config, judge, imputed)
    best, curve = _train_data.followed(looks, config.steps, "heads")

    # Test: five candidates of five classes, for every choice of what is said and what is seen.
    trials = emma_evaluation.trials_of(test, config.seed)
    found = emma_evaluation.evaluate(best.distance, test, trials)
    guessed = imputation(best, imputer, test.observations, config.seed) if imputer else []

    # Calibration: how far an answer can be trusted, on objects that the heads have not learnt from.
    model = Model(best, {m: EncoderRecord(**r) for m, r in objects.encoders.items()})
    trust: list[dict[str, Any]] = []
    if object_calibration.enough(held_out) and object_calibration.enough(test) and model.pairs:
        model = dataclasses.replace(model, calibration=object_calibration.fitted(model, held_out, config.seed))
        trust = object_calibration.judged(model, test, config.seed)
        print(tables.trust(trust), end="\n\n")
    if guessed:
        print(tables.imputation(guessed), end="\n\n")

    # What is kept: the model, and how it was made and judged.
    grounding_model.save(model, arguments.model)
    story = {
        "config": dataclasses.asdict(config),
        "encoders": objects.encoders,
        "views": {"train": len(train), "held out": len(held_out), "test": len(test)},
        "curve": _train_data.looks_of(curve),
        "test": found,
        "chance": emma_evaluation.chance(),
        "label": arguments.label,
        "trust": trust,
    }
    _train_data.tell(arguments.model, story | ({"imputation": guessed} if imputer else {}))
    chance = emma_evaluation.chance(candidates)["mrr"]
    _train_data.draw(arguments.model, curve, chance, "MRR on objects held out")
    print(tables.grounding(found, emma_evaluation.chance()))
    return 0


def imputation(heads: EMMA, imputer: CalMRL, test: ObservationSet, seed: int) -> list[dict[str, Any]]:
    """Return how well hidden vectors of complete test views are imputed, and how far their anchors lie from the true.

    error: root mean square, in standard deviations of the training vectors, of what is hidden. shift: mean distance of
    the anchor of a view's heads from that of all its modalities. Empty where fewer than two modalities are known or no
    test view is complete.
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
