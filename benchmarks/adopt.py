"""How well a sensor that a map lacks finds places in it, after learning from what the other sensors recognise.

    for seed in 201 202 203 204; do
      any2any simulate town$seed --seed $seed --thermal --places 900 --squares 15 --speed 12 --points 20000 \\
        --width 256 --height 80; done
    python benchmarks/adopt.py --town town201 --town town202 --town town203 --town town204 [--json FILE]

The map is lap 00 without the thermal camera. Lap 01 is in another season. Every fourth block of it calibrates the map,
the next two blocks are the drive of the adoption, and the fourth block is the test: the thermal camera alone, at places
that neither the calibration nor the adoption has seen (frames within 10 m of those are left out).

For comparison: heads that are fitted with the true place of every frame of the same drive (paired); heads that may not
start from a layout shared with the camera (from nothing), as for a sensor of another kind; the camera of the map on the
same frames; chance. Sensors that know no places are tried, too: noise, and the vectors of the thermal camera in random
order. The embeddings are stored in the folder of the town.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from cases import encoded
from tqdm import tqdm

from any2any_ros import encoders, storage
from any2any_ros.arrays import Rows
from any2any_ros.calibration import adoption, evaluation, reliability
from any2any_ros.calibration.adoption import AdoptionConfig
from any2any_ros.calibration.task import Task
from any2any_ros.data import splits
from any2any_ros.data.sources import ON_ROADS
from any2any_ros.learning.head import RECIPES, Recipe
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.adopted import Adopted, fingerprints
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.tables import table
from any2any_ros.workflows.calibrate import CalibrationOptions, fit

KNOWN, NEW = ("audio", "camera", "lidar", "text"), "thermal"
VIEW = {"across": 0.77, "upright": 0.32}  # the part of the thermal picture that the camera sees, too
CALIBRATION, ADOPTION, TEST = (0,), (1, 2), (3,)  # blocks of the town, modulo 4
NOISES = 5  # sensors of each useless kind, per town
FROM_NOTHING = tuple(r for r in RECIPES if not r.same_layout)


class Town:
    """One town: its map, and the parts of its second lap."""

    def __init__(self, folder: Path) -> None:
        mapped, driven = (_lap(folder, lap) for lap in ("00", "01"))
        built = {m: encoders.build(m) for m in KNOWN}
        self.record = EncoderRecord.of(encoders.build(NEW, VIEW))
        self.reference = ReferenceMap(
            mapped.only(KNOWN), {m: EncoderRecord.of(e) for m, e in built.items()}, folder.name
        )
        block = np.array(json.loads((folder / "town.json").read_text())["laps"]["01"]["square"]) % 4
        calibration, self.drive, test = (driven.take(np.isin(block, part)) for part in (CALIBRATION, ADOPTION, TEST))
        fitted = fit(self.reference, calibration.only(KNOWN), CalibrationOptions(ON_ROADS))
        self.retriever = Retriever(self.reference, fitted)
        visited = np.concatenate([calibration.poses, self.drive.poses])
        self.test = test.take(splits.apart(test.poses, visited, 2 * ON_ROADS.hit_radius))
        self.right = splits.positives(self.test.poses, mapped.poses, ON_ROADS.hit_radius)


def _lap(folder: Path, lap: str) -> ObservationSet:
    """Return the embeddings of a lap, from the file beside the town if there is one."""
    return encoded(folder, lap, {m: encoders.build(m, VIEW if m == NEW else {}) for m in (*KNOWN, NEW)}, "adopt")


def paired(town: Town, recipes: Sequence[Recipe]) -> Adopted:
    """Adopt with the true place of every frame of the drive: the best that emergent pairs could reach."""
    apart = splits.ground_distance(town.drive.poses, town.reference.places.poses)
    mapped = apart.min(axis=1) < ON_ROADS.hit_radius
    return _adopted(town, town.drive.take(mapped), apart[mapped].argmin(axis=1), recipes)


def emergent(town: Town, recipes: Sequence[Recipe]) -> Adopted:
    """Adopt as the product does: with the places that the known sensors recognise."""
    rows, matches = adoption.recognised(town.retriever, town.drive.only(KNOWN))
    return _adopted(town, town.drive.take(rows), matches, recipes)


def _adopted(town: Town, frames: ObservationSet, matches: Rows, recipes: Sequence[Recipe]) -> Adopted:
    pairs = replace(frames, poses=town.reference.places.poses[matches])
    off = np.linalg.norm((frames.poses - pairs.poses)[:, :2, 3], axis=1)
    learnt = adoption.fit_heads(town.reference.places, pairs, NEW, ON_ROADS.hit_radius, recipes)
    baseline, held_out = adoption.baseline(town.reference, pairs, NEW, learnt, ON_ROADS.hit_radius)
    fitted = fit(town.reference, held_out, CalibrationOptions(ON_ROADS), baseline=baseline)
    fitted = replace(fitted, alignments=None, encoders=fingerprints(town.reference, NEW, town.record))
    report: dict[str, Any] = {
        "pairs": len(pairs),
        "right": float(np.mean(off < ON_ROADS.hit_radius)),
        "p": learnt.p_value,
    }
    report["layout"] = "+".join(m for m, r in learnt.recipes.items() if r.same_layout)
    return Adopted(NEW, town.record, learnt.heads, fitted, report)


def figures(town: Town, retriever: Retriever, queries: ObservationSet) -> dict[str, Any]:
    """Return the recall of one sensor alone, and how true its probabilities are."""
    task = Task(queries, town.right)
    outcomes = reliability.outcomes(retriever, task, [0.1])
    (group,) = evaluation.evaluate(retriever, task)
    numbers = reliability.figures(outcomes, [0.1])
    return {
        "queries": group["queries"], "chance@1": group["chance@1"], "recall@1": group["recall@1"],
        "chance@5": group["chance@5"], "recall@5": group["recall@5"],
        "ece": numbers["expected_calibration_error"], "accepted": numbers["accepted"],
        "precision": numbers["accepted_precision"], "coverage@0.9": numbers["coverage@0.9"],
        "size@0.9": numbers["size@0.9"],
    }  # fmt: skip


def trial(town: Town, brief: bool) -> list[dict[str, Any]]:
    """Return a row for each way to adopt the thermal camera of a town, and one for its camera."""
    rows: list[dict[str, Any]] = []
    alone = town.test.only([NEW])
    for name, recipes in (("", RECIPES), (", from nothing", FROM_NOTHING))[: 1 if brief else 2]:
        for how, adopt in (("emergent", emergent), ("paired", paired)):
            adopted = adopt(town, recipes)
            rows.append({"town": town.reference.name, "thermal by": how + name} | dict(adopted.report)
                        | figures(town, adopted.retriever(town.reference), alone))  # fmt: skip
    rows.append({"town": town.reference.name, "thermal by": "(camera)"}
                | figures(town, town.retriever, town.test.only(["camera"])))  # fmt: skip
    return rows


def refusals(town: Town) -> tuple[int, int]:
    """Return how many sensors that know no places are refused, and how many were tried."""
    rows, matches = adoption.recognised(town.retriever, town.drive.only(KNOWN))
    pairs = replace(town.drive.take(rows), poses=town.reference.places.poses[matches])
    vectors, refused = pairs.embeddings[NEW], []
    for seed in range(NOISES):
        draw = np.random.default_rng(seed)
        for useless in (draw.normal(size=vectors.shape), vectors[draw.permutation(len(vectors))]):
            changed = replace(pairs, embeddings={**pairs.embeddings, NEW: useless.astype(np.float32)})
            learnt = adoption.fit_heads(town.reference.places, changed, NEW, ON_ROADS.hit_radius)
            refused.append(learnt.p_value > AdoptionConfig.doubt)
    return sum(refused), len(refused)


def summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the mean over towns, and the spread of recall@1."""
    out = []
    for name in dict.fromkeys(r["thermal by"] for r in rows):
        these = [r for r in rows if r["thermal by"] == name]
        mean = {k: _mean([r.get(k) for r in these]) for k in these[0] if k not in ("town", "thermal by", "layout")}
        spread = float(np.std([r["recall@1"] for r in these]))
        out.append({"town": f"mean of {len(these)}", "thermal by": name, **mean, "sd of recall@1": spread})
    return out


def _mean(values: Sequence[float | None]) -> float | None:
    known = [v for v in values if v is not None]
    return float(np.mean(known)) if known else None


COLUMNS = ("town", "thermal by", "pairs", "right", "queries", "chance@1", "recall@1", "chance@5", "recall@5", "ece",
           "accepted", "precision", "coverage@0.9", "size@0.9")  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--town", type=Path, action="append", required=True, help="simulated town; repeat for several")
    parser.add_argument("--brief", action="store_true", help="leave out heads from nothing and useless sensors")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    arguments = parser.parse_args()
    rows: list[dict[str, Any]] = []
    counts: list[tuple[int, int]] = []
    for folder in tqdm(arguments.town, desc="towns"):
        town = Town(folder)
        rows += trial(town, arguments.brief)
        counts += [] if arguments.brief else [refusals(town)]
    rows += summary(rows)
    print(table(rows, {key: key for key in COLUMNS}))
    if counts:
        print(f"refused: {sum(c[0] for c in counts)} of {sum(c[1] for c in counts)} sensors that know no places")
    if arguments.json:
        storage.write_json(arguments.json, {"rows": rows, "refusals": counts})
    return 0


if __name__ == "__main__":
    sys.exit(main())
