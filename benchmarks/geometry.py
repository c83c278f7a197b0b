"""What the refinement by registered scans gains, at places that were not used for calibration.

    python benchmarks/geometry.py TOWN1 TOWN2 ... --json FILE

Each TOWN is one seed (`any2any simulate TOWN1 --seed 11`), and none on which the refiner was designed. Lap 00 is the
map, and lap 01 gives the queries. One half of the streets calibrates and the other half is the test, then the other way
round, as in confidence.py, with the retriever of a robot: first ranked at once, then refined (`Retriever.refine`).
Unmapped: a third of the streets is outside of the map. Each scan is registered onto a place only once; the time is that
of the registration, without reading from disk.
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import cases
import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from any2any_ros import storage
from any2any_ros.arrays import Array, Rows
from any2any_ros.calibration import reliability
from any2any_ros.calibration.fitting import calibrate
from any2any_ros.calibration.refinement import Overlaps, ScanRegistration
from any2any_ros.calibration.reliability import Refined
from any2any_ros.calibration.task import Task, Trial
from any2any_ros.data import kitti
from any2any_ros.data.kitti import KittiDrive
from any2any_ros.geometry import clouds
from any2any_ros.geometry.clouds import Clouds
from any2any_ros.geometry.refiner import Refiner
from any2any_ros.geometry.registration import Registration, open3d
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.tables import table

SENSORS = (("lidar",), ("audio", "camera", "lidar", "text"))
MISS = 0.1
Row = dict[str, Any]
Scans = Iterator[tuple[int, Array]]


@dataclass(frozen=True, eq=False)
class CachedRefiner(Refiner):
    """Registers a scan onto a place only once, and records the seconds that this took."""

    known: dict[tuple[str, str], Registration] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    def register(self, points: NDArray[Any], ids: Iterable[str]) -> dict[str, Registration]:
        scan, wanted = hashlib.sha256(points.tobytes()).hexdigest(), list(ids)
        new = [name for name in wanted if (scan, name) not in self.known]
        began = time.process_time()  # not wall time: other processes may use the CPU
        registered = super().register(points, new)
        if new:
            self.seconds.append((time.process_time() - began) / len(new))
        self.known.update({(scan, name): registration for name, registration in registered.items()})
        return {name: self.known[scan, name] for name in wanted}


def scans(drive: KittiDrive, queries: ObservationSet, rows: Sequence[int], what: str) -> Scans:
    """Yield row and scan of those queries that have a scan. what: text of the progress bar."""
    at = {name: i for i, name in enumerate(drive.ids())}
    for row in tqdm(rows, desc=what, leave=False, dynamic_ncols=True, disable=None):
        points = drive.sample("lidar", at[queries.ids[row]])
        if points is not None:
            yield row, points


def calibrated(trial: Trial, drive: KittiDrive, refiner: Refiner) -> Retriever:
    """Return the retriever of a calibrated map whose refiner is calibrated, too."""
    places = trial.reference.ids

    def register(wanted: Mapping[int, Rows]) -> Overlaps:
        out = {}
        for row, points in scans(drive, trial.calibration.queries, list(wanted), "calibrating"):
            registrations = refiner.register(points, [places[i] for i in wanted[row]])
            out[row] = {i: r.overlap for i, r in zip(wanted[row].tolist(), registrations.values(), strict=True)}
            out[row] = {i: overlap for i, overlap in out[row].items() if not np.isnan(overlap)}
        return out

    reference = cases.as_map(trial.reference)
    return Retriever(reference, calibrate(reference, trial.calibration, scans=ScanRegistration(register)), refiner)


def tested(retriever: Retriever, drive: KittiDrive, task: Task, rows: Rows) -> list[Refined]:
    """Return the outcomes of the queries, refined and not, for each of SENSORS."""
    outcomes = []
    for pattern in SENSORS:
        queries = task.queries.only(pattern)
        usable = [i for i in rows.tolist() if all(queries.present(m)[i] for m in pattern)]
        outcomes += reliability.refined(
            retriever, replace(task, queries=queries), scans(drive, queries, usable, "+".join(pattern))
        )
    return outcomes


def halves(laps: cases.Laps, drive: KittiDrive, refiner: Refiner, every: int) -> list[Refined]:
    """Return the outcomes of both halves of the streets."""
    outcomes = []
    for trial in laps.halves():
        rows = np.flatnonzero(trial.test.answerable)[::every]
        outcomes += tested(calibrated(trial, drive, refiner), drive, trial.test, rows)
    return outcomes


def unmapped(laps: cases.Laps, drive: KittiDrive, refiner: Refiner, every: int) -> list[Refined]:
    """Return the outcomes of queries at unmapped places."""
    outcomes = []
    for trial, queries in laps.unmapped():
        rows = np.arange(len(queries))[::every]
        outcomes += tested(calibrated(trial, drive, refiner), drive, cases.unmapped_task(queries, trial), rows)
    return outcomes


def outside(outcomes: list[Refined]) -> list[Row]:
    """Return the share of answers at unmapped places that are accepted, refined and not."""
    return [
        {key: row[key] for key in ("pattern", "refined", "queries", "accepted")}
        for row in reliability.by_refinement(outcomes, MISS)
    ]


def over_seeds(runs: list[list[Row]]) -> list[Row]:
    """Return the mean of each figure over towns, and its spread as *_sd."""
    rows = []
    for same in zip(*runs, strict=True):
        row: Row = {"pattern": same[0]["pattern"], "refined": same[0]["refined"], "seeds": len(same)}
        for key in same[0].keys() - {"pattern", "refined"}:
            values = [r[key] for r in same if r[key] is not None]
            row[key] = float(np.mean(values)) if values else None
            row[f"{key}_sd"] = float(np.std(values)) if values else None
        rows.append(row)
    return rows


INSIDE = {
    "sensors": "pattern", "refined": "refined", "towns": "seeds", "n": "queries", "chance": "chance@1",
    "R@1": "recall@1", "sd": "recall@1_sd", "mean p": "mean_probability", "ECE": "expected_calibration_error",
    "accepted": "accepted", "precision": "accepted_precision", "cover@0.9": "coverage@0.9", "set@0.9": "size@0.9",
    "pose error p50 m": "metres p50", "p95": "metres p95",
}  # fmt: skip
OUTSIDE = {"sensors": "pattern", "refined": "refined", "n": "queries", "accepted": "accepted", "sd": "accepted_sd"}


def main(arguments: argparse.Namespace) -> None:
    open3d()  # raises at once when Open3D is missing: encoding takes minutes
    within, without, seconds, size = [], [], [], []
    for folder in tqdm(arguments.town, desc="towns", dynamic_ncols=True, disable=None):
        laps, drive = cases.Laps.of(folder), kitti.read(folder, "01")
        with tempfile.TemporaryDirectory() as map_folder:
            mapped = kitti.read(folder, "00")
            stored = ((mapped.ids()[i], p) for i, p in scans(mapped, laps.mapped, range(len(laps.mapped)), "storing"))
            clouds.write(Path(map_folder), stored)
            refiner = CachedRefiner(Clouds(Path(map_folder)))
            size += [file.stat().st_size / 1000 for file in Path(map_folder).iterdir()]
            within.append(reliability.by_refinement(halves(laps, drive, refiner, arguments.every), MISS))
            print(f"{folder.name}\n{table(within[-1], INSIDE)}", flush=True)
            if arguments.unmapped:
                without.append(outside(unmapped(laps, drive, refiner, arguments.every)))
                print(f"unmapped places\n{table(without[-1], OUTSIDE)}", flush=True)
            seconds += refiner.seconds
    report: Row = {"inside": over_seeds(within), "outside": over_seeds(without), "runs": within, "lost": without}
    report["cost"] = [{"seconds a candidate p50": float(np.median(seconds)),
                       "p95": float(np.percentile(seconds, 95)), "kB a stored scan": float(np.mean(size))}]  # fmt: skip
    print(f"\nall towns\n{table(report['inside'], INSIDE)}")
    if without:
        print(f"\nunmapped places\n{table(report['outside'], OUTSIDE)}")
    print(f"\n{table(report['cost'], {k: k for k in report['cost'][0]})}")
    if arguments.json:
        storage.write_json(arguments.json, report)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("town", type=Path, nargs="+", help="simulated towns, one for each seed")
    parser.add_argument("--every", type=int, default=1, help="test only every n-th query")
    parser.add_argument("--unmapped", action="store_true", help="also test queries at unmapped places")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to this file")
    main(parser.parse_args())
