"""What the geometric check is worth: python benchmarks/geometry.py KITTI --map-sequence 00 --query-sequence 01

The best candidates of the LiDAR descriptor alone are laid over the query's scan. Stretches of the drive take turns:
what an overlap is worth is learnt on the odd ones, and recall is that of the even ones, `APART` metres from all
odd ones. The scans of the map go through its store, so they are as thin and as rounded as a robot's.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from any2any_ros.config import PlaceConfig
from any2any_ros.data import kitti, splits
from any2any_ros.data.drive import Drive, encode, keyframes
from any2any_ros.encoders.lidar import LidarEncoder
from any2any_ros.methods.mixture import Mixture
from any2any_ros.methods.registration import Registration, RegistrationConfig, open3d
from any2any_ros.plugins import write_atomically
from any2any_ros.retrieval import metrics
from any2any_ros.retrieval.geometry import Clouds, GeometricCheck, OverlapEvidence
from any2any_ros.retrieval.search import top_k
from any2any_ros.retrieval.similarity import SimilarityMatrix, same_modality

STRETCH, APART = 60.0, 10.0  # m
FAR = 20.0  # m; nearer wrong candidates do see much the same
DEPTHS = (5, 10)  # candidates checked
Row = dict[str, Any]
Float64 = NDArray[np.float64]
Flags = NDArray[np.bool_]


def bar(loop: Iterable[Any], what: str) -> Iterator[Any]:
    yield from tqdm(loop, desc=what, leave=False, dynamic_ncols=True, disable=None)


def store(drive: Drive, folder: Path) -> Clouds:
    clouds = Clouds(folder)
    for i in bar(range(len(drive)), "storing scans"):
        clouds.add(drive.ids()[i], drive.sample("lidar", i))
    return clouds


def error(found: Registration, query: Float64, reference: Float64) -> tuple[float, float, float]:
    """Return the error in metres, that of the heading in degrees, and how far apart the headings truly are."""
    true = np.linalg.inv(reference) @ query
    away = np.linalg.inv(true) @ found.pose
    turn, apart = (abs(np.degrees(np.arctan2(m[1, 0], m[0, 0]))) for m in (away, true))
    return float(np.linalg.norm(away[:3, 3])), float(turn), float(apart)


def laid(check: GeometricCheck, queries: Drive, references: Drive, similarity: Float64, right: Flags) -> list[Row]:
    """Lay the best candidates of each query over it, one after the other."""
    rows, ids = [], references.ids()
    for q in bar(range(len(queries)), "laying scans"):
        points = queries.sample("lidar", q)
        for r in top_k(similarity[q], max(DEPTHS)):
            began = time.process_time()  # not the wall's: one thread works, and neighbours may be busy
            found = check.registrations(points, [ids[r]])[0]
            seconds = time.process_time() - began
            metres, degrees, apart = error(found, queries.poses[q], references.poses[r])
            distance = float(np.linalg.norm((queries.poses[q] - references.poses[r])[:2, 3]))
            rows.append({"query": q, "row": int(r), "right": bool(right[q, r]), "distance": distance,
                         "overlap": found.overlap, "converged": found.converged, "metres": metres, "degrees": degrees,
                         "opposite": apart > 90, "seconds": seconds})  # fmt: skip
    return rows


def area_under_curve(right: Float64, wrong: Float64) -> float:
    above = (right[:, None] > wrong).mean() + (right[:, None] == wrong).mean() / 2
    return float(above) if right.size and wrong.size else float("nan")


def alignment(rows: list[Row]) -> list[Row]:
    """Return one line for the candidates seen from the same heading, one for those from the opposite, one for all."""
    wrong = np.array([r["overlap"] for r in rows if not r["right"]])
    far = np.array([r["overlap"] for r in rows if r["distance"] > FAR])
    out = []
    for name, kept in (("same way", [False]), ("opposite way", [True]), ("all", [False, True])):
        chosen = [r for r in rows if r["right"] and r["opposite"] in kept]
        metres, degrees, overlap = (np.array([r[k] for r in chosen]) for k in ("metres", "degrees", "overlap"))
        if len(chosen):
            out.append({"right candidates": name, "n": len(chosen),
                        "converged": float(np.mean([r["converged"] for r in chosen])),
                        "metres p50": float(np.median(metres)), "metres p95": float(np.percentile(metres, 95)),
                        "degrees p50": float(np.median(degrees)), "degrees p95": float(np.percentile(degrees, 95)),
                        "overlap p5": float(np.percentile(overlap, 5)), "overlap p50": float(np.median(overlap)),
                        "wrong: n": len(wrong), "wrong: overlap p50": float(np.median(wrong)),
                        "wrong: overlap p95": float(np.percentile(wrong, 95)),
                        "AUC": area_under_curve(overlap, wrong),
                        f"AUC, wrong > {FAR:g} m": area_under_curve(overlap, far)})  # fmt: skip
    return out


def recalls(rows: list[Row], similarity: Float64, right: Flags, learn: Flags, test: Flags) -> list[Row]:
    """Return recall@1 and recall@5 of the test queries before and after the check, chance first."""
    overlap = np.full((len(DEPTHS), *similarity.shape), np.nan)
    for place, r in enumerate(rows):
        for d, depth in enumerate(DEPTHS):
            if place % max(DEPTHS) < depth:
                overlap[d, r["query"], r["row"]] = r["overlap"]
    pair = similarity[..., None, None]
    scores = Mixture.fit(pair[learn], right[learn]).score(pair)
    variants = {"LiDAR alone": scores}
    for d, depth in enumerate(DEPTHS):
        learnt = OverlapEvidence.fit(overlap[d][learn], right[learn])
        for name, evidence in (("best overlap first", None), ("overlap as evidence", learnt)):
            check = GeometricCheck(Clouds(Path()), evidence)
            variants[f"{name}, {depth} checked"] = np.array(list(map(again, repeat(check), scores, overlap[d])))
    positives = right[test].sum(axis=1)
    out = [{"ranking": "chance"} | {f"R@{k}": metrics.chance(positives, right.shape[1], k) for k in (1, 5)}]
    for name, values in variants.items():
        hits = np.array([right[q][top_k(values[q], 5)] for q in np.flatnonzero(test)])
        out.append({"ranking": name} | {f"R@{k}": metrics.recall_at_k(hits, k) for k in (1, 5)})
    return out


def again(check: GeometricCheck, scores: Float64, overlap: Float64) -> Float64:
    rows = np.flatnonzero(~np.isnan(overlap))
    return check.rescored(scores, rows, overlap[rows])


def table(rows: list[Row]) -> str:
    def cell(value: Any) -> str:
        return f"{value:.3f}" if isinstance(value, float) else str(value)

    lines = [list(rows[0]), ["---"] * len(rows[0]), *([cell(v) for v in row.values()] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def main(arguments: argparse.Namespace) -> None:
    open3d()  # before the encoding, which takes a while
    references, queries = (kitti.read(arguments.drive, s) for s in (arguments.map_sequence, arguments.query_sequence))
    queries = queries.take(keyframes(queries.poses, arguments.keyframe))
    seen = {"lidar": LidarEncoder()}
    matrix = SimilarityMatrix(encode(references, seen, bar), same_modality(("lidar",)))
    similarity = matrix(encode(queries, seen, bar))[..., 0, 0].astype(np.float64)
    right = splits.positives(queries.poses, references.poses, PlaceConfig().hit_radius)
    learn = splits.blocks(queries.poses, STRETCH) == 1
    test = ~learn & splits.apart(queries.poses, queries.poses[learn], APART) & right.any(axis=1)
    learn &= right.any(axis=1)
    with tempfile.TemporaryDirectory() as folder:
        clouds = store(references, Path(folder))
        kilobytes = np.mean([f.stat().st_size for f in clouds.folder.iterdir()]) / 1000
        rows = laid(GeometricCheck(clouds), queries, references, similarity, right)
    costs = {"CPU seconds a candidate p50": float(np.median([r["seconds"] for r in rows])),
             "p95": float(np.percentile([r["seconds"] for r in rows], 95)),
             "kB a stored scan": float(kilobytes)}  # fmt: skip
    report = {"alignment": alignment(rows), "ranking": recalls(rows, similarity, right, learn, test), "cost": [costs]}
    print(f"{len(queries)} queries, {learn.sum()} to learn from, {test.sum()} tested; {len(references)} places")
    for part in report.values():
        print(f"\n{table(part)}")
    if arguments.json:
        whole = report | {"settings": asdict(RegistrationConfig()), "candidates": rows}
        write_atomically(arguments.json, lambda s: s.write(json.dumps(whole, indent=1).encode()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("drive", type=Path, help="KITTI odometry folder, e.g. a simulated town")
    parser.add_argument("--map-sequence", default="00", metavar="NN", help="the drive that is the map")
    parser.add_argument("--query-sequence", default="01", metavar="NN", help="the drive that asks")
    parser.add_argument("--keyframe", type=float, default=4.0, metavar="METRES", help="of driving between two queries")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    main(parser.parse_args())
