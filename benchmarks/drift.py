"""How soon it is noticed that the calibration no longer fits, and how often a warning has no cause.

    python benchmarks/drift.py --town TOWN [--town ...] [--season TOWN_WITH_ANOTHER_SECOND_LAP ...] [--json FILE]

Each town (`any2any simulate`; its embeddings are stored beside it) is calibrated on one half of its streets.

    unchanged  drives of 1000 queries through the other half: its stretches of 40 frames, in random order, again and
    again changed    the same streets with an overexposed camera (pixel values x 3), with a LiDAR whose ranges are 20 %
    too long,
               and, with --season, a lap in another season with the map of the same town
    outside    the map lacks these streets; here neither a warning nor its absence is promised

Figures are shares over towns, halves and random drives.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from cases import Laps
from numpy.typing import NDArray
from tqdm import tqdm

from any2any_ros import encoders, storage
from any2any_ros.arrays import Array, Rows
from any2any_ros.calibration.fitting import usual_differences
from any2any_ros.calibration.scorer import Scorer
from any2any_ros.data import kitti, splits
from any2any_ros.data.sources import ON_ROADS
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.retriever import bare_retriever
from any2any_ros.tables import table
from any2any_ros.trust.drift import DriftTest
from any2any_ros.workflows.calibrate import OUTSIDE

LONG, STRETCH, RUNS = 1000, 40, 20  # queries of a drive, frames of a stretch, drives per town, half and case
SOON = 100  # queries within which a change must be noticed


def apart(mapped: ObservationSet, drive: ObservationSet) -> dict[str, Array]:
    """Return for each sensor its difference to the most similar place of the map, (Q, D) per modality."""
    return Scorer.of(bare_retriever(mapped, RawMean())).differences(drive)


def noticed(test: DriftTest, drive: Mapping[str, Array], order: Rows) -> tuple[int, tuple[str, ...]]:
    """Return after how many queries the test warned (0: never), and of which sensors."""
    for count, i in enumerate(order, start=1):
        test.update({m: rows[i] for m, rows in drive.items()})
        if test.suspects:
            return count, test.suspects
    return 0, ()


def long_drive(rows: Rows, draw: np.random.Generator) -> Rows:
    """Return a long drive through these rows: their stretches in random order, again and again."""
    first = rows[draw.integers(STRETCH) :]
    stretches = np.split(first[: len(first) // STRETCH * STRETCH], len(first) // STRETCH)
    return np.resize(np.concatenate([stretches[i] for i in draw.permutation(len(stretches))]), LONG)


def changed(folder: Path, driven: ObservationSet, modality: str, change: Callable[[Any], Any]) -> ObservationSet:
    """Return the second lap with the samples of one sensor changed before encoding."""
    lap, encoder = kitti.read(folder, "01"), encoders.build(modality)
    samples = (lap.sample(modality, i) for i in range(len(lap)))
    vectors = np.stack([encoder.encode(change(s)) for s in tqdm(samples, total=len(lap), leave=False, desc=modality)])
    return ObservationSet({**driven.embeddings, modality: vectors}, driven.poses, driven.ids)


def overexposed(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(3.0 * pixels, 0, 255).astype(np.uint8))


def long_ranges(points: Array) -> Array:
    return np.concatenate([1.2 * points[:, :3], points[:, 3:]], axis=1).astype(np.float32)


def worlds(folder: Path, laps: Laps) -> dict[str, ObservationSet]:
    """Return the second lap with each changed sensor."""
    return {
        "camera: exposure x 3": changed(folder, laps.driven, "camera", overexposed),
        "lidar: ranges x 1.2": changed(folder, laps.driven, "lidar", long_ranges),
    }


def trial(folder: Path, seasons: list[Path]) -> list[dict[str, Any]]:
    """Return for each drive of one town when the test warned (0: never), and of which sensors."""
    laps, draw, warnings = Laps.of(folder), np.random.default_rng(0), []
    drives = {"unchanged": apart(laps.mapped, laps.driven)}
    drives |= {name: apart(laps.mapped, queries) for name, queries in worlds(folder, laps).items()}
    for other in seasons:
        drives |= {f"season: {_second_lap(other)}": apart(laps.mapped, Laps.of(other).driven)}
    for half in (0, 1):
        calibration, test = (np.flatnonzero((laps.square % 2 == half) == first) for first in (True, False))
        known = usual_differences({m: rows[calibration] for m, rows in drives["unchanged"].items()})
        near = splits.positives(laps.mapped.poses, laps.driven.poses[test], OUTSIDE * ON_ROADS.hit_radius).any(axis=1)
        elsewhere = {"outside of the map": apart(laps.mapped.take(np.flatnonzero(~near)), laps.driven)}
        for name, drive in (drives | elsewhere).items():
            for _ in range(RUNS):
                when, suspects = noticed(DriftTest(known), drive, long_drive(test, draw))
                warnings.append({"world": name, "when": when, "whom": suspects})
    return warnings


def _second_lap(folder: Path) -> str:
    return str(json.loads((folder / "town.json").read_text())["settings"]["second_lap"])


def summary(warnings: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return a row for each kind of drive."""
    rows = []
    for name in dict.fromkeys(warning["world"] for warning in warnings):
        these = [warning for warning in warnings if warning["world"] == name]
        when = np.array([warning["when"] for warning in these])
        rows.append({
            "world": name, "drives": len(these), "warned": float(np.mean(when > 0)),
            f"warned within {SOON}": float(np.mean((when > 0) & (when <= SOON))),
            "median": float(np.median(when[when > 0])) if when.any() else None,
            "of": ", ".join(sorted({m for warning in these for m in warning["whom"]})),
        })  # fmt: skip
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--town", type=Path, action="append", required=True, help="simulated town; repeat for several")
    parser.add_argument(
        "--season",
        type=Path,
        action="append",
        default=[],
        help="the same town with another --second-lap",
    )
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    arguments = parser.parse_args()
    seeds = {s: json.loads((s / "town.json").read_text())["settings"]["seed"] for s in arguments.season}
    warnings: list[dict[str, Any]] = []
    for folder in tqdm(arguments.town, desc="towns"):
        seed = json.loads((folder / "town.json").read_text())["settings"]["seed"]
        warnings += trial(folder, [s for s in arguments.season if seeds[s] == seed])
    rows = summary(warnings)
    print(table(rows, {key: key for key in rows[0]}))
    if arguments.json:
        storage.write_json(arguments.json, rows)
    return 0


if __name__ == "__main__":
    sys.exit(main())
