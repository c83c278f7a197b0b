"""How far poses of accepted answers are from the true ones, and whether their covariances are true.

    python benchmarks/poses.py TOWN TOWN ... --json FILE      folders of `any2any simulate TOWN --seed N`
    python benchmarks/poses.py --real DATA                    KITTI and laser logs, as for benchmarks/real.py

In each town the first lap is the map, a third of the second lap's streets calibrates, and the others are asked for,
with every subset of the sensors. The answers of all towns are pooled. Of a real drive, half of the queries calibrate
and those test that are two radii of a hit away from them, in ten draws (benchmarks/small_calibrations.py). coverage95:
share of the accepted answers, wrong ones among them, that lie within the ellipsoid of x, y and yaw that must hold 95 %.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import small_calibrations
from printing import print_table
from real_sets import machine
from real_sets.trust_drives import TrustDrive

from any2any_ros import encoders, files
from any2any_ros.calibration import pose_errors
from any2any_ros.calibration.pose_errors import PoseError
from any2any_ros.calibration.task import Task
from any2any_ros.data import splits
from any2any_ros.data.sources import ON_ROADS, DriveSource
from any2any_ros.demo import town_laps
from any2any_ros.localization.pose_errors import PoseErrors
from any2any_ros.progress import progress_bar
from any2any_ros.retrieval import calibration, reference_map
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.workflows import build_map
from any2any_ros.workflows.calibrate import CalibrationOptions, fit


def measured(town: Path) -> tuple[list[PoseError], PoseErrors]:
    """Return the errors of all answers of a town's test streets, and the covariances that were fitted elsewhere."""
    first, calibrates, tests = (DriveSource(drive, ON_ROADS) for drive in vars(town_laps.read(town)).values())
    made = {m: encoders.build(encoders.default(m)) for m in first.modalities}
    with tempfile.TemporaryDirectory(prefix="any2any-poses-") as home:
        reference = build_map.as_map(first.observe(made, ON_ROADS.keyframe, progress_bar), made, town.name)
        reference_map.save(reference, Path(home) / "map")
        reference = reference_map.load(Path(home) / "map")
        seen = calibrates.observe(made, ON_ROADS.keyframe, progress_bar)
        calibration.save(fit(reference, seen, CalibrationOptions(ON_ROADS)), Path(home) / "map")
        retriever = Retriever.open(Path(home) / "map", ON_ROADS.hit_radius)
        queries = tests.observe(made, ON_ROADS.keyframe, progress_bar)
        right = splits.positives(queries.poses, reference.places.poses, ON_ROADS.hit_radius)
        return pose_errors.measured(retriever, Task(queries, right)), retriever.calibration.poses


def of_drive(drive: TrustDrive) -> list[tuple[list[PoseError], PoseErrors]]:
    """Return the same of each draw of a real drive."""
    (half,) = small_calibrations.layouts(len(drive.task), small_calibrations.HALVES, ("half",))
    drawn = []
    for rows, test in progress_bar(list(small_calibrations.draws_of(drive, half)), drive.name):
        fitted = drive.calibrated(rows)
        drawn.append((drive.pose_errors(fitted, test), fitted.poses))
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("towns", type=Path, nargs="*", metavar="TOWN", help="folder of a town")
    parser.add_argument("--real", type=Path, metavar="DATA", help="folder that holds real data")
    parser.add_argument("--json", type=Path, help="file for the figures")
    given = parser.parse_args()
    machine.one_thread()
    rows = []
    if given.towns:
        found = pose_errors.pooled([measured(town) for town in given.towns])
        rows += [{"data": f"{len(given.towns)} towns"} | row for row in found]
    for drive in small_calibrations.drives(given.real, (), ()):
        rows += [{"data": drive.name} | row for row in pose_errors.pooled(of_drive(drive))]
    if not rows:
        parser.error("give a TOWN, or --real DATA")
    print_table(list(rows[0]), [[f"{v:.3g}" if isinstance(v, float) else v for v in row.values()] for row in rows])
    if given.json:
        files.write_json(given.json, {"rows": rows})


if __name__ == "__main__":
    main()
