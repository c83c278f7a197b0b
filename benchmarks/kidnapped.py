"""How soon a robot that was carried away knows where it is, and how often it is wrong about that.

    any2any simulate TOWN --seed 100 && python benchmarks/kidnapped.py TOWN --cuts 100 --json FILE

A drive is cut, and goes on elsewhere: the robot was carried there, and its odometry did not see it. The guard
(docs/localization.md) is localized before the cut. Measured is the way driven after it until the guard says "localized"
within 3 m of the true place; "wrong" when it says so anywhere else. A cut after which it says neither within 60 m, or
before the streets of the test end, is undecided.

The first lap is the map, a third of the streets calibrates, and the others are driven, by the LiDAR alone. Odometry is
the true motion with errors of wheels.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from printing import print_table

from any2any_ros import encoders, files
from any2any_ros.arrays import Float64
from any2any_ros.data.sources import ON_ROADS, DriveSource
from any2any_ros.demo import town_laps
from any2any_ros.localization import planar
from any2any_ros.localization.answer import Answer
from any2any_ros.localization.guard import Guard, GuardConfig
from any2any_ros.progress import progress_bar
from any2any_ros.ranking import Ranking
from any2any_ros.retrieval import calibration, reference_map
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.workflows import build_map
from any2any_ros.workflows.calibrate import CalibrationOptions, fit

SENSOR = "lidar"
NEAR = 3.0  # m from the true place up to which an answer is right
DRIFT = (0.01, 0.01, 0.002)  # m, m and rad a metre, deviations of the odometry
BEFORE, LONGEST = 20.0, 60.0  # m driven before a cut, and after it at most
JUMP = 5.0  # m between two test frames: a street lies between them that calibrated


@dataclass(frozen=True, eq=False)
class Driven:
    """A drive that was ranked: rankings, true poses (N, 3) and odometry (N, 3)."""

    name: str
    rankings: Sequence[Ranking]
    true: Float64
    odometry: Float64


def ranked(folder: Path) -> Driven:
    """Rank the test streets of a town's second lap by a map that the others calibrated."""
    first, calibrates, tests = (DriveSource(d, ON_ROADS) for d in vars(town_laps.read(folder)).values())
    made = {SENSOR: encoders.build(encoders.default(SENSOR))}
    with tempfile.TemporaryDirectory(prefix="any2any-kidnapped-") as home:
        reference = build_map.as_map(first.observe(made, ON_ROADS.keyframe, progress_bar), made, "map")
        reference_map.save(reference, Path(home) / "map")
        reference = reference_map.load(Path(home) / "map")
        queries = calibrates.observe(made, ON_ROADS.keyframe, progress_bar)
        calibration.save(fit(reference, queries, CalibrationOptions(ON_ROADS)), Path(home) / "map")
        retriever = Retriever.open(Path(home) / "map", ON_ROADS.hit_radius)
        seen = tests.observe(made, 0.0, progress_bar)
        rankings = [retriever.rank(one) for one in progress_bar(list(seen), "ranking")]
    true = np.array([planar.of(pose) for pose in seen.poses])
    return Driven(folder.name, rankings, true, _drifting(true, np.random.default_rng(0)))


def _drifting(true: Float64, draw: np.random.Generator) -> Float64:
    """Return odometry (N, 3) of a drive (N, 3): its motion, with errors that add up."""
    out = [np.zeros(3)]
    for before, now in pairwise(true):
        motion = planar.between(before, now)
        out.append(planar.after(out[-1], motion + draw.normal(size=3) * DRIFT * np.hypot(*motion[:2])))
    return np.array(out)


def cuts(driven: Driven, count: int, seed: int) -> Iterator[tuple[int, int]]:
    """Yield the last frame before each cut, and the first one after it: elsewhere, with way before and after."""
    draw, way = np.random.default_rng(seed), _way(driven.true)
    gap = np.hypot(*np.diff(driven.true[:, :2], axis=0, prepend=driven.true[:1, :2]).T) > JUMP
    began = way[np.maximum.accumulate(np.where(gap, np.arange(len(way)), 0))]  # of the street of each frame
    before, after = np.flatnonzero(way - began > BEFORE), np.flatnonzero(way < way[-1] - LONGEST / 2)
    while count:
        i, j = int(draw.choice(before)), int(draw.choice(after))
        if np.hypot(*(driven.true[i] - driven.true[j])[:2]) > 2 * BEFORE:
            count -= 1
            yield i, j


def _way(true: Float64) -> Float64:
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(true[:, :2], axis=0).T))])


def carried(driven: Driven, cut: tuple[int, int], config: GuardConfig) -> tuple[str, float]:
    """Play one cut; return "right", "wrong" or "undecided", and the way driven after it until then, m."""
    guard, way, (last, first) = Guard(config), _way(driven.true), cut
    start = int(np.searchsorted(way, way[last] - BEFORE))
    for i in range(start, last + 1):
        guard.take(Answer.of(driven.rankings[i], planar.matrix(driven.odometry[i])))
    place = driven.odometry[last]
    moved = planar.after(place, planar.inverse(driven.odometry[first]))
    for i in range(first, len(driven.true)):
        gone = float(way[i] - way[first])
        if gone > LONGEST:
            break
        if i > first and np.hypot(*(driven.true[i] - driven.true[i - 1])[:2]) > JUMP:
            break
        found = guard.take(Answer.of(driven.rankings[i], planar.matrix(planar.after(moved, driven.odometry[i]))))
        if found.relocalized and found.pose is not None:
            off = float(np.hypot(*(planar.of(found.pose) - driven.true[i])[:2]))
            return ("right" if off <= NEAR else "wrong"), gone
    return "undecided", LONGEST


def figures(driven: Driven, count: int, seed: int, config: GuardConfig) -> dict[str, Any]:
    """Return the figures of one drive."""
    outcomes = [carried(driven, cut, config) for cut in progress_bar(list(cuts(driven, count, seed)), "cuts")]
    kinds, ways = Counter(kind for kind, _ in outcomes), [way for kind, way in outcomes if kind == "right"]
    p50, p90 = np.percentile(ways, (50, 90)).round(1).tolist() if ways else (None, None)
    accepted = np.mean([ranking.accepted for ranking in driven.rankings])
    return {
        "town": driven.name, "answers": len(driven.rankings), "accepted": round(float(accepted), 3), "cuts": count,
        **{kind: kinds[kind] for kind in ("right", "wrong", "undecided")}, "way p50 m": p50, "p90": p90,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("towns", type=Path, nargs="+", metavar="TOWN", help="folder of a town")
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--agreeing", type=int, default=GuardConfig.agreeing, help="answers that must agree")
    parser.add_argument("--json", type=Path, help="file for the figures")
    given = parser.parse_args()
    rows = [figures(ranked(town), given.cuts, given.seed, GuardConfig(agreeing=given.agreeing)) for town in given.towns]
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    if given.json:
        files.write_json(given.json, {"rows": rows})


if __name__ == "__main__":
    main()
