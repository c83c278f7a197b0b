"""All figures of the demo of place recognition, as report.json holds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import yaml

from any2any_ros import share
from any2any_ros.calibration import evaluation, pose_errors, reliability
from any2any_ros.calibration.task import Task
from any2any_ros.data import splits
from any2any_ros.data.sources import ON_ROADS, DriveSource
from any2any_ros.demo import town_answers, town_live
from any2any_ros.demo.town_answers import Answer
from any2any_ros.demo.town_laps import APART, Laps
from any2any_ros.demo.town_live import LiveRun
from any2any_ros.progress import progress_bar
from any2any_ros.retrieval.reference_map import ReferenceMap, map_encoders
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.trust.confidence import ConfidenceConfig

POINTS = 200  # of a curve in the report, at most
FEW = 10  # with fewer rankings than this, a pattern is listed apart: its recall would say little


def report(laps: Laps, reference: ReferenceMap, run: LiveRun, map_folder: Path) -> tuple[dict[str, Any], list[Answer]]:
    """Return all figures, and the judged rankings of the live drive."""
    retriever = Retriever.open(map_folder, ON_ROADS.hit_radius)
    answers = town_answers.judge(run, laps.test, retriever, ON_ROADS.hit_radius)
    source = DriveSource(laps.test, ON_ROADS)
    queries = source.observe(map_encoders(reference, source.modalities), ON_ROADS.keyframe, progress_bar)
    task = Task(queries, splits.positives(queries.poses, reference.places.poses, ON_ROADS.hit_radius))
    groups = town_answers.groups(answers, len(reference))
    period = float(np.median(np.diff(laps.test.stamps_ns))) / 1e9
    return {
        "hit_radius": ON_ROADS.hit_radius,
        "processes": len(reference.encoders) + 1,
        "map": {"places": len(reference)},
        "calibration": {"queries": len(laps.calibration)},
        "test": {"queries": len(laps.test), "apart": APART},
        "fusion": retriever.fusion.plug,
        "fusions": [{k: v for k, v in row.items() if k != "patterns"} for row in retriever.calibration.table],
        "live": {"overall": town_answers.overall(answers, len(reference))},
        "continuity": town_live.continuity(run, laps.test, period, _source_timeout()),
        "groups": [group for group in groups if group["queries"] >= FEW],
        "transitions": [group for group in groups if group["queries"] < FEW],
        "library": evaluation.evaluate(retriever, task)[::-1],
        "trust": _reliability(retriever, task),
        "pose": _poses(retriever, task),
    }, answers


def _poses(retriever: Retriever, task: Task) -> list[dict[str, Any]]:
    """Return how far the poses of accepted answers are from the true ones, by pattern."""
    return pose_errors.figures(pose_errors.measured(retriever, task), retriever.calibration.poses)


def _source_timeout() -> float:
    """Return the timeout that the demo's nodes run with, s."""
    config = yaml.safe_load(share.find("config", "demo.yaml").read_text())
    return float(config["retrieval"]["ros__parameters"]["source_timeout"])


def _reliability(retriever: Retriever, task: Task) -> dict[str, Any]:
    """Return how true probabilities, acceptance and place sets are on the test frames."""
    promised = ConfidenceConfig()
    outcomes = reliability.outcomes(retriever, task, [promised.miss])
    curve = reliability.precision_by_share(outcomes)
    return {
        "precision": promised.precision,
        "coverage": 1 - promised.miss,
        "outside": promised.accepted_unmapped,
        "groups": reliability.by_pattern(outcomes, [promised.miss]),
        "overall": reliability.figures(outcomes, [promised.miss]),
        "reliability": reliability.reliability(outcomes).tolist(),
        "precision_by_share": curve[:: max(1, len(curve) // POINTS)].tolist(),
    }
