"""The demo of place recognition: simulate a town, map it, calibrate, drive it again while sensors die, report."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from any2any_ros import encoders as plugs
from any2any_ros import extras, share, storage, tables
from any2any_ros.data import bags
from any2any_ros.data.sources import ON_ROADS, DriveSource
from any2any_ros.demo import town_laps, town_live, town_page, town_results
from any2any_ros.demo.town_answers import Answer
from any2any_ros.demo.town_laps import Laps
from any2any_ros.demo.town_live import LiveRun, LiveSetup
from any2any_ros.nodes import session
from any2any_ros.progress import progress_bar
from any2any_ros.retrieval import calibration, reference_map
from any2any_ros.retrieval.reference_map import ReferenceMap, map_encoders
from any2any_ros.sim import town
from any2any_ros.sim.town import TownConfig
from any2any_ros.workflows import build_map
from any2any_ros.workflows.calibrate import CalibrationOptions, fit

MADE = ("town", "map", "bag")  # what a run leaves for the next one
# Which sensor is silent from when to when, as shares of the drive: each alone, then two, three and all at once.
OUTAGES = (
    ("camera", 0.08, 0.17),
    ("lidar", 0.21, 0.30),
    ("audio", 0.34, 0.42),
    ("text", 0.46, 0.54),
    ("camera", 0.58, 0.66), ("lidar", 0.58, 0.66),
    ("lidar", 0.70, 0.78), ("text", 0.70, 0.78),
    ("audio", 0.81, 0.88), ("camera", 0.81, 0.88), ("text", 0.81, 0.88),
    ("camera", 0.91, 0.95), ("lidar", 0.91, 0.95), ("audio", 0.91, 0.95), ("text", 0.91, 0.95),
)  # fmt: skip


def run(out: Path, config: TownConfig, fresh: bool) -> int:
    """Play the whole demo into the folder `out`; fresh: make everything anew. Returns the exit code."""
    extras.require("demo", "play the demo")
    session.require_ros()
    if fresh:
        for part in MADE:
            shutil.rmtree(out / part, ignore_errors=True)
    _announce("1/5 a town, two laps through it")
    town.write(out / "town", config, overwrite=True)
    laps = town_laps.read(out / "town")
    _announce("2/5 lap 1 becomes the map")
    reference = _map(laps, out)
    _announce("3/5 a third of lap 2's streets calibrate it")
    _calibrate(laps, reference, out)
    _announce("4/5 the other streets, live: five ROS 2 processes, sensors dying and returning")
    live = _drive(laps, out)
    _announce("5/5 the results")
    report, answers = town_results.report(laps, reference, live, out / "map")
    _publish(report, answers, laps, reference, out)
    return 0


def _announce(step: str) -> None:
    print(f"\n== {step}", flush=True)


def _map(laps: Laps, out: Path) -> ReferenceMap:
    source = DriveSource(laps.mapped, ON_ROADS)
    encoders = {m: plugs.build(plugs.default(m)) for m in source.modalities}
    reference = build_map.as_map(source.observe(encoders, ON_ROADS.keyframe, progress_bar), encoders, "town")
    reference_map.save(reference, out / "map")
    return reference


def _calibrate(laps: Laps, reference: ReferenceMap, out: Path) -> None:
    source = DriveSource(laps.calibration, ON_ROADS)
    queries = source.observe(map_encoders(reference, source.modalities), ON_ROADS.keyframe, progress_bar)
    fitted = fit(reference, queries, CalibrationOptions(ON_ROADS))
    calibration.save(fitted, out / "map")
    print(tables.fusions(fitted.table))


def _drive(laps: Laps, out: Path) -> LiveRun:
    from any2any_ros.nodes.replay import Outage

    shutil.rmtree(out / "bag", ignore_errors=True)
    bags.write(laps.test, out / "bag", progress=progress_bar)
    length = float(laps.test.stamps_ns[-1] - laps.test.stamps_ns[0]) / 1e9
    outages = tuple(Outage(name, round(a * length, 1), round(b * length, 1)) for name, a, b in OUTAGES)
    shutil.rmtree(out / "logs", ignore_errors=True)
    # A domain of its own: nothing else on this machine may answer.
    os.environ.setdefault("ROS_DOMAIN_ID", str(random.randint(1, 100)))
    setup = LiveSetup(out / "map", out / "bag", out / "logs", share.find("config", "demo.yaml"))
    return town_live.drive(setup, outages, progress=True)


def _publish(report: dict[str, Any], answers: Sequence[Answer], laps: Laps, reference: ReferenceMap, out: Path) -> None:
    """Print the tables, and write report.json and report.html."""
    print("\nEvery subset of the sensors, on all test frames (library)")
    print(tables.groups(report["library"]))
    print("\nHow true the probabilities are, on the same frames (library)")
    print(tables.reliability(report["trust"]["groups"]))
    print("\nHow far the poses of accepted answers are from the true ones, on the same frames (library)")
    print(tables.poses(report["pose"]))
    print("\nLive, by the sensors that were alive")
    print(tables.groups(report["groups"]))
    continuity = report["continuity"]
    slowest = max(death["noticed_after"] for death in continuity["deaths"])
    print(f"\n{continuity['answered']} of {continuity['frames']} frames with a living sensor answered; "
          f"slowest dropout noticed after {slowest:.2f} s (allowed {continuity['allowed_delay']:.2f} s)")  # fmt: skip
    storage.write_json(out / "report.json", report)
    town_page.write(out / "report.html", report, answers, laps, reference)
    print(f"\nLook at {out / 'report.html'}")
