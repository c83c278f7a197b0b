"""How soon a robot that was carried away knows where it is, and how often it is wrong about that.

    any2any simulate TOWN --seed 100 && python benchmarks/kidnapped.py TOWN --cuts 100 --json FILE
    python benchmarks/kidnapped.py TOWN DATA/laser2d/intel-corrected.log.gz DATA/laser2d/fhw-corrected.log.gz

A drive is cut, and goes on elsewhere: the robot was carried there, and its odometry did not see it. The guard
(docs/localization.md) is localized before the cut. Measured is the way driven after it until the guard says "localized"
near the true place; "wrong" when it says so anywhere else. A cut after which it says neither is undecided.

TOWN: the first lap is the map, a third of the streets calibrates, and the others are driven, by the LiDAR alone.
Odometry is the true motion with errors of wheels. Near is 3 m; waited for is 60 m, or the end of the test streets.

A laser log: as in benchmarks/real.py, the map is what was driven before, more than 20 m ago. Nothing within 4 m of the
way driven after a cut has calibrated. Odometry is that of the log's wheels, and the guard is told how they err: 2
degrees a metre, as in freiburg-079, which is not tested. The encoder, which puts the scans of the last metres together,
goes on over the cut, too. Near is 2 m; waited for is 30 m. The robot is put down where the map has at least 80 % of
that way. Encoded logs are kept in out/kidnapped.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from kidnapped_cuts import BEFORE, Cut, Drives, Step, carried, drifting, way_of
from kidnapped_logs import Log
from printing import print_table
from real_sets import machine

from any2any_ros import encoders, files
from any2any_ros.arrays import Flags, Float64
from any2any_ros.data.sources import ON_ROADS, DriveSource
from any2any_ros.demo import town_laps
from any2any_ros.localization import planar
from any2any_ros.localization.answer import Answer
from any2any_ros.localization.guard import GuardConfig
from any2any_ros.localization.hypotheses import FollowConfig
from any2any_ros.progress import progress_bar
from any2any_ros.ranking import Ranking
from any2any_ros.retrieval import calibration, reference_map
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.workflows import build_map
from any2any_ros.workflows.calibrate import CalibrationOptions, fit

SENSOR = "lidar"
LONGEST = 60.0  # m driven after a cut, at most
JUMP = 5.0  # m between two test frames: a street lies between them that calibrated


@dataclass(frozen=True, eq=False)
class Town:
    """A town whose test streets were ranked: rankings, true poses (N, 3) and odometry (N, 3)."""

    name: str
    rankings: Sequence[Ranking]
    true: Float64
    odometry: Float64
    near: float = 3.0
    follow: FollowConfig = FollowConfig()

    def cuts(self, count: int, seed: int) -> Iterator[Cut]:
        """Yield cuts with way before and after them, to a place elsewhere."""
        draw, way, ends = np.random.default_rng(seed), way_of(self.true), self._ends()
        began = way[np.maximum.accumulate(np.where(ends, np.arange(len(way)), 0))]  # of the street of each frame
        before, after = np.flatnonzero(way - began > BEFORE), np.flatnonzero(way < way[-1] - LONGEST / 2)
        while count:
            i, j = int(draw.choice(before)), int(draw.choice(after))
            if np.hypot(*(self.true[i] - self.true[j])[:2]) > 2 * BEFORE:
                count -= 1
                yield self._cut(i, j, way, ends)

    def _cut(self, last: int, first: int, way: Float64, ends: Flags) -> Cut:
        """Return the cut after a frame, at which the drive goes on at another one."""
        start, end = (int(row) for row in np.searchsorted(way, (way[last] - BEFORE, way[first] + LONGEST)))
        moved = planar.after(self.odometry[last], planar.inverse(self.odometry[first]))
        following = np.flatnonzero(ends[first + 1 : end])
        end = first + 1 + int(following[0]) if len(following) else end
        return Cut(
            [self._answer(i, self.odometry[i]) for i in range(start, last + 1)],
            [
                Step(self._answer(i, planar.after(moved, self.odometry[i])), self.true[i], float(way[i] - way[first]))
                for i in range(first, end)
            ],
        )

    def _answer(self, i: int, odometry: Float64) -> Answer:
        return Answer.of(self.rankings[i], planar.matrix(odometry))

    def _ends(self) -> Flags:
        """Return (N,): where another street begins."""
        return np.asarray(np.hypot(*np.diff(self.true[:, :2], axis=0, prepend=self.true[:1, :2]).T) > JUMP)


def town(folder: Path) -> Town:
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
    return Town(folder.name, rankings, true, drifting(true, np.random.default_rng(0)))


def figures(drive: Drives, count: int, seed: int, config: GuardConfig) -> dict[str, Any]:
    """Return the figures of one drive."""
    cuts = progress_bar(drive.cuts(count, seed), f"cuts of {drive.name}")
    outcomes = [carried(cut, drive.near, config, drive.follow) for cut in cuts]
    kinds, ways = Counter(one.kind for one in outcomes), [one.way for one in outcomes if one.kind == "right"]
    p50, p90 = np.percentile(ways, (50, 90)).round(1).tolist() if ways else (None, None)
    median = float(np.median([one.way if one.kind == "right" else np.inf for one in outcomes]))
    return {
        "drive": drive.name, "cuts": count, **{kind: kinds[kind] for kind in ("right", "wrong", "undecided")},
        "way p50 m": p50, "p90": p90, "p50 of all": round(median, 1),
        "accepted": round(float(np.mean([one.accepted for one in outcomes])), 3),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("drives", type=Path, nargs="+", metavar="DRIVE", help="folder of a town, or a laser log")
    parser.add_argument("--cuts", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--agreeing", type=int, default=GuardConfig.agreeing, help="answers that must agree")
    parser.add_argument("--json", type=Path, help="file for the figures")
    given = parser.parse_args()
    machine.one_thread()
    config = GuardConfig(agreeing=given.agreeing)
    drives: Iterator[Drives] = (town(path) if path.is_dir() else Log.read(path) for path in given.drives)
    rows = [figures(drive, given.cuts, given.seed, config) for drive in drives]
    print_table(list(rows[0]), [list(row.values()) for row in rows])
    if given.json:
        files.write_json(given.json, {"rows": rows})


if __name__ == "__main__":
    main()
