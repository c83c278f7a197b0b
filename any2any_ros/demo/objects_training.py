"""The demo's heads, as `any2any train` makes them."""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
from pathlib import Path
from typing import Any

from any2any_ros import encoders
from any2any_ros.cli import _train_data, train
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning.emma import EmmaConfig
from any2any_ros.objects import grounding_model

CONFIG = EmmaConfig(steps=300, interval=100, batch=128)


def check() -> None:
    """Raise Any2AnyError where nothing can be trained."""
    if importlib.util.find_spec("torch") is None:
        raise Any2AnyError(
            "The heads cannot be trained", "there is no PyTorch",
            "Install it: make torch in the checkout, or pip install 'any2any_ros[pretrained]'",
        )  # fmt: skip


def usable(model: Path) -> bool:
    """Return whether a model is there that this demo made to the end, with these encoders and settings."""
    try:
        found, story = grounding_model.load(model), figures(model)
    except (Any2AnyError, OSError, ValueError):
        return False
    same = [encoders.build(_train_data.PLUGS[m]).fingerprint == r.fingerprint for m, r in found.records.items()]
    asked = story["config"] == dataclasses.asdict(CONFIG) and (model / "curves.png").exists()
    return all(same) and asked and _is_done(story)


def figures(model: Path) -> dict[str, Any]:
    """Return how the training went."""
    return dict(json.loads((model / "training.json").read_text()))


def make(folder: Path, model: Path) -> None:
    """Train on the GoLD folder: any2any train emma FOLDER MODEL, with CONFIG."""
    parser = argparse.ArgumentParser()
    train.add_arguments(parser)
    settings = {f"--{name.replace('_', '-')}": str(value) for name, value in dataclasses.asdict(CONFIG).items()}
    train.run(
        parser.parse_args(["emma", str(folder), str(model), *(text for pair in settings.items() for text in pair)])
    )
    if not _is_done(figures(model)):
        raise KeyboardInterrupt  # which ends the training with what it has, but not a story about it


def _is_done(story: dict[str, Any]) -> bool:
    """Return whether training ended by itself: all steps, or no better look for as long as it waits."""
    curve = story["curve"]
    best = max(range(len(curve)), key=lambda i: curve[i]["validation"])
    return curve[-1]["step"] >= CONFIG.steps or len(curve) - 1 - best >= CONFIG.patience
