"""How true probability, place set and acceptance are, at places that were not used for calibration.

    python benchmarks/confidence.py --town TOWN1 --town TOWN2 ... --laser LOG ... --mfeat FOLDER --json FILE

Each TOWN is one seed (`any2any simulate TOWN1 --seed 11`). Each laser log and the digits are split --seeds times. One
half of the streets calibrates and the other half is the test, then the other way round; the figures of a seed are of
both. Without --town, five towns are simulated into a temporary folder (1 to 2 minutes each).
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from cases import Laps, as_map, calibrated, digit_trials, laser_trials, unmapped_task
from scipy.stats import norm
from tqdm import tqdm

from any2any_ros import storage
from any2any_ros.arrays import Flags, Float64
from any2any_ros.calibration import reliability
from any2any_ros.calibration.reliability import Outcome
from any2any_ros.calibration.task import Task, Trial
from any2any_ros.retrieval.calibration import Calibration
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.sim import town
from any2any_ros.tables import table

SEEDS = 5
TOWN_SEEDS = (11, 12, 13, 14, 15)  # not those on which methods were designed (1, 2), and not that of the demo (0)
EPSILONS = (0.05, 0.1, 0.2)
ALLOWED = (-0.02, 0.04)  # how far a coverage may be from the nominal one
ENOUGH = 200  # test queries per seed that a pattern needs for a row of its own


def judge(trial: Trial, fitted: Calibration, task: Task, rows: Flags) -> list[Outcome]:
    """Return the outcomes of the queries `rows` (Q,) with every subset of their sensors."""
    return reliability.outcomes(Retriever(as_map(trial.reference), fitted), task, EPSILONS, rows)


def inside(name: str, seeds: list[list[Trial]]) -> list[dict[str, Any]]:
    """Return a row for each pattern: mean over seeds, and spread as *_sd."""
    by_pattern: dict[str, list[dict[str, float]]] = {}
    fusions = set()
    for trials in tqdm(seeds, desc=name, unit="seed"):
        outcomes = []
        for trial in trials:
            fitted = calibrated(trial)
            fusions.add(fitted.fusion.plug)
            outcomes += judge(trial, fitted, trial.test, trial.test.answerable)
        groups = {p: [o for o in outcomes if o.pattern == p] for p in {o.pattern for o in outcomes}}
        reported = {p: g for p, g in groups.items() if len(g) >= ENOUGH} | {"all patterns": outcomes}
        for pattern, group in reported.items():
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


def by_chance(rows: list[dict[str, Any]]) -> tuple[int, int, float]:
    """Return the number of mean coverages, how many are outside of ALLOWED, and how many would be by chance.

    By chance: the mean number if all true coverages were nominal, from the spread over seeds.
    """
    count, missed, expected = 0, 0, 0.0
    for row in rows:
        for e in EPSILONS:
            off, sd = row[f"coverage@{1 - e:g}"] - (1 - e), row[f"coverage@{1 - e:g}_sd"]
            error = max(sd / np.sqrt(max(row["seeds"] - 1, 1)), 1e-9)
            count, missed = count + 1, missed + (not ALLOWED[0] <= off <= ALLOWED[1])
            expected += 1 - float(np.diff(norm.cdf(ALLOWED, scale=error))[0])
    return count, missed, expected


def outside(laps: list[Laps]) -> list[dict[str, Any]]:
    """Return a row for each pattern: how often answers at unmapped and at mapped places of a drive are accepted."""
    rates: dict[str, list[list[float]]] = {}
    for one in tqdm(laps, desc="unmapped", unit="seed"):
        counts: dict[str, Float64] = {}
        for trial, queries in one.unmapped():
            fitted = calibrated(trial)
            known = judge(trial, fitted, trial.test, trial.test.answerable)
            unknown = judge(trial, fitted, unmapped_task(queries, trial), np.ones(len(queries), dtype=bool))
            for i, group in enumerate((known, unknown)):
                for o in group:
                    count = counts.setdefault(o.pattern, np.zeros(5))
                    count[2 * i : 2 * i + 2] += 1, o.accepted
                    count[4] += i == 0 and o.accepted and o.right
        for pattern, (inside_n, inside_yes, outside_n, outside_yes, right) in counts.items():
            precision = right / inside_yes if inside_yes else np.nan
            row = [inside_yes / inside_n, precision, outside_yes / outside_n, outside_n]
            rates.setdefault(pattern, []).append(row)
    rows = []
    for pattern, runs in sorted(rates.items(), key=lambda item: (item[0].count("+"), item[0])):
        mapped, precisions, unmapped, count = np.array(runs).T
        known = precisions[~np.isnan(precisions)]
        rows.append({
            "pattern": pattern, "seeds": len(runs), "unmapped_queries": float(count.mean()),
            "accepted_unmapped": float(unmapped.mean()), "accepted_unmapped_worst": float(unmapped.max()),
            "accepted_mapped": float(mapped.mean()), "precision_mapped": float(known.mean()) if len(known) else None,
        })  # fmt: skip
    return rows


def towns(arguments: list[Path], temporary: Path) -> list[Laps]:
    """Return the laps of the towns; without arguments, simulate five."""
    folders = arguments or [temporary / f"town-{seed}" for seed in TOWN_SEEDS]
    for folder, seed in zip(folders, TOWN_SEEDS, strict=False):
        if not arguments:
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
    parser.add_argument("--town", type=Path, action="append", default=[], help="a simulated town; repeat for several")
    parser.add_argument("--laser", type=Path, action="append", default=[], help="a CARMEN log; repeat for several")
    parser.add_argument("--mfeat", type=Path, help="folder of the six UCI mfeat CSV files")
    parser.add_argument("--seeds", type=int, default=SEEDS, help="splits of logs and digits (default %(default)s)")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    parser.add_argument("--no-town", action="store_true", help="leave the towns out")
    arguments = parser.parse_args()
    report: dict[str, Any] = {"inside": [], "outside": []}
    with tempfile.TemporaryDirectory() as temporary:
        laps = [] if arguments.no_town else towns(arguments.town, Path(temporary))
    if laps:
        report["inside"] += inside("town", [list(one.halves()) for one in laps])
        report["outside"] += outside(laps)
    for log in arguments.laser:
        name = log.name.split("-")[0].split(".")[0]
        report["inside"] += inside(name, [list(laser_trials(log, s)) for s in range(arguments.seeds)])
    if arguments.mfeat:
        report["inside"] += inside("mfeat", [list(digit_trials(arguments.mfeat, s)) for s in range(arguments.seeds)])
    print(table(report["inside"], INSIDE))
    several = [row for row in report["inside"] if row["seeds"] >= SEEDS]
    count, missed, expected = by_chance(several)
    print(f"\nof patterns in {SEEDS} seeds or more: {count} coverages, {missed} of them outside of {ALLOWED}; "
          f"by chance, from the spread over seeds: {expected:.1f}")  # fmt: skip
    if report["outside"]:
        print("\nunmapped places\n" + table(report["outside"], OUTSIDE_COLUMNS))
    if arguments.json:
        storage.write_json(arguments.json, report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
