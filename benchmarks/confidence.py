"""How true the probability, the place set and the acceptance are, on places never calibrated on.

    python benchmarks/confidence.py --town TOWN1 --town TOWN2 ... --laser LOG ... --mfeat FOLDER --json FILE

Each TOWN is one seed (`any2any simulate TOWN1 --seed 11`); each laser log is split, and the digits are dealt, --seeds
times. Calibrated on half of the streets and tested on the other half, and the other way round; a seed's figures
are of both. Without --town five towns are simulated into a temporary folder (1 to 2 minutes each).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm
from tqdm import tqdm

from any2any_ros import encoders, storage
from any2any_ros.arrays import Flags
from any2any_ros.calibration import reliability
from any2any_ros.calibration.fitting import calibrate
from any2any_ros.calibration.reliability import Outcome
from any2any_ros.calibration.task import Task
from any2any_ros.config import PlaceConfig
from any2any_ros.data import drive, kitti, sources, splits
from any2any_ros.data.sources import ON_ROADS
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Encoder
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.calibration import Calibration
from any2any_ros.retrieval.reference_map import EncoderRecord, ReferenceMap
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.sim import mfeat, town
from any2any_ros.workflows import build_map
from any2any_ros.workflows.calibrate import FOLDS, OUTSIDE, STRETCH

SEEDS = 5
TOWN_SEEDS = (11, 12, 13, 14, 15)  # neither those that methods were designed on (1, 2) nor the demo's (0)
EPSILONS = (0.05, 0.1, 0.2)
ALLOWED = (-0.02, 0.04)  # coverage against what was asked for
ENOUGH = 200  # test queries a seed, from which a pattern is reported by itself
LASER_SQUARE = 5.0  # metres: squares of the ground that go to calibration or test together


@dataclass(frozen=True, eq=False)
class Case:
    """A map, the queries that calibrate it, and those that test it; positive and hidden as in `calibrate`."""

    reference: ObservationSet
    calibration: ObservationSet
    positive: Flags
    hidden: Flags
    folds: NDArray[np.intp]
    test: ObservationSet
    test_positive: Flags
    same_place: float
    allowed: tuple[Flags, Flags] | None = None  # of calibration and test, where the map is of the same drive

    @property
    def task(self) -> Task:
        """Return the queries that calibrate the map."""
        allowed = self.allowed[0] if self.allowed else np.ones_like(self.positive)
        return Task(self.calibration, self.positive, allowed, self.hidden, self.folds, self.same_place)

    def calibrated(self) -> Calibration:
        return calibrate(as_map(self.reference), self.task)


def as_map(places: ObservationSet) -> ReferenceMap:
    return ReferenceMap(places, {m: EncoderRecord(m, m, v.shape[1]) for m, v in places.embeddings.items()})


def by_place(reference: ObservationSet, calibration: ObservationSet, test: ObservationSet, place: PlaceConfig) -> Case:
    """Return the case of these queries; those of the test that lie near a calibration query are left out."""
    test = test.take(np.flatnonzero(splits.apart(test.poses, calibration.poses, 2 * place.hit_radius)))
    return Case(
        reference,
        calibration,
        splits.positives(calibration.poses, reference.poses, place.hit_radius),
        splits.positives(calibration.poses, reference.poses, OUTSIDE * place.hit_radius),
        splits.blocks(calibration.poses, STRETCH, FOLDS),
        test,
        splits.positives(test.poses, reference.poses, place.hit_radius),
        place.hit_radius,
    )


@dataclass(frozen=True, eq=False)
class Laps:
    """A town: the mapped lap, the second lap, and the block of houses (the "square") each frame goes round."""

    mapped: ObservationSet
    driven: ObservationSet
    square: NDArray[np.intp]

    @classmethod
    def of(cls, folder: Path) -> Laps:
        built = {m: encoders.build(m) for m in ("audio", "camera", "lidar", "text")}
        laps = [encoded(folder, s, built) for s in ("00", "01")]
        square = json.loads((folder / "town.json").read_text())["laps"]["01"]["square"]
        return cls(laps[0], laps[1], np.array(square))

    def halves(self) -> Iterator[Case]:
        for half in (0, 1):
            first = self.square % 2 == half
            calibration, test = self._parts(first, ~first)
            yield by_place(self.mapped, calibration, test, ON_ROADS)

    def unmapped(self) -> Iterator[tuple[Case, ObservationSet]]:
        """Yield, for each third of the streets, a case whose map lacks it, and the queries there."""
        for third in range(3):
            lacking, calibrating = self.square % 3 == third, self.square % 3 == (third + 1) % 3
            nearest = splits.ground_distance(self.mapped.poses, self.driven.poses).argmin(axis=1)
            mapped = self.mapped.take(np.flatnonzero(~lacking[nearest]))
            calibration, test = self._parts(calibrating, ~calibrating & ~lacking)
            case = by_place(mapped, calibration, test, ON_ROADS)
            outside = splits.apart(self.driven.poses, mapped.poses, OUTSIDE * ON_ROADS.hit_radius)
            yield case, self.driven.take(np.flatnonzero(outside & lacking))

    def _parts(self, *flags: Flags) -> list[ObservationSet]:
        return [self.driven.take(np.flatnonzero(f)) for f in flags]


def encoded(folder: Path, sequence: str, built: dict[str, Encoder], name: str = "embeddings") -> ObservationSet:
    """Return a lap's embeddings, kept beside the town for the next run, as long as the encoders are the same."""
    kept = folder / f"{name}-{sequence}"
    if (kept / "map.json").exists():
        found = reference_map.load(kept)
        if {m: r.fingerprint for m, r in found.encoders.items()} == {m: e.fingerprint for m, e in built.items()}:
            return found.places
    found = build_map.as_map(drive.encode(kitti.read(folder, sequence), built), built, sequence)
    reference_map.save(found, kept)
    return found.places


def laser_cases(path: Path, seed: int) -> Iterator[Case]:
    """Yield the halves of a log, by place: every frame may be answered by those a path gap away."""
    source = sources.open_recording(path)
    frames = source.observe({"laser_scan": encoders.build("laser_scan")}, source.place.keyframe)
    allowed = splits.same_drive(frames.poses, source.place.path_gap)
    # Squares of the ground, so that all passes of a place are on one side.
    square = splits.squares(frames.poses, LASER_SQUARE)
    coin = np.random.default_rng(seed).permutation(square.max() + 1) % 2
    for half in (0, 1):
        first = coin[square] == half
        rows = [np.flatnonzero(first), np.flatnonzero(~first)]
        rows[1] = rows[1][splits.apart(frames.poses[rows[1]], frames.poses[rows[0]], source.place.hit_radius / 2)]
        right, near = (
            splits.positives(frames.poses, frames.poses, r * source.place.hit_radius) for r in (1.0, OUTSIDE)
        )
        yield Case(
            frames, frames.take(rows[0]), (right & allowed)[rows[0]], near[rows[0]], square[rows[0]] % FOLDS,
            frames.take(rows[1]), (right & allowed)[rows[1]], source.place.hit_radius,
            (allowed[rows[0]], allowed[rows[1]]),
        )  # fmt: skip


def digit_cases(folder: Path, seed: int) -> Iterator[Case]:
    trial = mfeat.make(folder, seed)
    yield Case(
        trial.reference, trial.calibration, trial.calibration_positive, trial.calibration_positive, trial.folds,
        trial.test, trial.test_positive, 1.0,
    )  # fmt: skip


def judged(case: Case, fitted: Calibration, queries: ObservationSet, positive: Flags, asked: Flags) -> list[Outcome]:
    allowed = case.allowed[1] if case.allowed else np.ones_like(positive)
    retriever = Retriever(as_map(case.reference), fitted)
    return reliability.outcomes(retriever, Task(queries, positive, allowed), EPSILONS, asked)


def inside(name: str, seeds: list[list[Case]]) -> list[dict[str, Any]]:
    """Return a row a pattern: mean (and spread, as *_sd) over seeds, each tested on places not calibrated on."""
    by_pattern: dict[str, list[dict[str, float]]] = {}
    fusions = set()
    for cases in tqdm(seeds, desc=name, unit="seed"):
        found = []
        for case in cases:
            fitted = case.calibrated()
            fusions.add(fitted.fusion.plug)
            found += judged(case, fitted, case.test, case.test_positive, np.asarray(case.test_positive.any(axis=1)))
        groups = {p: [o for o in found if o.pattern == p] for p in {o.pattern for o in found}}
        for pattern, group in ({p: g for p, g in groups.items() if len(g) >= ENOUGH} | {"all patterns": found}).items():
            by_pattern.setdefault(pattern, []).append(reliability.figures(group, EPSILONS))
    rows = []
    for pattern in sorted(by_pattern, key=lambda p: (p == "all patterns", p.count("+"), p)):
        runs = by_pattern[pattern]
        keys = runs[0]
        row: dict[str, Any] = {"data": name, "pattern": pattern, "seeds": len(runs), "fusions": sorted(fusions)}
        known = {k: np.array([r[k] for r in runs if r[k] is not None]) for k in keys}
        row |= {k: float(v.mean()) if len(v) else None for k, v in known.items()}
        rows.append(row | {f"{k}_sd": float(v.std()) if len(v) else None for k, v in known.items()})
    return rows


def by_luck(rows: list[dict[str, Any]]) -> tuple[int, int, float]:
    """Return how many mean coverages there are, how many lie outside of ALLOWED, and how many would on average if all
    true ones were nominal, from the spread over seeds alone."""
    count, missed, expected = 0, 0, 0.0
    for row in rows:
        for e in EPSILONS:
            off, sd = row[f"coverage@{1 - e:g}"] - (1 - e), row[f"coverage@{1 - e:g}_sd"]
            error = max(sd / np.sqrt(max(row["seeds"] - 1, 1)), 1e-9)
            count, missed = count + 1, missed + (not ALLOWED[0] <= off <= ALLOWED[1])
            expected += 1 - float(np.diff(norm.cdf(ALLOWED, scale=error))[0])
    return count, missed, expected


def outside(laps: list[Laps]) -> list[dict[str, Any]]:
    """Return a row a pattern: how often a place that the map lacks is accepted, and a mapped one of the same drive."""
    found: dict[str, list[list[float]]] = {}
    for one in tqdm(laps, desc="unmapped", unit="seed"):
        counts: dict[str, NDArray[np.float64]] = {}
        for case, lost in one.unmapped():
            fitted = case.calibrated()
            known = judged(case, fitted, case.test, case.test_positive, np.asarray(case.test_positive.any(axis=1)))
            nowhere = np.zeros((len(lost), len(case.reference)), dtype=bool)
            unknown = judged(case, fitted, lost, nowhere, np.ones(len(lost), dtype=bool))
            for i, group in enumerate((known, unknown)):
                for o in group:
                    count = counts.setdefault(o.pattern, np.zeros(5))
                    count[2 * i : 2 * i + 2] += 1, o.accepted
                    count[4] += i == 0 and o.accepted and o.right
        for pattern, (inside_n, inside_yes, outside_n, outside_yes, right) in counts.items():
            precision = right / inside_yes if inside_yes else np.nan
            rates = [inside_yes / inside_n, precision, outside_yes / outside_n, outside_n]
            found.setdefault(pattern, []).append(rates)
    rows = []
    for pattern, runs in sorted(found.items(), key=lambda item: (item[0].count("+"), item[0])):
        mapped, precision, unmapped, queries = np.array(runs).T
        known = precision[~np.isnan(precision)]
        rows.append({
            "pattern": pattern, "seeds": len(runs), "unmapped_queries": float(queries.mean()),
            "accepted_unmapped": float(unmapped.mean()), "accepted_unmapped_worst": float(unmapped.max()),
            "accepted_mapped": float(mapped.mean()), "precision_mapped": float(known.mean()) if len(known) else None,
        })  # fmt: skip
    return rows


def towns(given: list[Path], temporary: Path) -> list[Laps]:
    folders = given or [temporary / f"town-{seed}" for seed in TOWN_SEEDS]
    for folder, seed in zip(folders, TOWN_SEEDS, strict=False):
        if not given:
            town.write(folder, town.TownConfig(seed=seed))
    return [Laps.of(folder) for folder in tqdm(folders, desc="encoding", leave=False)]


INSIDE = {
    "data": "data", "sensors": "pattern", "seeds": "seeds", "n": "queries", "chance": "chance@1", "R@1": "recall@1",
    "ECE": "expected_calibration_error", "accepted": "accepted", "precision": "accepted_precision",
}  # fmt: skip
for level in (f"{1 - e:g}" for e in EPSILONS):
    INSIDE |= {f"cover@{level}": f"coverage@{level}", f"set@{level}": f"size@{level}"}
OUTSIDE_COLUMNS = {
    "sensors": "pattern", "n": "unmapped_queries", "accepted": "accepted_unmapped",
    "worst seed": "accepted_unmapped_worst", "mapped accepted": "accepted_mapped", "precision": "precision_mapped",
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--town", type=Path, action="append", default=[], help="a simulated town; repeat for seeds")
    parser.add_argument("--laser", type=Path, action="append", default=[], help="a CARMEN log; repeat for more")
    parser.add_argument("--mfeat", type=Path, help="folder of the six UCI mfeat CSV files")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="deals of logs and digits (default %(default)s)")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    parser.add_argument("--no-town", action="store_true", help="leave the towns out")
    arguments = parser.parse_args()
    from any2any_ros.tables import table

    report: dict[str, Any] = {"inside": [], "outside": []}
    with tempfile.TemporaryDirectory() as temporary:
        laps = [] if arguments.no_town else towns(arguments.town, Path(temporary))
    if laps:
        report["inside"] += inside("town", [list(one.halves()) for one in laps])
        report["outside"] += outside(laps)
    for log in arguments.laser:
        name = log.name.split("-")[0].split(".")[0]
        report["inside"] += inside(name, [list(laser_cases(log, s)) for s in range(arguments.seeds)])
    if arguments.mfeat:
        report["inside"] += inside("mfeat", [list(digit_cases(arguments.mfeat, s)) for s in range(arguments.seeds)])
    print(table(report["inside"], INSIDE))
    several = [row for row in report["inside"] if row["seeds"] >= SEEDS]
    count, missed, expected = by_luck(several)
    print(f"\nof patterns in {SEEDS} seeds or more: {count} coverages, {missed} of them outside of {ALLOWED}; "
          f"by the seeds' spread alone: {expected:.1f}")  # fmt: skip
    if report["outside"]:
        print("\nplaces that the map lacks\n" + table(report["outside"], OUTSIDE_COLUMNS))
    if arguments.json:
        storage.write_json(arguments.json, report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
