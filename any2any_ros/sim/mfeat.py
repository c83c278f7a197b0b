"""UCI Multiple Features as a retrieval task: handwritten digits in six views, each view a modality.

A folder holds mfeat-fac.csv, -fou, -kar, -mor, -pix and -zer: a header, then a digit a line, its features and, last,
its class; the same digits in the same order in all six. A query is answered by the references of its own class.

van Breukelen, Duin, Tax and den Hartog, "Handwritten digit recognition by combined classifiers", Kybernetika 1998.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from any2any_ros.arrays import Float64, Rows
from any2any_ros.config import Settings, setting
from any2any_ros.data.availability import sensors_off
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import ObservationSet
from any2any_ros.sim.regimes import FOLDS, Trial

MODALITIES = ("fac", "fou", "kar", "mor", "pix", "zer")


@dataclass(frozen=True)
class MfeatConfig(Settings):
    """How the digits are dealt out; what is left is the test."""

    references: int = setting(1000, "digits that answer", minimum=2)
    calibration: int = setting(300, "digits that calibrate", minimum=FOLDS)
    missing: float = setting(
        0.5, "share of the views that are dropped, drawn for each digit", minimum=0.0, maximum=0.95
    )
    empty: bool = setting(False, "whether a digit may lose all of its views")


def read(folder: Path) -> tuple[dict[str, Float64], Rows]:
    """Return the views (N, D) by modality and the classes (N,); raise Any2AnyError unless all six are whole."""
    views: dict[str, Float64] = {}
    classes: dict[str, Float64] = {}
    for modality in MODALITIES:
        views[modality], classes[modality] = _read_view(Path(folder) / f"mfeat-{modality}.csv")
    first = classes[MODALITIES[0]]
    for modality, found in classes.items():
        if not np.array_equal(found, first):
            raise Any2AnyError(
                f"The views in {folder} do not belong together",
                f"'{modality}' has {len(found)} digits, '{MODALITIES[0]}' has {len(first)}, or of other classes",
                "Get all six files again, from one place",
            )
    return views, first.astype(np.intp)


def _read_view(path: Path) -> tuple[Float64, Float64]:
    """Return features (N, D) and classes (N,) of one file."""
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
    """Return the digits of `folder` dealt out by `seed`: references, calibration and test share none.

    Views are standardised by the references, whole, and L2-normalised. Poses are unknown (NaN). Raises Any2AnyError
    on a folder that is not whole, or with too few digits.
    """
    views, classes = read(folder)
    spoken_for = config.references + config.calibration
    if len(classes) <= spoken_for:
        raise Any2AnyError(
            f"No digit in {folder} is left for the test",
            f"it has {len(classes)}, and {config.references} + {config.calibration} are spoken for",
            "Ask for fewer references or calibration digits",
        )
    draw = np.random.default_rng(seed)
    reference, calibration, test = np.split(draw.permutation(len(classes)), [config.references, spoken_for])
    views = {m: _standardised(view, view[reference]) for m, view in views.items()}

    def observe(rows: Rows) -> ObservationSet:
        off = sensors_off(len(rows), len(MODALITIES), config.missing, draw, config.empty)
        columns = {m: np.where(off[:, i, None], np.nan, views[m][rows]) for i, m in enumerate(MODALITIES)}
        return ObservationSet(columns, np.full((len(rows), 4, 4), np.nan), tuple(f"digit/{row:04d}" for row in rows))

    return Trial(
        "mfeat",
        observe(reference),
        observe(calibration),
        classes[calibration][:, None] == classes[reference],
        np.arange(len(calibration)) % FOLDS,
        observe(test),
        classes[test][:, None] == classes[reference],
    )


def _standardised(view: Float64, reference: Float64) -> Float64:
    """Return the view (N, D) with the references' mean and spread taken out, its rows of length 1 (or all zero)."""
    spread = reference.std(axis=0)
    centred = (view - reference.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    length = np.linalg.norm(centred, axis=1, keepdims=True)
    return np.asarray(centred / np.where(length > 0, length, 1.0))
