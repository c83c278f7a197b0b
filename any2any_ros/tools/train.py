"""Train what is learnt from data: emma, the heads by which a command, typed or spoken, finds the object it means.

    any2any train emma OBJECTS HEADS

OBJECTS are views of objects with their names (retrieval/objects.py). Whole objects, of every class, are set aside: some
to stop in time by, some for the test, whose table is printed with chance beside it. HEADS becomes a folder: heads.npz
and heads.json, settings and figures in training.json, and the learning curves as a picture. Ctrl-C keeps the best heads
so far. The same --seed gives the same split and the same heads.
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
from any2any_ros.data import splits
from any2any_ros.errors import Any2AnyError
from any2any_ros.methods import emma
from any2any_ros.methods.emma import EmmaConfig
from any2any_ros.retrieval import grounding_evaluation
from any2any_ros.retrieval.objects import Objects
from any2any_ros.tools import _arguments, _figures, _tables

SHARES = (0.6, 0.2, 0.2)  # of every class's objects: to learn from, to stop by, to test on
FORMAT = 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("method", metavar="METHOD", choices=("emma",), help="what is trained: emma")
    parser.add_argument("objects", metavar="OBJECTS", type=Path, help="views of objects, encoded, with their names")
    parser.add_argument("heads", metavar="HEADS", type=Path, help="folder that the result is written to")
    _arguments.add_settings(parser, EmmaConfig)


def run(arguments: argparse.Namespace) -> int:
    config = _arguments.settings(arguments, EmmaConfig)

    # Data: N views, a vector (D,) of each modality that was recorded; no object stands in two parts.
    objects = features(arguments.objects)
    part = splits.by_instance(objects.classes, objects.instances, SHARES, config.seed)
    train, held_out, test = (objects.take(part == i) for i in range(len(SHARES)))

    # Training: a look at the held-out objects every `interval` steps, until they are no longer told apart better.
    curve: list[tuple[int, float, float]] = []  # steps, loss, MRR on what is held out
    looks = emma.training(
        train.observations, train.classes, config, grounding_evaluation.validation(held_out, config.seed)
    )
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

    # What is kept: heads, what they were made from and how, and how it went.
    plugins.save(best, arguments.heads / "heads")
    story = {
        "format": FORMAT,
        "config": dataclasses.asdict(config),
        "encoders": objects.encoders,
        "views": {"train": len(train), "held out": len(held_out), "test": len(test)},
        "curve": [{"step": step, "loss": loss, "validation": score} for step, loss, score in curve],
        "test": found,
        "chance": grounding_evaluation.chance(),
    }
    text = json.dumps(story, indent=1).encode() + b"\n"
    plugins.write_atomically(arguments.heads / "training.json", lambda stream: stream.write(text))
    picture = _figures.learning_curve(np.array(curve), grounding_evaluation.chance()["mrr"])
    plugins.write_atomically(arguments.heads / "curves.png", lambda stream: stream.write(picture))
    print(_tables.grounding(found, grounding_evaluation.chance()))
    return 0


def features(path: Path) -> Objects:
    """Return the views to learn from and to test on."""
    found: Any = plugins.load(path)
    if not isinstance(found, Objects):
        raise Any2AnyError(
            f"{path} holds no objects", f"it is {type(found).__name__}", "Give what Objects was saved as"
        )
    return found
