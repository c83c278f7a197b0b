"""How soon the calibration's not fitting any more is noticed, and how often without cause.

    python benchmarks/drift.py --town TOWN [--town ...] [--season TOWN_WITH_ANOTHER_SECOND_LAP] [--json FILE]

Each town (`any2any simulate`, and benchmarks/confidence.py keeps its embeddings beside it) is calibrated on half of its
streets. Unchanged: drives of 1000 queries, strung together at random from stretches of 40 frames of the other half.
Changed: the same streets through an overexposed camera (pixel values x 3), a LiDAR whose ranges are 20 % long, and,
with --season, a lap in another season by the same town's own map. Fractions over towns, halves and random starts.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from confidence import Laps
from numpy.typing import NDArray
from tqdm import tqdm

from any2any_ros import encoders
from any2any_ros.data import kitti
from any2any_ros.methods.drift import DriftTest, Familiarity
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.calibration import best_similarity
from any2any_ros.retrieval.similarity import SimilarityMatrix, same_modality
from any2any_ros.tools._tables import table

Float64 = NDArray[np.float64]
LONG, STRETCH, RUNS = 1000, 40, 20  # queries of an unchanged drive, frames strung together, drives for each case
SOON = 100  # queries within which a change must be noticed


def familiar(mapped: ObservationSet, queries: ObservationSet) -> dict[str, Float64]:
    """Return how alike each sensor finds the best place of the map, (Q,) a modality."""
    return best_similarity(SimilarityMatrix(mapped, same_modality(mapped.modalities)), queries)


def noticed(calibration: Mapping[str, Float64], drive: Mapping[str, Float64], seed: int) -> tuple[int, tuple[str, ...]]:
    """Return after how many queries the test warned (0: never), and of whom."""
    test = DriftTest(Familiarity.fit(calibration), seed)
    for i in range(len(next(iter(drive.values())))):
        test.update({m: float(values[i]) for m, values in drive.items()})
        if test.suspects:
            return i + 1, test.suspects
    return 0, ()


def strung(drive: Mapping[str, Float64], draw: np.random.Generator) -> dict[str, Float64]:
    """Return a long drive of stretches of this one, drawn at random."""
    count = len(next(iter(drive.values())))
    starts = draw.integers(0, count - STRETCH, LONG // STRETCH)
    rows = np.concatenate([np.arange(s, s + STRETCH) for s in starts])
    return {m: values[rows] for m, values in drive.items()}


def changed(folder: Path, driven: ObservationSet, modality: str, change: Callable[[Any], Any]) -> ObservationSet:
    """Return the second lap with one sensor's samples changed before they are encoded."""
    lap, encoder = kitti.read(folder, "01"), encoders.build(modality)
    samples = (lap.sample(modality, i) for i in range(len(lap)))
    vectors = np.stack([encoder.encode(change(s)) for s in tqdm(samples, total=len(lap), leave=False, desc=modality)])
    return ObservationSet({**driven.embeddings, modality: vectors}, driven.poses, driven.ids)


def overexposed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.clip(3.0 * pixels, 0, 255).astype(np.uint8)


def long_ranges(points: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.concatenate([1.2 * points[:, :3], points[:, 3:]], axis=1).astype(np.float32)


def worlds(folder: Path, laps: Laps) -> dict[str, ObservationSet]:
    """Return the second lap through each changed sensor."""
    return {
        "camera: exposure x 3": changed(folder, laps.driven, "camera", overexposed),
        "lidar: ranges x 1.2": changed(folder, laps.driven, "lidar", long_ranges),
    }


def halves(values: Mapping[str, Float64], square: NDArray[np.intp], half: int) -> dict[str, Float64]:
    return {m: v[square % 2 == half] for m, v in values.items()}


def trial(folder: Path, found: dict[str, list[int]], blamed: dict[str, set[str]]) -> None:
    """Add to `found` when each drive of one town was warned of (0: never)."""
    laps, draw = Laps.of(folder), np.random.default_rng(0)
    usual = familiar(laps.mapped, laps.driven)
    others = {name: familiar(laps.mapped, queries) for name, queries in worlds(folder, laps).items()}
    for half in (0, 1):
        calibration, test = halves(usual, laps.square, half), halves(usual, laps.square, 1 - half)
        for run in range(RUNS):
            when, whom = noticed(calibration, strung(test, draw), run)
            found.setdefault("unchanged", []).append(when)
            blamed.setdefault("unchanged", set()).update(whom)
        for name, values in others.items():
            drive = halves(values, laps.square, 1 - half)
            for run in range(RUNS):
                turned = {m: np.roll(v, draw.integers(len(v))) for m, v in drive.items()}
                when, whom = noticed(calibration, turned, run)
                found.setdefault(name, []).append(when)
                blamed.setdefault(name, set()).update(whom)


def season(usual_folder: Path, other_folder: Path, found: dict[str, list[int]], blamed: dict[str, set[str]]) -> None:
    """Add a lap in another season, ranked in the usual one's map and with its calibration."""
    laps, other, draw = Laps.of(usual_folder), Laps.of(other_folder), np.random.default_rng(0)
    usual, new = familiar(laps.mapped, laps.driven), familiar(laps.mapped, other.driven)
    for half in (0, 1):
        calibration, drive = halves(usual, laps.square, half), halves(new, other.square, 1 - half)
        for run in range(RUNS):
            turned = {m: np.roll(v, draw.integers(len(v))) for m, v in drive.items()}
            when, whom = noticed(calibration, turned, run)
            found.setdefault("another season", []).append(when)
            blamed.setdefault("another season", set()).update(whom)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--town", type=Path, action="append", required=True, help="a simulated town; repeat for more")
    parser.add_argument("--season", type=Path, help="the first town again, simulated with another --second-lap")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    found: dict[str, list[int]] = {}
    blamed: dict[str, set[str]] = {}
    for folder in tqdm(arguments.town, desc="towns"):
        trial(folder, found, blamed)
    if arguments.season:
        season(arguments.town[0], arguments.season, found, blamed)
    rows = [
        {
            "world": name, "drives": len(when), "warned": float(np.mean(np.array(when) > 0)),
            f"warned within {SOON}": float(np.mean([0 < w <= SOON for w in when])),
            "median": float(np.median([w for w in when if w] or [np.nan])), "of": ", ".join(sorted(blamed[name])),
        }
        for name, when in found.items()
    ]  # fmt: skip
    print(table(rows, {key: key for key in rows[0]}))
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
