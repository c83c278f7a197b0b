"""What putting the scans of the last metres together is worth: python benchmarks/laser_submaps.py LOG...

Protocol: that of benchmarks/real.py for laser logs (real_sets/laser2d.py). For every variant: R@1 of the vectors alone,
R@1 of the Retriever, which aligns images, and how far the pose of the scans drifts over 10 m of driving from that of
the mapper, in metres and degrees (median / 97 %).
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from real_sets import laser2d, road
from real_sets.real_set import RealSet

from any2any_ros.arrays import Float64
from any2any_ros.data.drive import travelled
from any2any_ros.encoders.laser_scan import LaserScanEncoder
from any2any_ros.encoders.laser_submap import LaserSubmapConfig, LaserSubmapEncoder
from any2any_ros.observation import ObservationSet
from any2any_ros.progress import silent
from any2any_ros.samples import Scan
from any2any_ros.submaps import growing, synthetic
from any2any_ros.submaps.growing import Submap
from any2any_ros.submaps.matching import Match
from any2any_ros.submaps.planar import Planar

STRETCH = 10.0  # m of driving, over which the drift is measured
FAR = 1e3  # m; nothing is so far behind what is seen


class Watched(LaserSubmapEncoder):
    """Notes where it puts each scan."""

    odometry = True

    def gather(self, sample: Scan, stamp_ns: int, odometry: Float64 | None = None) -> Submap:
        submap = super().gather(sample, stamp_ns, odometry if self.odometry else None)
        found = self.__dict__.setdefault("poses", [])
        begun = found[-1][0] if found else 0
        found.append((begun + (submap.scans == 1), self._submap._pose))
        return submap


class Blindfolded(Watched):
    odometry = False


@contextmanager
def as_it_is() -> Iterator[None]:
    yield


def guessed() -> Any:
    """Let every scan lie where it was guessed."""
    return mock.patch.object(growing, "matched", lambda scan, target, guess, trust: Match(guess, 1.0))


def unsearched() -> Any:
    """Match from the guess itself, without a search around it."""
    return mock.patch("any2any_ros.submaps.matching.searched", lambda points, target, guess, trust: guess)


def all_points() -> Any:
    """Draw what is hidden into the image, too."""
    return mock.patch.object(synthetic, "THICK", FAR)


@dataclass(frozen=True)
class Variant:
    """A row of the table."""

    name: str
    encoder: Callable[[], Any]
    changed: Callable[[], Any] = as_it_is


def of_length(metres: float) -> Callable[[], Watched]:
    return lambda: Watched(LaserSubmapConfig(length=metres))


VARIANTS = (
    Variant("a single scan (`laser_scan`)", LaserScanEncoder),
    Variant("**submaps of 15 m**", Watched),
    Variant("5 m", of_length(5.0)),
    Variant("10 m", of_length(10.0)),
    Variant("20 m", of_length(20.0)),
    Variant("by odometry alone, without matching", Watched, guessed),
    Variant("matched without a search", Watched, unsearched),
    Variant("without odometry", Blindfolded),
    Variant("cells of 0.2 m", lambda: Watched(LaserSubmapConfig(cell=0.2))),
    Variant("cells of 0.4 m", lambda: Watched(LaserSubmapConfig(cell=0.4))),
    Variant("what is hidden is in the image, too", Watched, all_points),
)


def alone(real: RealSet, observed: ObservationSet) -> float:
    """Return R@1 of the vectors by their cosine."""
    vectors = np.nan_to_num(observed.embeddings["laser_scan"])
    alike = np.where(real.allowed, vectors[real.queries] @ vectors[real.references].T, -np.inf)
    return float(real.right[np.arange(len(alike)), alike.argmax(axis=1)].mean())


def ranked(real: RealSet, observed: ObservationSet, encoder: Any) -> float:
    """Return R@1 of the Retriever."""
    maps, hits = road.GrowingMap(real, observed, {"laser_scan": encoder}), []
    ids = [observed.ids[row] for row in real.references.tolist()]
    for i, row in enumerate(real.queries.tolist()):
        matches = maps.of(real.allowed[i]).rank(observed.observation(row), 1).matches
        hits.append(bool(matches) and bool(real.right[i, ids.index(matches[0].id)]))
    return float(np.mean(hits))


def drift(found: list[tuple[int, Planar]], true: Float64) -> str:
    """Return how far the last 10 m of poses, each with the number of its submap, lie from those of the mapper (N, 4,
    4)."""
    way, off = travelled(true), []
    for i in np.flatnonzero(way >= STRETCH).tolist():
        j = int(np.searchsorted(way, way[i] - STRETCH))
        if found[i][0] != found[j][0]:
            continue
        should = Planar.of(np.asarray(np.linalg.solve(true[j], true[i]), dtype=np.float64))
        error = should.inverse().then(found[j][1].inverse().then(found[i][1]))
        off.append((abs(error.shift), np.degrees(abs(error.turn))))
    (metres, most), (degrees, widest) = np.quantile(off, [0.5, 0.97], axis=0).T
    return f"{metres:.2f} / {most:.2f} m, {degrees:.1f} / {widest:.1f} deg"


def row(variant: Variant, real: RealSet) -> str:
    with variant.changed():
        encoder = variant.encoder()
        observed = real.recording.observe({"laser_scan": encoder}, real.keyframe, silent)
        poses = getattr(encoder, "poses", None)
        drifted = drift(poses, real.recording.drive.poses[: len(poses)]) if poses else ""
        shares = (alone(real, observed), ranked(real, observed, encoder))
    return f"| {variant.name} | {' | '.join(f'{100 * share:.1f}' for share in shares)} | {drifted} |"


def main(logs: list[Path]) -> None:
    for log in logs:
        real = laser2d.read(log)
        print(f"\n| {real.name}, {len(real.queries)} queries | R@1, vectors | R@1 | drift over 10 m |\n|{'---|' * 4}")
        for variant in VARIANTS:
            print(row(variant, real), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path, nargs="+", help="a CARMEN log, .log or .log.gz")
    main(parser.parse_args().log)
