"""Described objects (a GoLD folder), encoded, and split into what is trained with and what is tested with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from any2any_ros import storage
from any2any_ros.arrays import Rows
from any2any_ros.data import gold, splits
from any2any_ros.data.examples import observe
from any2any_ros.objects.views import ObjectViews
from any2any_ros.progress import Progress, silent
from any2any_ros.workflows.inputs import EncoderChoice, chosen_encoders

SHARES = (0.6, 0.2, 0.2)  # of every class's objects: to train with, to stop and calibrate by, to test with
PLUGS = {"camera": "crop", "depth": "depth", "speech": "speech", "text": "text"}  # encoders for crops of objects
DESCRIPTIONS = 5  # of a view; more add little


def load(path: Path) -> ObjectViews | None:
    """Return the objects that `storage.save` wrote to path.npz; None when there is no such file."""
    return storage.load(path, ObjectViews) if path.with_suffix(".npz").is_file() else None


def encode(
    described: gold.Gold,
    encoders: EncoderChoice = None,
    most: int = DESCRIPTIONS,
    progress: Progress[Any] = silent,
) -> ObjectViews:
    """Encode all views of described objects. most: descriptions of a view that are used at most."""
    available = modalities(described)
    built = chosen_encoders(available, {m: PLUGS[m] for m in available} if encoders is None else encoders)
    return observe(described.views, built, most, progress).objects(built)


def modalities(described: gold.Gold) -> list[str]:
    """Return the modalities of which at least one view has a sample."""
    return [m for m in gold.MODALITIES if any(_has(view, m) for view in described.views)]


def _has(view: gold.View, modality: str) -> bool:
    if modality == "speech":
        return any(path is not None for _, path in view.utterances)
    return bool(view.descriptions if modality == "text" else getattr(view, modality))


def split(objects: ObjectViews, seed: int) -> Rows:
    """Return (N,): 0 for views to train with, 1 to stop and calibrate by, 2 to test with; no object is in two parts."""
    return splits.by_instance(objects.classes, objects.instances, SHARES, seed)
