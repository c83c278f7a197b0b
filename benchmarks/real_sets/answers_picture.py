"""Draws answers: pictures with their first answers, or the map with its queries; green right, red wrong.

The pictures show data of others, so they stay in out/.
"""

from __future__ import annotations

import re
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from real_sets import scoring
from real_sets.methods import Answers
from real_sets.real_set import RealSet

GREEN, RED, GREY = (80, 152, 26), (39, 48, 215), (214, 206, 201)  # BGR
SHOWN, BEST = 8, 3  # queries, and answers of each
TILE = (192, 128)  # pixels
SIDE, MARGIN = 900, 30  # pixels of a map
Picture = NDArray[np.uint8]


def write(real: RealSet, method: str, answers: Answers, folder: Path) -> None:
    """Write one picture: FOLDER/KIND-NAME-METHOD.png."""
    drawn = _pictures(real, answers) if "camera" in real.modalities else _map(real, answers)
    if drawn is not None:
        folder.mkdir(parents=True, exist_ok=True)
        name = re.sub(r"[^\w.-]+", "_", f"{real.kind}-{real.name}-{method}")
        cv2.imwrite(str(folder / f"{name}.png"), drawn)


def _pictures(real: RealSet, answers: Answers) -> Picture:
    """Return a row for each of SHOWN queries: the query, and its first answers."""
    right = scoring.right_answers(real, answers)
    rows = np.linspace(0, len(real.queries) - 1, min(SHOWN, len(real.queries))).astype(int)
    lines = []
    for i in rows.tolist():
        tiles = [_tile(real, int(real.queries[i]), GREY)]
        for column, good in zip(answers.best[i, :BEST].tolist(), right[i].tolist(), strict=False):
            tiles.append(_tile(real, int(real.references[column]) if column >= 0 else -1, GREEN if good else RED))
        lines.append(np.hstack(tiles))
    return np.vstack(lines)


def _tile(real: RealSet, frame: int, colour: tuple[int, int, int]) -> Picture:
    sample = real.recording.drive.sample("camera", frame) if frame >= 0 else None
    picture = np.zeros((TILE[1], TILE[0], 3), np.uint8) if sample is None else cv2.resize(sample[..., ::-1], TILE)
    return np.asarray(cv2.copyMakeBorder(picture, 4, 4, 4, 4, cv2.BORDER_CONSTANT, value=colour), dtype=np.uint8)


def _map(real: RealSet, answers: Answers) -> Picture | None:
    """Return the positions of the references, and of the queries on them; None where they are unknown."""
    ground = scoring.real_poses(real)[:, :2, 3]
    if not np.isfinite(ground).all():
        return None
    low = ground.min(axis=0)
    scale = (SIDE - 2 * MARGIN) / max(float(np.ptp(ground, axis=0).max()), 1e-9)
    pixel = (MARGIN + (ground - low) * scale).astype(int)
    pixel[:, 1] = SIDE - pixel[:, 1]
    drawn = np.full((SIDE, SIDE, 3), 255, np.uint8)
    for x, y in pixel[real.references].tolist():
        cv2.circle(drawn, (x, y), 2, GREY, -1)
    for (x, y), good in zip(pixel[real.queries].tolist(), scoring.right_answers(real, answers)[:, 0], strict=True):
        cv2.circle(drawn, (x, y), 3, GREEN if good else RED, -1)
    return drawn
