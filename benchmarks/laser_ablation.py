"""What each part of the laser scan descriptor contributes: python benchmarks/laser_ablation.py LOG...

Protocol: keyframes are 0.5 m of driving apart. Each keyframe is a query. Its references are all keyframes of the same
log more than 20 m away along the path ("all"), or those of them that were recorded before it ("earlier", as in
published figures of raw scans). A hit is nearer than 2 m. Only queries with a possible hit count.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist

from any2any_ros import metrics
from any2any_ros.arrays import Flags, Float64, Floats
from any2any_ros.data import carmen, splits
from any2any_ros.data.drive import keyframes
from any2any_ros.data.sources import IN_BUILDINGS
from any2any_ros.encoders.laser_scan import LaserScanConfig, LaserScanEncoder
from any2any_ros.samples import Scan

Similarity = Floats  # (Q, R)
Method = Callable[[list[Scan]], Similarity]
HEADINGS = (30, 60, 90)  # degrees


class Unweighted(LaserScanEncoder):
    def _figures(self, points: Any) -> Any:
        cell, weight = super()._figures(points)
        return cell, np.ones_like(weight)


class Unrooted(LaserScanEncoder):
    def _hashed(self, histogram: Any) -> Any:
        return super()._hashed(histogram**2)


def raw_profile(scans: list[Scan]) -> Similarity:
    """Return the negative L1 distance between range profiles, capped at 15 m, in steps of 3 degrees."""
    ranges = np.minimum([scan.ranges for scan in scans], 15.0)
    profile = ranges.reshape(len(scans), 60, -1).mean(axis=2)
    return np.asarray(-cdist(profile, profile, "cityblock"))


def birds_eye(scans: list[Scan]) -> Similarity:
    """Return the cosine between blurred grids of the points, with cells of 1 m. It depends on the heading."""
    bearing = scans[0].angle_min + np.arange(len(scans[0].ranges)) * scans[0].angle_increment
    grids = []
    for scan in scans:
        near = scan.ranges < 20.0
        x, y = (scan.ranges[near] * turn(bearing[near]) for turn in (np.cos, np.sin))
        grid = np.histogram2d(x, y, bins=(22, 40), range=((-2, 20), (-20, 20)))[0]
        grids.append(np.sqrt(gaussian_filter(grid, 1.0, mode="constant")).ravel())
    vectors = np.array(grids) / np.linalg.norm(grids, axis=1, keepdims=True)
    return np.asarray(vectors @ vectors.T)


def descriptor(kind: type[LaserScanEncoder] = LaserScanEncoder, **settings: Any) -> Method:
    def similarity(scans: list[Scan]) -> Similarity:
        encoder = kind(LaserScanConfig(**settings))
        vectors = np.array([encoder.encode(scan) for scan in scans])
        return np.asarray(vectors @ vectors.T)

    return similarity


VARIANTS: dict[str, Method] = {
    "raw range profile, L1": raw_profile,
    "blurred bird's eye view": birds_eye,
    "**the descriptor**": descriptor(),
    "without surface directions": descriptor(angle_bins=1),
    "without distance to the sensor": descriptor(range_bins=1),
    "without distance between the points": descriptor(distance_bins=1),
    "only the distance between the points": descriptor(angle_bins=1, range_bins=1),
    "bins of equal length": descriptor(scale=1000.0),
    "without root": descriptor(Unrooted),
    "without weights": descriptor(Unweighted),
    "reach 15 m": descriptor(reach=15.0),
    "90 sectors": descriptor(sectors=90),
    "360 sectors": descriptor(sectors=360),
    "256 dimensions": descriptor(dimension=256),
    "512 dimensions": descriptor(dimension=512),
    "16384 dimensions": descriptor(dimension=16384),
}


def load(log: Path) -> tuple[list[Scan], Float64]:
    drive = carmen.read(log)
    drive = drive.take(keyframes(drive.poses, IN_BUILDINGS.keyframe))
    scans = [drive.sample("laser_scan", i) for i in range(len(drive))]
    return [scan for scan in scans if scan is not None], drive.poses


def relevant(similarity: Similarity, allowed: Flags, positive: Flags) -> Flags:
    """Return (Q, 5): which of the best five references are right."""
    best = np.argsort(np.where(allowed, -similarity, np.inf), axis=1, kind="stable")[:, :5]
    return np.take_along_axis(positive, best, axis=1)


def protocols(poses: Float64) -> list[tuple[str, Flags, Flags]]:
    """Return name, allowed (N, N) and positive (N, N) references of both protocols."""
    apart = splits.same_drive(poses, IN_BUILDINGS.path_gap)
    near = splits.positives(poses, poses, IN_BUILDINGS.hit_radius)
    return [("all", apart, apart & near), ("earlier", np.tril(apart), np.tril(apart & near))]


def recalls(hits: Flags) -> list[float]:
    return [metrics.recall_at_k(hits, k) for k in (1, 5)]


def ceiling(similarity: Similarity, poses: Float64, allowed: Flags, positive: Flags) -> list[float]:
    """Return for each of HEADINGS the share of queries with a positive of so similar a heading, and their R@1."""
    heading = np.degrees(np.arctan2(poses[:, 1, 0], poses[:, 0, 0]))
    turn = np.abs((heading[:, None] - heading[None, :] + 180) % 360 - 180)
    hits, counts = relevant(similarity, allowed, positive), positive.any(axis=1)
    facing = [(positive & (turn < degrees)).any(axis=1) for degrees in HEADINGS]
    return [x for f in facing for x in (f.sum() / counts.sum(), metrics.recall_at_k(hits[f], 1))]


def row(name: str, shares: list[float]) -> str:
    return f"| {name} | {' | '.join(f'{100 * share:.1f}' for share in shares)} |"


def print_variants(name: str, scans: list[Scan], poses: Float64) -> None:
    print(f"\n| {name} | R@1 all | R@5 all | R@1 earlier | R@5 earlier |\n|{'---|' * 5}")
    for variant, method in VARIANTS.items():
        similarity = method(scans)
        shares = []
        for _, allowed, positive in protocols(poses):
            shares += recalls(relevant(similarity, allowed, positive)[positive.any(axis=1)])
        print(row(variant, shares), flush=True)


def print_summary(name: str, scans: list[Scan], poses: Float64) -> None:
    similarity = descriptor()(scans)
    for protocol, allowed, positive in protocols(poses):
        answerable = positive.any(axis=1)
        hits = relevant(similarity, allowed, positive)[answerable]
        chance = metrics.chance(positive[answerable].sum(axis=1), allowed[answerable].sum(axis=1), 1)
        shares = [chance, *recalls(hits), *ceiling(similarity, poses, allowed, positive)]
        print(row(f"{name} | {protocol} | {answerable.sum()}", shares))


def main(logs: list[Path]) -> None:
    drives = {log.name.split(".")[0]: load(log) for log in logs}
    for name, drive in drives.items():
        print_variants(name, *drive)
    facing = "".join(f" < {degrees} deg | its R@1 |" for degrees in HEADINGS)
    print(f"\n| log | references | queries | chance | R@1 | R@5 |{facing}")
    print(f"|{'---|' * (6 + 2 * len(HEADINGS))}")
    for name, drive in drives.items():
        print_summary(name, *drive)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path, nargs="+", help="a CARMEN log, .log or .log.gz")
    main(parser.parse_args().log)
