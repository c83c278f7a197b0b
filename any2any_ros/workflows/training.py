"""What every training has in common: its loop, its learning curve, and the record of how a model was made."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros import extras, files
from any2any_ros.errors import Any2AnyError
from any2any_ros.objects import grounding_model
from any2any_ros.plots import GREEN, GREY, SENSORS, canvas
from any2any_ros.progress import TRAINING, Progress

FORMAT = 1
PARTS = (*grounding_model.PARTS, "best.pth", "cox.*")  # what trainings write
Curve = list[tuple[int, float, float]]  # steps, loss, score on the data held out


def run_training(checkpoints: Iterable[Any], progress: Progress[Any]) -> tuple[Any, Curve]:
    """Train to the end, or until Ctrl-C; return the best model and the learning curve.

    Ctrl-C before the first checkpoint raises KeyboardInterrupt.
    """
    curve: Curve = []
    best = None
    try:
        for checkpoint in progress(checkpoints, TRAINING):
            curve.append((checkpoint.number, checkpoint.loss, checkpoint.score))
            best = checkpoint.best
    except KeyboardInterrupt:
        if not curve:
            raise
    return best, curve


def refuse_unwritable(folder: Path) -> None:
    """Raise Any2AnyError when the results could not be written to the folder: better now than after hours."""
    files.refuse_other_files(folder, PARTS)
    why = "a disk is mounted there" if os.path.ismount(folder) else ""
    try:
        with files.unfinished(folder.resolve()):
            pass
    except OSError as error:
        why = str(error)
    if why:
        raise Any2AnyError(f"Cannot write to {folder}", why, "Choose another folder")


@contextmanager
def results(folder: Path) -> Iterator[Path]:
    """Yield a folder to write into. At the end it replaces `folder` and what an older training left there, in one step.

    Raises Any2AnyError when `folder` holds anything else, and OSError when it cannot be written.
    """
    with files.replacing(folder.resolve(), PARTS) as home:
        yield home


def write_record(folder: Path, record: dict[str, Any]) -> None:
    """Write how a model was made and judged to training.json."""
    files.write_json(folder / "training.json", {"format": FORMAT, **record})


def curve_rows(curve: Curve) -> list[dict[str, Any]]:
    """Return a learning curve as rows for the record."""
    return [{"step": step, "loss": loss, "validation": score} for step, loss, score in curve]


def write_curve(folder: Path, curve: Curve, chance: float, score_name: str) -> None:
    """Draw the learning curve, with chance beside the score, to curves.png; without matplotlib do nothing."""
    if "matplotlib" in extras.missing("report"):
        return
    picture = _learning_curve(curve, chance, score_name)
    files.write_atomically(folder / "curves.png", lambda stream: stream.write(picture))


def _learning_curve(curve: Curve, chance: float, score_name: str) -> bytes:
    """Return a PNG of loss and score over the steps; the best score is marked."""
    steps, loss, score = np.array(curve).T
    figure, (upper, lower) = canvas(6.4, 4.6, rows=2, ratios=(1, 1.4))
    upper.plot(steps, loss, color=SENSORS[0], linewidth=1.2)
    upper.set_ylabel("training loss")
    lower.plot(steps, score, color=SENSORS[1], linewidth=1.2)
    best = int(np.nanargmax(score)) if np.isfinite(score).any() else 0
    lower.scatter(steps[best], score[best], s=24, color=GREEN, zorder=2, label=f"best: {score[best]:.3f}")
    lower.axhline(chance, color=GREY, linewidth=1, linestyle="--", label=f"chance: {chance:.3f}")
    lower.set_ylabel(score_name)
    lower.set_xlabel("steps")
    lower.legend(loc="center right", frameon=False, fontsize=8)
    upper.sharex(lower)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=120, metadata={"Software": None})
    return stream.getvalue()
