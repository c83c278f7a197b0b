"""Train what is learnt from data: emma, the heads by which a command, typed or spoken, finds the object it means.

    any2any train emma GOLD MODEL
    any2any train emma out/tabletop MODEL --modality text --modality camera --modality depth

GOLD is a GoLD folder: the recorded one, or one of `any2any simulate-tabletop` (or what retrieval/objects.py saved).
Whole objects, of every class, are set aside: some to stop in time by and to calibrate with, some for the test, whose
tables are printed with chance beside them. MODEL becomes a folder for the grounding node: heads, encoders, calibration;
settings and figures in training.json, and the learning curves as a picture. Ctrl-C keeps the best heads so far. The
same --seed gives the same split and the same heads.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from any2any_ros import plugins
from any2any_ros.data import gold, splits
from any2any_ros.data.examples import observe
from any2any_ros.errors import Any2AnyError
from any2any_ros.methods import emma
from any2any_ros.methods.emma import EmmaConfig
from any2any_ros.retrieval import grounding, grounding_evaluation
from any2any_ros.retrieval.grounding import Model
from any2any_ros.retrieval.grounding_evaluation import CANDIDATES
from any2any_ros.retrieval.objects import Objects
from any2any_ros.retrieval.reference_map import EncoderRecord
from any2any_ros.tools import _arguments, _figures, _tables

SHARES = (0.6, 0.2, 0.2)  # of every class's objects: to learn from, to stop and calibrate by, to test on
FORMAT = 1
PLUGS = {"camera": "crop", "depth": "depth", "speech": "speech", "text": "text"}
DESCRIPTIONS = 5  # of a view; more say little that is new
LIKE = 20  # candidates of a validation trial where single objects are told apart


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("method", metavar="METHOD", choices=("emma",), help="what is trained: emma")
    parser.add_argument("objects", metavar="GOLD", type=Path, help="folder of described objects")
    parser.add_argument("model", metavar="MODEL", type=Path, help="folder that the result is written to")
    parser.add_argument(
        "--label", choices=("instance", "class"), default="instance",
        help="what is told apart: single objects, as a robot must (default), or classes, as in EMMA's paper",
    )  # fmt: skip
    parser.add_argument(
        "--most", type=int, default=DESCRIPTIONS, metavar="N", help="descriptions of a view (default %(default)s)"
    )
    _arguments.add_encoder_arguments(parser)
    _arguments.add_settings(parser, EmmaConfig)


def run(arguments: argparse.Namespace) -> int:
    config = _arguments.settings(arguments, EmmaConfig)

    # Data: N views, a vector (D,) of each modality that was recorded; no object stands in two parts.
    objects = features(arguments)
    part = splits.by_instance(objects.classes, objects.instances, SHARES, config.seed)
    train, held_out, test = (objects.take(part == i) for i in range(len(SHARES)))

    # Training: a look at the held-out objects every `interval` steps, until they are no longer told apart better.
    curve: list[tuple[int, float, float]] = []  # steps, loss, MRR on what is held out
    by_class = arguments.label == "class"
    labels, candidates = (train.classes, CANDIDATES) if by_class else (train.instances, LIKE)
    judge = grounding_evaluation.validation(held_out, config.seed, arguments.label, candidates)
    looks = emma.training(train.observations, labels, config, judge)
    with tqdm(total=config.steps, desc="training", leave=False, dynamic_ncols=True, disable=None) as bar:
        try:
            for look in looks:
                curve.append((look.number, look.loss, look.score))
                best = look.best
                bar.update(look.number - bar.n)
                bar.set_postfix(loss=f"{look.loss:.3f}", mrr=f"{look.score:.3f}")
        except KeyboardInterrupt:
            if not curve:
                raise
            print(f"stopped after {curve[-1][0]} steps; the best heads so far are kept", file=sys.stderr)

    # Test: five candidates of five classes, for every choice of what is said and what is seen.
    trials = grounding_evaluation.trials_of(test, config.seed)
    found = grounding_evaluation.evaluate(best.distance, test, trials)

    # Calibration: how far an answer can be trusted, on objects that the heads have not learnt from.
    model = Model(best, {m: EncoderRecord(**r) for m, r in objects.encoders.items()})
    trust: list[dict[str, Any]] = []
    if grounding.enough(held_out) and grounding.enough(test) and model.pairs:
        model = dataclasses.replace(model, calibration=grounding.fitted(model, held_out, config.seed))
        trust = grounding.judged(model, test, config.seed)
        print(_tables.trust(trust), end="\n\n")

    # What is kept: the model, and how it was made and judged.
    grounding.save(model, arguments.model)
    story = {
        "format": FORMAT,
        "config": dataclasses.asdict(config),
        "encoders": objects.encoders,
        "views": {"train": len(train), "held out": len(held_out), "test": len(test)},
        "curve": [{"step": step, "loss": loss, "validation": score} for step, loss, score in curve],
        "test": found,
        "chance": grounding_evaluation.chance(),
        "label": arguments.label,
        "trust": trust,
    }
    text = json.dumps(story, indent=1).encode() + b"\n"
    plugins.write_atomically(arguments.model / "training.json", lambda stream: stream.write(text))
    picture = _figures.learning_curve(np.array(curve), grounding_evaluation.chance(candidates)["mrr"])
    plugins.write_atomically(arguments.model / "curves.png", lambda stream: stream.write(picture))
    print(_tables.grounding(found, grounding_evaluation.chance()))
    return 0


def features(arguments: argparse.Namespace) -> Objects:
    """Return the views to learn from and to test on, encoded now or before."""
    if arguments.objects.with_suffix(".json").is_file():
        encoded: Any = plugins.load(arguments.objects)
        if isinstance(encoded, Objects):
            return encoded
        raise Any2AnyError(
            f"{arguments.objects} holds no objects", f"it is {type(encoded).__name__}", "Give what Objects was saved as"
        )
    found = gold.read(arguments.objects)
    for what, count in found.skipped.items():
        print(f"{count} {what} were left out", file=sys.stderr)
    there = _there(found)
    encoders = _arguments.build_encoders(arguments, there, PLUGS)
    seen = observe(found.views, encoders, arguments.most, _arguments.bar)
    return seen.objects(encoders)


def _there(found: gold.Gold) -> list[str]:
    """Return the modalities that are there at all."""
    return [m for m in gold.MODALITIES if any(_has(view, m) for view in found.views)]


def _has(view: gold.View, modality: str) -> bool:
    if modality == "speech":
        return any(path is not None for _, path in view.utterances)
    return bool(view.descriptions if modality == "text" else getattr(view, modality))
