"""A front and a rear camera: is a street recognised that is driven the other way, and is the heading right?

    python benchmarks/rear_camera.py --seeds 301 302 303

In each simulated town the first lap is the map, with both cameras. The second lap drives half of the blocks the other
way, in other weather (`--change`: how far it differs). Half of its blocks calibrate, and the frames of the others are
asked for, by either camera and by both. It is compared with what each camera knows again of itself alone. recall@1 is
that of all queries, with chance beside it; yaw is of the accepted answers.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from printing import print_table

from any2any_ros import metrics
from any2any_ros.alignments import Pair
from any2any_ros.arrays import Flags
from any2any_ros.data import splits
from any2any_ros.data.sources import ON_ROADS
from any2any_ros.encoders.camera import CameraEncoder
from any2any_ros.geometry import clouds
from any2any_ros.localization import planar
from any2any_ros.observation import ObservationSet
from any2any_ros.progress import progress_bar
from any2any_ros.retrieval.calibration import uncalibrated
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.retrieval.sensor_topic import RAW, SensorTopic
from any2any_ros.sim.town.camera import Camera
from any2any_ros.sim.town.settings import TownConfig
from any2any_ros.sim.town.world import build_world
from any2any_ros.workflows import build_map
from any2any_ros.workflows.calibrate import CalibrationOptions, fit

MOUNTINGS = {"camera_front": "0 0 0 0 0 0", "camera_rear": "0 0 0 0 0 3.14159265"}
PATTERNS = (("camera_front",), ("camera_rear",), ("camera_front", "camera_rear"))
ALONE: tuple[Pair, ...] = tuple((m, m) for m in MOUNTINGS)  # each camera is compared with itself


@dataclass(frozen=True)
class Answer:
    """What was answered. kind: which cameras were compared. opposite: whether the street was driven the other way."""

    kind: str
    pattern: str
    opposite: bool
    right: bool
    chance: float
    accepted: bool
    yaw: float
    deviation: float


def lap_of(config: TownConfig, lap: int) -> tuple[ObservationSet, Flags, Flags]:
    """Return the frames of a lap, encoded; which are driven the other way (N,), and which are for calibration (N,)."""
    world, encoder = build_world(config, lap), CameraEncoder()
    camera = Camera(config, world.scene, world.condition)
    poses = world.lap.poses
    columns: dict[str, list[Any]] = {m: [] for m in MOUNTINGS}
    for i in progress_bar(range(len(poses)), f"town {config.seed}, lap {lap}"):
        for k, (m, mounting) in enumerate(MOUNTINGS.items()):
            picture = camera.shoot(
                poses[i] @ clouds.mounting(mounting), np.random.default_rng([config.seed, lap, i, k])
            )
            columns[m].append(encoder.encode(np.ascontiguousarray(picture[..., ::-1])))
    seen = {m: np.array(rows, dtype=np.float32) for m, rows in columns.items()}
    ids = tuple(f"{lap}/{i:06d}" for i in range(len(poses)))
    mountings = {m: clouds.mounting(text) for m, text in MOUNTINGS.items()}
    first_half = world.lap.street // 4 < config.squares // 2
    return (
        ObservationSet(seen, np.asarray(poses, dtype=np.float64), ids, mountings=mountings),
        world.lap.opposite,
        np.asarray(first_half),
    )


def map_of(places: ObservationSet) -> ReferenceMap:
    """Return a map of places, as of a bag with the pictures of both cameras."""
    made = {m: CameraEncoder() for m in MOUNTINGS}
    return replace(
        build_map.as_map(places, made, "town"), base_frame="base_link",
        topics={m: SensorTopic(f"/{m}/image_raw", RAW, m) for m in MOUNTINGS},
    )  # fmt: skip


def answers(config: TownConfig) -> Iterator[Answer]:
    """Yield the answers to the test frames of a town."""
    places, *_ = lap_of(config, 0)
    queries, opposite, calibrates = lap_of(config, 1)
    reference, tests = map_of(places), np.flatnonzero(~calibrates)
    right = splits.positives(queries.poses, places.poses, ON_ROADS.hit_radius)
    for kind, pairs in (("either", ()), ("itself", ALONE)):
        baseline = Retriever(reference, uncalibrated(reference, ON_ROADS.hit_radius, pairs))
        fitted = fit(reference, queries.take(calibrates), CalibrationOptions(ON_ROADS), baseline=baseline)
        retriever = Retriever(reference, fitted)
        row = {name: i for i, name in enumerate(places.ids)}
        for i in tests[right[tests].any(axis=1)].tolist():
            chance = metrics.chance([int(right[i].sum())], [len(places)], 1)
            for pattern in PATTERNS:
                ranking = retriever.rank(queries.observation(i).only(pattern), 1)
                best = ranking.matches[0]
                error = planar.between(planar.of(best.pose), planar.of(queries.poses[i]))
                deviation = float(np.sqrt(best.covariance[2, 2]))
                hit, name = bool(right[i, row[best.id]]), " + ".join(m.removeprefix("camera_") for m in pattern)
                yield Answer(
                    kind, name, bool(opposite[i]), hit, chance, ranking.accepted, abs(float(error[2])), deviation
                )


def figures(found: Sequence[Answer]) -> list[dict[str, Any]]:
    """Return a row for each way of comparing, pattern and direction."""
    rows = []
    for kind, pattern, opposite in dict.fromkeys((a.kind, a.pattern, a.opposite) for a in sorted(found, key=_order)):
        group = [a for a in found if (a.kind, a.pattern, a.opposite) == (kind, pattern, opposite)]
        taken = [a for a in group if a.accepted]
        known = [a for a in taken if a.deviation < np.pi / np.sqrt(3) * (1 - 1e-6)]
        rows.append(
            {
                "compared with": kind, "alive": pattern, "driven": "other way" if opposite else "same way",
                "queries": len(group), "chance@1": float(np.mean([a.chance for a in group])),
                "recall@1": np.mean([a.right for a in group]), "accepted": len(taken),
                "right": np.mean([a.right for a in taken]) if taken else float("nan"),
                "says heading": len(known),
                "yaw over 90": np.mean([a.yaw > np.pi / 2 for a in known]) if known else float("nan"),
            }
        )  # fmt: skip
    return rows


def _order(answer: Answer) -> tuple[str, bool, str]:
    return answer.kind, answer.opposite, answer.pattern


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[301, 302, 303], help="of the towns")
    parser.add_argument("--places", type=int, default=320, help="frames in each lap")
    parser.add_argument("--change", type=float, default=TownConfig.change, help="of the weather, from 0 to 1")
    arguments = parser.parse_args()
    towns = [
        TownConfig(seed=seed, places=arguments.places, squares=4, reverse_every=2, change=arguments.change)
        for seed in arguments.seeds
    ]
    rows = figures([answer for town in towns for answer in answers(town)])
    shown = [[f"{v:.3f}" if isinstance(v, float) else v for v in row.values()] for row in rows]
    print_table(list(rows[0]), shown)


if __name__ == "__main__":
    main()
