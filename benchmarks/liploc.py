"""What a camera and LiDAR pair that was trained from scratch finds in towns that it was not trained on.

    for seed in 1 2 101 102 103 11 12 13 14 15; do any2any simulate town$seed --seed $seed; done
    python benchmarks/liploc.py --weights WEIGHTS/best.pth --train town1 --train town2 --train town101 \\
      --train town102 --train town103 --test town11 --test town12 --test town13 --test town14 --test town15

Lap 01 of each test town gives the queries and lap 00 is the map. Lap 01 is in another season and in part in the
opposite direction. A hit is within the usual radius. Rivals of the trained pair (docs/liploc.md: `any2any train
liploc`): the encoders without weights, `camera` and `lidar`, and between these two sensors CSA, fitted on both laps of
the --train towns. For both sensors together: a map that is calibrated on one half of the streets and tested on the
other half.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from cases import Laps, by_place, encoded
from tqdm import tqdm

from any2any_ros import encoders
from any2any_ros.alignments import Pair
from any2any_ros.arrays import Rows
from any2any_ros.calibration import evaluation
from any2any_ros.calibration.fitting import calibrate
from any2any_ros.calibration.task import Task
from any2any_ros.data import splits
from any2any_ros.data.sources import ON_ROADS
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.learning import csa
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Alignment, Encoder
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever, bare_retriever
from any2any_ros.retrieval.similarity import one_space
from any2any_ros.tables import table

SENSORS = ("camera", "lidar")
WEIGHT_FREE, TRAINED = "without weights", "trained pair"
PLUGS = {WEIGHT_FREE: {m: m for m in SENSORS}, TRAINED: {"camera": "liploc_camera", "lidar": "liploc"}}
PAIRS: tuple[Pair, ...] = tuple((q, r) for q in SENSORS for r in SENSORS)
RIDGE = 0.1  # of CSA; the number of its directions is selected by validation
COLUMNS = {
    "asks": "asks", "of": "of", "by": "by", "towns": "towns", "queries": "queries", "chance@1": "chance@1",
    "R@1": "recall@1", "sd": "recall@1 sd", "chance@5": "chance@5", "R@5": "recall@5", "sd of R@5": "recall@5 sd",
}  # fmt: skip


Row = dict[str, Any]


class Town:
    """The two laps of a town, encoded both ways, and the block of houses (square) beside each frame of lap 01."""

    def __init__(self, folder: Path, trained: dict[str, Encoder]) -> None:
        laps = Laps.of(folder)
        self.name, self.square = folder.name, laps.square
        self.laps = {
            WEIGHT_FREE: (laps.mapped.only(SENSORS), laps.driven.only(SENSORS)),
            TRAINED: (encoded(folder, "00", trained, "liploc"), encoded(folder, "01", trained, "liploc")),
        }


def fitted_csa(towns: list[Path]) -> dict[Pair, Alignment]:
    """Return CSA between the weight-free vectors of the two sensors, fitted on both laps of these towns."""
    laps = [lap.only(SENSORS) for town in map(Laps.of, towns) for lap in (town.mapped, town.driven)]
    camera, lidar = (np.concatenate([lap.embeddings[m] for lap in laps]) for m in SENSORS)
    return {
        ("camera", "lidar"): csa.fit_by_validation(camera, lidar, ridge=RIDGE),
        ("lidar", "camera"): csa.fit_by_validation(lidar, camera, ridge=RIDGE),
    }


def trial(town: Town, records: Mapping[str, dict[str, EncoderRecord]], rival: Mapping[Pair, Alignment]) -> list[Row]:
    """Return a row for each pair of sensors and kind of encoder, on one town."""
    rows: list[Row] = []
    for kind, (mapped, driven) in town.laps.items():
        alignments = {**one_space(PAIRS), **rival} if kind == WEIGHT_FREE else one_space(PAIRS)
        for pair, alignment in alignments.items():
            by = f"{kind}, CSA" if kind == WEIGHT_FREE and pair in rival else kind
            group = evaluated(bare_retriever(mapped, RawMean(), {pair: alignment}), driven.only([pair[0]]), mapped)
            rows.append({"asks": pair[0], "of": pair[1], "by": by} | group)
        halves = list(calibrated(ReferenceMap(mapped, records[kind], town.name), driven, town.square))
        mean = {k: float(np.mean([h[k] for h in halves])) for k in halves[0] if k.startswith(("recall", "chance"))}
        rows.append({"asks": "both", "of": "both", "by": kind, "queries": sum(h["queries"] for h in halves)} | mean)
    return [{"town": town.name} | row for row in rows]


def evaluated(retriever: Retriever, queries: ObservationSet, mapped: ObservationSet) -> Row:
    """Return the figures of the queries with all their sensors."""
    right = splits.positives(queries.poses, mapped.poses, ON_ROADS.hit_radius)
    return evaluation.evaluate(retriever, Task(queries, right))[-1]


def calibrated(reference: ReferenceMap, driven: ObservationSet, square: Rows) -> Iterator[Row]:
    """Yield the figures of both sensors together, calibrated on one half of the streets and tested on the other."""
    for half in (0, 1):
        first = square % 2 == half
        trial = by_place(reference.places, driven.take(first), driven.take(~first), ON_ROADS)
        fitted = calibrate(reference, trial.calibration)
        yield evaluated(Retriever(reference, fitted), trial.test.queries, reference.places)


def summary(rows: list[Row]) -> list[Row]:
    """Return the mean over towns for each pair of sensors, and the spread of the recalls."""
    out = []
    for key in dict.fromkeys((r["asks"], r["of"], r["by"]) for r in rows):
        these = [r for r in rows if (r["asks"], r["of"], r["by"]) == key]
        row: Row = dict(zip(("asks", "of", "by"), key, strict=True)) | {"towns": len(these)}
        row["queries"] = sum(r["queries"] for r in these)
        for k in ("chance@1", "recall@1", "chance@5", "recall@5"):
            row |= {k: float(np.mean([r[k] for r in these])), f"{k} sd": float(np.std([r[k] for r in these], ddof=1))}
        out.append(row)
    return sorted(out, key=lambda row: (row["asks"], row["of"]))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", type=Path, required=True, help="best.pth of `any2any train liploc`")
    parser.add_argument("--train", type=Path, action="append", required=True, help="a town on which CSA is fitted")
    parser.add_argument("--test", type=Path, action="append", required=True, help="a town for the test")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    arguments = parser.parse_args()
    built = {
        WEIGHT_FREE: {m: encoders.build(plug) for m, plug in PLUGS[WEIGHT_FREE].items()},
        TRAINED: {m: encoders.build(plug, {"model": str(arguments.weights)}) for m, plug in PLUGS[TRAINED].items()},
    }
    records = {kind: {m: EncoderRecord.of(e) for m, e in both.items()} for kind, both in built.items()}
    rival = fitted_csa(arguments.train)
    rows: list[Row] = []
    for folder in tqdm(arguments.test, desc="towns"):
        rows += trial(Town(folder, built[TRAINED]), records, rival)
    print(table(summary(rows), COLUMNS))
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows, "summary": summary(rows)}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
