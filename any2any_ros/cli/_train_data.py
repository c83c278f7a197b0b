"""What `any2any train` learns from: described objects, encoded now or before, and which of them are for the test."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from any2any_ros import extras, storage
from any2any_ros.cli import _arguments
from any2any_ros.data import gold, splits
from any2any_ros.data.examples import observe
from any2any_ros.objects.views import Objects
from any2any_ros.progress import bar

SHARES = (0.6, 0.2, 0.2)  # of every class's objects: to learn from, to stop and calibrate by, to test on
FORMAT = 1
PLUGS = {"camera": "crop", "depth": "depth", "speech": "speech", "text": "text"}
Curve = list[tuple[int, float, float]]  # steps, loss, MRR on what is held out
DESCRIPTIONS = 5  # of a view; more say little that is new


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("objects", metavar="GOLD", type=Path, help="folder of described objects")
    parser.add_argument("model", metavar="MODEL", type=Path, help="folder that the result is written to")
    parser.add_argument(
        "--most", type=int, default=DESCRIPTIONS, metavar="N", help="descriptions of a view (default %(default)s)"
    )
    _arguments.add_encoder_arguments(parser)


def dealt(objects: Objects, seed: int) -> NDArray[np.intp]:
    """Return (N,): 0 for views to learn from, 1 to stop and calibrate by, 2 to test on; no object stands in two."""
    return splits.by_instance(objects.classes, objects.instances, SHARES, seed)


def features(arguments: argparse.Namespace) -> Objects:
    """Return the views to learn from and to test on, encoded now or before."""
    if arguments.objects.with_suffix(".json").is_file():
        return storage.load(arguments.objects, Objects)
    found = gold.read(arguments.objects)
    for what, count in found.skipped.items():
        print(f"{count} {what} were left out", file=sys.stderr)
    there = _there(found)
    encoders = _arguments.build_encoders(arguments, there, PLUGS)
    seen = observe(found.views, encoders, arguments.most, bar)
    return seen.objects(encoders)


def _there(found: gold.Gold) -> list[str]:
    """Return the modalities that are there at all."""
    return [m for m in gold.MODALITIES if any(_has(view, m) for view in found.views)]


def _has(view: gold.View, modality: str) -> bool:
    if modality == "speech":
        return any(path is not None for _, path in view.utterances)
    return bool(view.descriptions if modality == "text" else getattr(view, modality))


def followed(looks: Iterable[Any], steps: int, what: str) -> tuple[Any, Curve]:
    """Train with a progress bar until the end or Ctrl-C; return the best `what` and the learning curve.

    Ctrl-C before the first look is passed on."""
    curve: Curve = []
    best = None
    with tqdm(total=steps, desc="training", leave=False, dynamic_ncols=True, disable=None) as bar:
        try:
            for look in looks:
                curve.append((look.number, look.loss, look.score))
                best = look.best
                bar.update(look.number - bar.n)
                bar.set_postfix(loss=f"{look.loss:.3f}", mrr=f"{look.score:.3f}")
        except KeyboardInterrupt:
            if not curve:
                raise
            print(f"stopped after {curve[-1][0]} steps; the best {what} so far are kept", file=sys.stderr)
    return best, curve


def tell(folder: Path, story: dict[str, Any]) -> None:
    """Write how a model was made and judged, training.json."""
    storage.write_json(folder / "training.json", {"format": FORMAT, **story})


def looks_of(curve: Curve) -> list[dict[str, Any]]:
    """Return a training's looks for its story."""
    return [{"step": step, "loss": loss, "validation": score} for step, loss, score in curve]


def draw(folder: Path, curve: Curve, chance: float, score: str) -> None:
    """Write the learning curve, curves.png; without matplotlib say that there is none."""
    if "matplotlib" in extras.missing("report"):
        print("No picture of the learning curve: it takes pip install 'any2any_ros[report]'", file=sys.stderr)
        return
    from any2any_ros.demo import figures

    picture = figures.learning_curve(np.array(curve), chance, score)
    storage.write_atomically(folder / "curves.png", lambda stream: stream.write(picture))
