"""What a camera and LiDAR pair trained from scratch finds in towns that it has never seen.

    for seed in 1 2 101 102 103 11 12 13 14 15; do any2any simulate town$seed --seed $seed; done
    python benchmarks/liploc.py --weights WEIGHTS/best.pth --train town1 --train town2 --train town101 \\
      --train town102 --train town103 --test town11 --test town12 --test town13 --test town14 --test town15

Lap 01 of each test town asks its lap 00, another season and in part the other way round, within the usual hit radius.
Beside the trained pair (docs/liploc.md says how: `any2any train liploc`): the encoders without weights, `camera` and
`lidar`, and, from one sensor to the other, what these can do: CSA taught on both laps of the --train towns. Of both
sensors together, what a map would say that is calibrated on half of the streets and asked on the other half.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from confidence import Laps, by_place, encoded
from numpy.typing import NDArray
from tqdm import tqdm

from any2any_ros import encoders
from any2any_ros.calibration import evaluation
from any2any_ros.calibration.fitting import calibrate
from any2any_ros.calibration.task import Task
from any2any_ros.data import splits
from any2any_ros.data.sources import ON_ROADS
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.learning import csa
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Alignment, Encoder
from any2any_ros.retrieval.reference_map import EncoderRecord, ReferenceMap
from any2any_ros.retrieval.retriever import Retriever, bare_retriever
from any2any_ros.retrieval.similarity import Pair, one_space
from any2any_ros.tables import table

SENSORS = ("camera", "lidar")
FREE, TRAINED = "without weights", "trained pair"
PLUGS = {FREE: {m: m for m in SENSORS}, TRAINED: {"camera": "liploc_camera", "lidar": "liploc"}}
PAIRS: tuple[Pair, ...] = tuple((q, r) for q in SENSORS for r in SENSORS)
RIDGE = 0.1  # of CSA; its number of directions is chosen by validation
COLUMNS = {
    "asks": "asks", "of": "of", "by": "by", "towns": "towns", "queries": "queries", "chance@1": "chance@1",
    "R@1": "recall@1", "sd": "recall@1 sd", "chance@5": "chance@5", "R@5": "recall@5", "sd of R@5": "recall@5 sd",
}  # fmt: skip


Row = dict[str, Any]


class Town:
    """The two laps of a town, encoded both ways, and the block of houses each frame of lap 01 goes round."""

    def __init__(self, folder: Path, trained: dict[str, Encoder]) -> None:
        free = Laps.of(folder)
        self.name, self.square = folder.name, free.square
        self.laps = {
            FREE: (free.mapped.only(SENSORS), free.driven.only(SENSORS)),
            TRAINED: (encoded(folder, "00", trained, "liploc"), encoded(folder, "01", trained, "liploc")),
        }


def taught(towns: list[Path]) -> dict[Pair, Alignment]:
    """Return CSA between the sensors' vectors without weights, by both laps of some towns."""
    laps = [lap.only(SENSORS) for town in map(Laps.of, towns) for lap in (town.mapped, town.driven)]
    camera, lidar = (np.concatenate([lap.embeddings[m] for lap in laps]) for m in SENSORS)
    return {
        ("camera", "lidar"): csa.fit_by_validation(camera, lidar, ridge=RIDGE),
        ("lidar", "camera"): csa.fit_by_validation(lidar, camera, ridge=RIDGE),
    }


def trial(town: Town, records: Mapping[str, dict[str, EncoderRecord]], rival: Mapping[Pair, Alignment]) -> list[Row]:
    """Return a row for each question and kind of encoder, on one town."""
    rows: list[Row] = []
    for kind, (mapped, driven) in town.laps.items():
        alignments = {**one_space(PAIRS), **rival} if kind == FREE else one_space(PAIRS)
        for pair, alignment in alignments.items():
            by = f"{kind}, CSA" if kind == FREE and pair in rival else kind
            group = asked(bare_retriever(mapped, RawMean(), {pair: alignment}), driven.only([pair[0]]), mapped)
            rows.append({"asks": pair[0], "of": pair[1], "by": by} | group)
        halves = list(calibrated(ReferenceMap(mapped, records[kind], town.name), driven, town.square))
        mean = {k: float(np.mean([h[k] for h in halves])) for k in halves[0] if k.startswith(("recall", "chance"))}
        rows.append({"asks": "both", "of": "both", "by": kind, "queries": sum(h["queries"] for h in halves)} | mean)
    return [{"town": town.name} | row for row in rows]


def asked(retriever: Retriever, queries: ObservationSet, mapped: ObservationSet) -> Row:
    """Return the figures of the queries' largest pattern."""
    right = splits.positives(queries.poses, mapped.poses, ON_ROADS.hit_radius)
    return evaluation.evaluate(retriever, Task(queries, right))[-1]


def calibrated(reference: ReferenceMap, driven: ObservationSet, square: NDArray[np.intp]) -> Iterator[Row]:
    """Yield the figures of both sensors together, calibrated on each half of the streets, asked on the other."""
    for half in (0, 1):
        first = square % 2 == half
        case = by_place(reference.places, driven.take(first), driven.take(~first), ON_ROADS)
        yield asked(Retriever(reference, calibrate(reference, case.task)), case.test, reference.places)


def summary(rows: list[Row]) -> list[Row]:
    """Return the mean over towns of each question, and the spread of the recalls."""
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
    parser.add_argument("--train", type=Path, action="append", required=True, help="a town that CSA learns from")
    parser.add_argument("--test", type=Path, action="append", required=True, help="a town that nothing has learnt from")
    parser.add_argument("--json", type=Path, help="also write the figures there")
    arguments = parser.parse_args()
    built = {
        FREE: {m: encoders.build(plug) for m, plug in PLUGS[FREE].items()},
        TRAINED: {m: encoders.build(plug, {"model": str(arguments.weights)}) for m, plug in PLUGS[TRAINED].items()},
    }
    records = {kind: {m: EncoderRecord.of(e) for m, e in both.items()} for kind, both in built.items()}
    rival = taught(arguments.train)
    rows: list[Row] = []
    for folder in tqdm(arguments.test, desc="towns"):
        rows += trial(Town(folder, built[TRAINED]), records, rival)
    print(table(summary(rows), COLUMNS))
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows, "summary": summary(rows)}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
