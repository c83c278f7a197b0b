"""Trains the heads of the demo of objects, as `any2any train` does."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any

from any2any_ros import encoders
from any2any_ros.data import gold
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning.emma import EmmaConfig
from any2any_ros.objects import grounding_model
from any2any_ros.progress import progress_bar, training_bar
from any2any_ros.workflows import described_objects
from any2any_ros.workflows.train_heads import train_heads

CONFIG = EmmaConfig(steps=300, interval=100, batch=128)


def require_torch() -> None:
    """Raise Any2AnyError when PyTorch is missing: without it nothing can be trained."""
    if importlib.util.find_spec("torch") is None:
        raise Any2AnyError(
            "The heads cannot be trained", "there is no PyTorch",
            "Install it: make torch in the checkout, or pip install 'any2any_ros[pretrained]'",
        )  # fmt: skip


def usable(model: Path) -> bool:
    """Return whether `model` is a finished model of this demo, with its encoders and settings of today."""
    try:
        loaded, story = grounding_model.load(model), figures(model)
    except (Any2AnyError, OSError, ValueError):
        return False
    same_encoders = [
        encoders.build(described_objects.PLUGS[m]).fingerprint == r.fingerprint for m, r in loaded.records.items()
    ]
    same_settings = story["config"] == dataclasses.asdict(CONFIG) and (model / "curves.png").exists()
    return all(same_encoders) and same_settings and _is_done(story)


def figures(model: Path) -> dict[str, Any]:
    """Return the content of training.json: settings, learning curve, results."""
    return dict(json.loads((model / "training.json").read_text()))


def make(folder: Path, model: Path) -> None:
    """Train on the GoLD folder, as `any2any train emma FOLDER MODEL` with CONFIG does.

    Raises KeyboardInterrupt when the user interrupted the training: its heads would be worse than a report says.
    """
    objects = described_objects.encode(gold.read(folder), progress=progress_bar)
    train_heads(objects, model, config=CONFIG, progress=training_bar(CONFIG.steps, "heads"))
    if not _is_done(figures(model)):
        raise KeyboardInterrupt


def _is_done(story: dict[str, Any]) -> bool:
    """Return whether training ended by itself: after all steps, or without progress for `patience` validations."""
    curve = story["curve"]
    best = max(range(len(curve)), key=lambda i: curve[i]["validation"])
    return curve[-1]["step"] >= CONFIG.steps or len(curve) - 1 - best >= CONFIG.patience
