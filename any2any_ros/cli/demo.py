"""The whole story in one command: simulate, map, calibrate, drive, lose sensors, report.

    any2any demo
    any2any demo --out /tmp/story --seed 3
    any2any demo objects

places: a town is simulated; lap 1 becomes the map; a third of lap 2's streets calibrate it; the rest is replayed in
real time to the real nodes while camera, LiDAR, sound and captions die and return, one, two and all at once. What came
of it is printed, and kept in OUT/report.html (to look at) and OUT/report.json (the same figures).

objects: heads are trained on simulated objects; a table is laid with others; the real node looks at it and is asked for
things, typed and spoken, while cameras die. What came of it is in OUT/objects/report.html. --seed lays another table.
It takes PyTorch.

What a step made is used again by the next run; --fresh starts over.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros import share, storage, tables
from any2any_ros.calibration import evaluation, metrics, reliability
from any2any_ros.cli import _arguments, _ros, build_map, calibrate
from any2any_ros.data import bags, kitti, splits
from any2any_ros.data.kitti import KittiDrive
from any2any_ros.data.sources import ON_ROADS, DriveSource
from any2any_ros.demo import live
from any2any_ros.encoders import build as build_encoder
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import ObservationSet
from any2any_ros.progress import bar
from any2any_ros.retrieval import calibration, reference_map
from any2any_ros.retrieval.reference_map import ReferenceMap, map_encoders
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.trust.confidence import ConfidenceConfig

if TYPE_CHECKING:
    from any2any_ros.sim.town import TownConfig

CALIBRATION_SHARE = 1 / 3  # of the town's blocks
APART = 2 * ON_ROADS.hit_radius  # m between calibration and test places, at least
POINTS = 200  # of a curve in the report
FEW = 10  # rankings of a pattern that only a moment of transition makes: listed apart, no recall to speak of
# Who is silent when, as shares of the drive: each alone, two at once, three, all.
SILENCES = (
    ("camera", 0.08, 0.17),
    ("lidar", 0.21, 0.30),
    ("audio", 0.34, 0.42),
    ("text", 0.46, 0.54),
    ("camera", 0.58, 0.66), ("lidar", 0.58, 0.66),
    ("lidar", 0.70, 0.78), ("text", 0.70, 0.78),
    ("audio", 0.81, 0.88), ("camera", 0.81, 0.88), ("text", 0.81, 0.88),
    ("camera", 0.91, 0.95), ("lidar", 0.91, 0.95), ("audio", 0.91, 0.95), ("text", 0.91, 0.95),
)  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from any2any_ros.sim.town import TownConfig

    parser.add_argument(
        "what", metavar="WHAT", nargs="?", choices=("places", "objects"), default="places",
        help="places or objects (default %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--out", type=Path, default=Path("out"), help="folder for all that is made (default %(default)s)"
    )
    parser.add_argument("--fresh", action="store_true", help="make everything anew")
    _arguments.add_settings(parser, TownConfig)


def run(arguments: argparse.Namespace) -> int:
    from any2any_ros.sim import town

    config = _arguments.settings(arguments, town.TownConfig)
    out: Path = arguments.out
    if arguments.what == "objects":
        return _objects(config, out / "objects", arguments.fresh)
    _ros.prepare()
    if arguments.fresh:
        for part in ("town", "map", "bag"):
            shutil.rmtree(out / part, ignore_errors=True)
    _say("1/5 a town, two laps through it")
    town.write(out / "town", config, overwrite=True)
    laps = Laps.of(out / "town")
    _say("2/5 lap 1 becomes the map")
    reference = _map(laps, out)
    _say("3/5 a third of lap 2's streets calibrate it")
    _calibrate(laps, reference, out)
    _say("4/5 the other streets, live: five ROS 2 processes, sensors dying and returning")
    run = _drive(laps, out)
    _say("5/5 what came of it")
    report, answers = _report(laps, reference, run, out)
    _publish(report, answers, laps, reference, out)
    return 0


def _objects(config: TownConfig, out: Path, fresh: bool) -> int:
    from any2any_ros.demo import objects_demo

    if config != type(config)(seed=config.seed):
        raise Any2AnyError(
            "The objects stand in no town", "a setting of the town is given", "Leave out all but --out, --fresh, --seed"
        )
    return objects_demo.run(out, config.seed, fresh)


def _say(step: str) -> None:
    print(f"\n== {step}", flush=True)


@dataclass(frozen=True, eq=False)
class Laps:
    """The mapped lap, and the second one split by place."""

    mapped: KittiDrive
    calibration: KittiDrive
    test: KittiDrive

    @classmethod
    def of(cls, folder: Path) -> Laps:
        mapped, driven = kitti.read(folder, "00"), kitti.read(folder, "01")
        block = np.array(json.loads((folder / "town.json").read_text())["laps"]["01"]["square"])
        first = block < round(CALIBRATION_SHARE * (block.max() + 1))
        apart = splits.apart(driven.poses, driven.poses[first], APART)
        return cls(mapped, driven.take(first), driven.take(~first & apart))


def _map(laps: Laps, out: Path) -> ReferenceMap:
    source = DriveSource(laps.mapped, ON_ROADS)
    encoders = {m: build_encoder(m) for m in source.modalities}
    reference = build_map.as_map(source.observe(encoders, ON_ROADS.keyframe, bar), encoders, "town")
    reference_map.save(reference, out / "map")
    return reference


def _calibrate(laps: Laps, reference: ReferenceMap, out: Path) -> None:
    source = DriveSource(laps.calibration, ON_ROADS)
    queries = source.observe(map_encoders(reference, source.modalities), ON_ROADS.keyframe, bar)
    fitted = calibrate.fit(reference, queries, ON_ROADS)
    calibration.save(fitted, out / "map")
    print(tables.fusions(fitted.table))


def _drive(laps: Laps, out: Path) -> live.LiveRun:
    from any2any_ros.nodes.replay import Outage

    shutil.rmtree(out / "bag", ignore_errors=True)
    bags.write(laps.test, out / "bag", progress=bar)
    length = float(laps.test.stamps_ns[-1] - laps.test.stamps_ns[0]) / 1e9
    outages = tuple(Outage(name, round(a * length, 1), round(b * length, 1)) for name, a, b in SILENCES)
    shutil.rmtree(out / "logs", ignore_errors=True)
    # A domain of its own: nothing else on this machine may answer.
    os.environ.setdefault("ROS_DOMAIN_ID", str(random.randint(1, 100)))
    overrides = share.find("config", "demo.yaml")
    return live.drive(out / "map", out / "bag", outages, out / "logs", overrides, progress=True)


def _report(
    laps: Laps, reference: ReferenceMap, run: live.LiveRun, out: Path
) -> tuple[dict[str, Any], list[live.Answer]]:
    """Return all figures, and the judged rankings."""
    _, retriever, _ = calibration.open_map(out / "map", ON_ROADS.hit_radius)
    answers = live.judge(run, laps.test, retriever, ON_ROADS.hit_radius)
    source = DriveSource(laps.test, ON_ROADS)
    queries = source.observe(map_encoders(reference, source.modalities), ON_ROADS.keyframe, bar)
    right = splits.positives(queries.poses, reference.places.poses, ON_ROADS.hit_radius)
    fitted = calibration.load(out / "map")
    assert fitted is not None
    groups = live.groups(answers, len(reference))
    period = float(np.median(np.diff(laps.test.stamps_ns))) / 1e9
    return {
        "hit_radius": ON_ROADS.hit_radius,
        "processes": len(reference.encoders) + 1,
        "map": {"places": len(reference)},
        "calibration": {"queries": len(laps.calibration)},
        "test": {"queries": len(laps.test), "apart": APART},
        "fusion": fitted.fusion.plug,
        "fusions": [{k: v for k, v in row.items() if k != "patterns"} for row in fitted.table],
        "live": {"overall": _overall(answers, len(reference))},
        "continuity": live.continuity(run, laps.test, period, _source_timeout()),
        "groups": [group for group in groups if group["queries"] >= FEW],
        "transitions": [group for group in groups if group["queries"] < FEW],
        "library": evaluation.evaluate(retriever, queries, right)[::-1],
        "trust": _trust(retriever, queries, right),
    }, answers


def _trust(retriever: Retriever, queries: ObservationSet, right: NDArray[np.bool_]) -> dict[str, Any]:
    """Return how true probability, acceptance and place sets are on the test frames."""
    promised = ConfidenceConfig()
    found = reliability.outcomes(retriever, queries, right, evaluation.answerable(right), [promised.miss])
    curve = reliability.precision_by_share(found)
    return {
        "precision": promised.precision,
        "coverage": 1 - promised.miss,
        "outside": promised.outside,
        "groups": reliability.by_pattern(found, [promised.miss]),
        "overall": reliability.figures(found, [promised.miss]),
        "reliability": reliability.reliability(found).tolist(),
        "precision_by_share": curve[:: max(1, len(curve) // POINTS)].tolist(),
    }


def _source_timeout() -> float:
    import yaml

    config = yaml.safe_load(share.find("config", "demo.yaml").read_text())
    return float(config["retrieval"]["ros__parameters"]["source_timeout"])


def _overall(answers: list[live.Answer], references: int) -> dict[str, Any]:
    probability = np.array([a.ranking.probability for a in answers])
    hit: NDArray[np.bool_] = np.array([a.hit for a in answers])
    latency = 1e3 * np.array([a.latency for a in answers])
    accepted = np.array([a.ranking.accepted for a in answers])
    return {
        "queries": len(answers),
        "chance@1": metrics.chance([a.positives for a in answers], references, 1),
        "recall@1": float(hit.mean()),
        **reliability.summary(probability, hit, accepted),
        "latency_p50_ms": float(np.percentile(latency, 50)),
        "latency_p99_ms": float(np.percentile(latency, 99)),
        "library_agrees": sum(a.agrees for a in answers),
    }


def _publish(
    report: dict[str, Any], answers: list[live.Answer], laps: Laps, reference: ReferenceMap, out: Path
) -> None:
    from any2any_ros.demo import report as page

    print("\nEvery subset of the sensors, on all test frames (library)")
    print(tables.groups(report["library"]))
    print("\nHow true its numbers are, on the same frames (library)")
    print(tables.trust(report["trust"]["groups"]))
    print("\nLive, by the sensors that were alive")
    print(tables.groups(report["groups"]))
    told = report["continuity"]
    slowest = max(d["noticed_after"] for d in told["deaths"])
    print(f"\n{told['answered']} of {told['frames']} frames with a living sensor answered; "
          f"slowest dropout noticed after {slowest:.2f} s (allowed {told['allowed_delay']:.2f} s)")  # fmt: skip
    storage.write_json(out / "report.json", report)
    page.write(out / "report.html", report, answers, laps.test, laps.mapped, reference, laps.calibration.poses)
    print(f"\nLook at {out / 'report.html'}")
