"""The demo's heads: learnt from simulated objects, calibrated on others, judged on others again."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros import encoders, plugins
from any2any_ros.data import gold, splits
from any2any_ros.data.examples import observe
from any2any_ros.errors import Any2AnyError
from any2any_ros.methods import emma
from any2any_ros.methods.emma import EmmaConfig
from any2any_ros.retrieval import grounding, grounding_evaluation
from any2any_ros.retrieval.objects import Objects
from any2any_ros.retrieval.reference_map import EncoderRecord
from any2any_ros.tools import _arguments, _figures

PLUGS = {"camera": "crop", "depth": "depth", "text": "text"}
SHARES = (0.6, 0.25, 0.15)  # of every class's objects: to learn from, to stop and calibrate by, to test on
LIKE = 20  # objects of which one is meant, when training looks how far it is
CONFIG = EmmaConfig(steps=300, interval=100, batch=128, patience=4)


def check() -> None:
    """Raise Any2AnyError where nothing can be trained."""
    if importlib.util.find_spec("torch") is None:
        raise Any2AnyError(
            "The heads cannot be trained", "there is no PyTorch",
            "Install it: make torch in the checkout, or pip install 'any2any_ros[pretrained]'",
        )  # fmt: skip


def usable(model: Path) -> bool:
    """Return whether a model is there that this demo made with these encoders and settings."""
    try:
        found = grounding.load(model)
        story = json.loads((model / "training.json").read_text())
    except (Any2AnyError, OSError, ValueError):
        return False
    same = [encoders.build(r.plug, r.settings).fingerprint == r.fingerprint for r in found.records.values()]
    return all(same) and found.calibration is not None and story.get("config") == dataclasses.asdict(CONFIG)


def train(folder: Path, model: Path) -> None:
    """Learn from the GoLD folder and write the model, training.json and curves.png."""
    built = {m: encoders.build(plug) for m, plug in PLUGS.items()}
    seen = observe(gold.read(folder).views, built, progress=_arguments.bar)
    objects = Objects(
        dict(seen.observations.embeddings), np.array(seen.observations.ids), seen.labels, seen.instances, {}
    )
    part = splits.by_instance(objects.classes, objects.instances, SHARES, CONFIG.seed)
    learn, held_out, test = (objects.take(part == i) for i in range(len(SHARES)))
    heads, curve = _fit(learn, held_out)
    records = {
        m: EncoderRecord(PLUGS[m], e.fingerprint, e.dimension, dataclasses.asdict(e.config)) for m, e in built.items()
    }
    made = grounding.Model(heads, records)
    fitted = grounding.fitted(made, held_out.observations, held_out.classes, held_out.instances, CONFIG.seed)
    grounding.save(dataclasses.replace(made, calibration=fitted), model)
    trials = grounding_evaluation.trials_of(test, CONFIG.seed)
    _tell(model, curve, [learn, held_out, test], grounding_evaluation.evaluate(heads.distance, test, trials))


def _fit(learn: Objects, held_out: Objects) -> tuple[emma.EMMA, list[tuple[int, float, float]]]:
    """Return the heads, and steps, loss and held-out MRR at every look."""
    trials = grounding_evaluation.draw(
        held_out.ids, held_out.instances, held_out.ids, held_out.instances, CONFIG.seed, LIKE
    )
    said, shown = (held_out.observations.only(m) for m in (("text",), ("camera", "depth")))
    looks = emma.training(
        learn.observations, learn.instances, CONFIG, lambda heads: trials.judge(heads.distance(said, shown))["mrr"]
    )
    curve = []
    for look in _arguments.bar(looks, f"training, looks every {CONFIG.interval} steps"):
        curve.append((look.number, look.loss, look.score))
        best = look.best
    return best, curve


def _tell(model: Path, curve: list[tuple[int, float, float]], parts: list[Objects], found: dict[str, Any]) -> None:
    """Write how it went beside the model."""
    names = ("train", "held out", "test")
    story = {
        "config": dataclasses.asdict(CONFIG),
        "views": {name: len(np.unique(p.observations.ids)) for name, p in zip(names, parts, strict=True)},
        "objects": {name: len(np.unique(p.instances)) for name, p in zip(names, parts, strict=True)},
        "curve": [{"step": step, "loss": loss, "validation": score} for step, loss, score in curve],
        "test": found,
        "chance": grounding_evaluation.chance(),
        "label": "instance",
    }
    picture = _figures.learning_curve(np.array(curve), grounding_evaluation.chance(LIKE)["mrr"])
    plugins.write_atomically(model / "curves.png", lambda stream: stream.write(picture))
    text = json.dumps(story, indent=1).encode() + b"\n"
    plugins.write_atomically(model / "training.json", lambda stream: stream.write(text))  # last: it says all is there
