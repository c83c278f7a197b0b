"""UCI Multiple Features as a retrieval task: handwritten digits in six views. Each view is a modality.

A folder holds mfeat-fac.csv, -fou, -kar, -mor, -pix and -zer. Each file has a header, then a line for each digit: its
features, and last its class. All six files have the same digits in the same order. The references of a query's class
are right for it.

van Breukelen, Duin, Tax and den Hartog, "Handwritten digit recognition by combined classifiers", Kybernetika 1998.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from any2any_ros.arrays import Float64, Rows, unit
from any2any_ros.calibration.task import Task, Trial
from any2any_ros.config import Settings, setting
from any2any_ros.data.availability import sensors_off
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import ObservationSet
from any2any_ros.sim.regimes import FOLDS

MODALITIES = ("fac", "fou", "kar", "mor", "pix", "zer")


@dataclass(frozen=True)
class MfeatConfig(Settings):
    """How the digits are split. The remaining digits are the test."""

    references: int = setting(1000, "digits that are references", minimum=2)
    calibration: int = setting(300, "digits for calibration", minimum=FOLDS)
    missing: float = setting(0.5, "share of the views that are off, drawn for each digit", minimum=0.0, maximum=0.95)
    empty: bool = setting(False, "whether a digit may lose all of its views")


def read(folder: Path) -> tuple[dict[str, Float64], Rows]:
    """Return the views (N, D) by modality, and the classes (N,). Raises Any2AnyError when a file is damaged."""
    views: dict[str, Float64] = {}
    classes: dict[str, Float64] = {}
    for modality in MODALITIES:
        views[modality], classes[modality] = _read_view(Path(folder) / f"mfeat-{modality}.csv")
    first = classes[MODALITIES[0]]
    for modality, values in classes.items():
        if not np.array_equal(values, first):
            raise Any2AnyError(
                f"The views in {folder} do not belong together",
                f"'{modality}' has {len(values)} digits, '{MODALITIES[0]}' has {len(first)}, or of other classes",
                "Get all six files again, from one place",
            )
    return views, first.astype(np.intp)


def _read_view(path: Path) -> tuple[Float64, Float64]:
    """Return the features (N, D) and classes (N,) of one file."""
    what, remedy = f"Cannot read {path}", "Get the file again: UCI Multiple Features, as CSV with a header"
    try:
        header, *lines = path.read_text().splitlines()
        numbers = np.array([line.split(",") for line in lines], dtype=np.float64)
    except (OSError, ValueError) as error:  # ValueError: no header, uneven lines, not a number, not text
        raise Any2AnyError(what, str(error), remedy) from error
    columns = len(header.split(","))
    if numbers.ndim != 2 or numbers.shape[1] != columns or columns < 2:
        raise Any2AnyError(what, f"{columns} columns are announced, the digits are {numbers.shape}", remedy)
    features, classes = numbers[:, :-1], numbers[:, -1]
    if not np.isfinite(features).all() or not np.isin(classes, np.arange(10)).all():
        raise Any2AnyError(what, "a feature is not finite, or a class is not one of 0 to 9", remedy)
    return features, classes


def make(folder: Path, seed: int, config: MfeatConfig = MfeatConfig()) -> Trial:
    """Return the digits of `folder`, split by `seed`: references, calibration and test share no digit.

    Each view is standardised by the mean and spread of all references, and has length 1. Poses are unknown (NaN).
    Raises Any2AnyError when a file is damaged, and when there are too few digits.
    """
    views, classes = read(folder)
    needed = config.references + config.calibration
    if len(classes) <= needed:
        raise Any2AnyError(
            f"No digit in {folder} is left for the test",
            f"it has {len(classes)}, and {config.references} + {config.calibration} are references or calibrate",
            "Ask for fewer references or calibration digits",
        )
    draw = np.random.default_rng(seed)
    reference, calibration, test = np.split(draw.permutation(len(classes)), [config.references, needed])
    views = {m: _standardised(view, view[reference]) for m, view in views.items()}

    def observe(rows: Rows) -> ObservationSet:
        off = sensors_off(len(rows), len(MODALITIES), config.missing, draw, config.empty)
        columns = {m: np.where(off[:, i, None], np.nan, views[m][rows]) for i, m in enumerate(MODALITIES)}
        return ObservationSet(columns, np.full((len(rows), 4, 4), np.nan), tuple(f"digit/{row:04d}" for row in rows))

    def task(rows: Rows) -> Task:
        return Task(observe(rows), classes[rows][:, None] == classes[reference], folds=np.arange(len(rows)) % FOLDS)

    return Trial(observe(reference), task(calibration), task(test))


def _standardised(view: Float64, reference: Float64) -> Float64:
    """Return the view (N, D), standardised by the mean and spread of the references, in rows of length 1 (or 0)."""
    spread = reference.std(axis=0)
    centred = (view - reference.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return unit(centred)
