"""What several benchmarks test on: towns, laser logs and digits, split by place into map, calibration and test."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from any2any_ros import encoders
from any2any_ros.arrays import Flags, Rows
from any2any_ros.calibration.fitting import calibrate
from any2any_ros.calibration.task import Task
from any2any_ros.config import PlaceConfig
from any2any_ros.data import drive, kitti, sources, splits
from any2any_ros.data.sources import ON_ROADS
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Encoder
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.calibration import Calibration
from any2any_ros.retrieval.reference_map import EncoderRecord, ReferenceMap
from any2any_ros.sim import mfeat
from any2any_ros.workflows import build_map
from any2any_ros.workflows.calibrate import FOLDS, OUTSIDE, STRETCH

LASER_SQUARE = 5.0  # m, squares of the ground; each is for calibration or for the test as a whole


@dataclass(frozen=True, eq=False)
class Case:
    """A map, queries that calibrate it, and queries that test it.

    positive, hidden (Q, R), folds (Q,): of the calibration queries, as in a calibration task. test_positive: of the
    test queries. same_place: m. allowed: which references may be answers, for calibration and for the test; None: all.
    """

    reference: ObservationSet
    calibration: ObservationSet
    positive: Flags
    hidden: Flags
    folds: Rows
    test: ObservationSet
    test_positive: Flags
    same_place: float
    allowed: tuple[Flags, Flags] | None = None

    @property
    def task(self) -> Task:
        """The calibration task of the map."""
        allowed = self.allowed[0] if self.allowed else np.ones_like(self.positive)
        return Task(self.calibration, self.positive, allowed, self.hidden, self.folds, self.same_place)

    def calibrated(self) -> Calibration:
        """Return the calibration of the map."""
        return calibrate(as_map(self.reference), self.task)


def as_map(places: ObservationSet) -> ReferenceMap:
    """Return a map of these places; its encoders are names only."""
    return ReferenceMap(places, {m: EncoderRecord(m, m, v.shape[1]) for m, v in places.embeddings.items()})


def by_place(reference: ObservationSet, calibration: ObservationSet, test: ObservationSet, place: PlaceConfig) -> Case:
    """Return the case of these queries. Test queries near a calibration query are left out."""
    test = test.take(np.flatnonzero(splits.apart(test.poses, calibration.poses, 2 * place.hit_radius)))
    return Case(
        reference,
        calibration,
        splits.positives(calibration.poses, reference.poses, place.hit_radius),
        splits.positives(calibration.poses, reference.poses, OUTSIDE * place.hit_radius),
        splits.blocks(calibration.poses, STRETCH, FOLDS),
        test,
        splits.positives(test.poses, reference.poses, place.hit_radius),
        place.hit_radius,
    )


@dataclass(frozen=True, eq=False)
class Laps:
    """A town: its mapped lap, its second lap, and for each frame of this the block of houses (the square) beside it."""

    mapped: ObservationSet
    driven: ObservationSet
    square: Rows

    @classmethod
    def of(cls, folder: Path) -> Laps:
        """Read and encode the laps of a town."""
        built = {m: encoders.build(m) for m in ("audio", "camera", "lidar", "text")}
        laps = [encoded(folder, s, built) for s in ("00", "01")]
        square = json.loads((folder / "town.json").read_text())["laps"]["01"]["square"]
        return cls(laps[0], laps[1], np.array(square))

    def halves(self) -> Iterator[Case]:
        """Yield two cases: one half of the streets calibrates, the other half is the test."""
        for half in (0, 1):
            first = self.square % 2 == half
            calibration, test = self._parts(first, ~first)
            yield by_place(self.mapped, calibration, test, ON_ROADS)

    def unmapped(self) -> Iterator[tuple[Case, ObservationSet]]:
        """Yield for each third of the streets a case whose map lacks this third, and the queries there."""
        for third in range(3):
            lacking, calibrating = self.square % 3 == third, self.square % 3 == (third + 1) % 3
            nearest = splits.ground_distance(self.mapped.poses, self.driven.poses).argmin(axis=1)
            mapped = self.mapped.take(np.flatnonzero(~lacking[nearest]))
            calibration, test = self._parts(calibrating, ~calibrating & ~lacking)
            case = by_place(mapped, calibration, test, ON_ROADS)
            outside = splits.apart(self.driven.poses, mapped.poses, OUTSIDE * ON_ROADS.hit_radius)
            yield case, self.driven.take(np.flatnonzero(outside & lacking))

    def _parts(self, *flags: Flags) -> list[ObservationSet]:
        return [self.driven.take(np.flatnonzero(f)) for f in flags]


def encoded(folder: Path, sequence: str, built: dict[str, Encoder], name: str = "embeddings") -> ObservationSet:
    """Return the embeddings of a lap. They are stored beside the town and read again for the same encoders."""
    stored = folder / f"{name}-{sequence}"
    if (stored / "map.json").exists():
        lap = reference_map.load(stored)
        if {m: r.fingerprint for m, r in lap.encoders.items()} == {m: e.fingerprint for m, e in built.items()}:
            return lap.places
    lap = build_map.as_map(drive.encode(kitti.read(folder, sequence), built), built, sequence)
    reference_map.save(lap, stored)
    return lap.places


def laser_cases(path: Path, seed: int) -> Iterator[Case]:
    """Yield the two halves of a log, by place. Any frame that is a path gap away may be the answer."""
    source = sources.open_recording(path)
    frames = source.observe({"laser_scan": encoders.build("laser_scan")}, source.place.keyframe)
    allowed = splits.same_drive(frames.poses, source.place.path_gap)
    # By squares of the ground, so that all passes of a place are in the same half.
    square = splits.squares(frames.poses, LASER_SQUARE)
    half_of = np.random.default_rng(seed).permutation(square.max() + 1) % 2
    for half in (0, 1):
        first = half_of[square] == half
        rows = [np.flatnonzero(first), np.flatnonzero(~first)]
        rows[1] = rows[1][splits.apart(frames.poses[rows[1]], frames.poses[rows[0]], source.place.hit_radius / 2)]
        right, near = (
            splits.positives(frames.poses, frames.poses, r * source.place.hit_radius) for r in (1.0, OUTSIDE)
        )
        yield Case(
            frames, frames.take(rows[0]), (right & allowed)[rows[0]], near[rows[0]], square[rows[0]] % FOLDS,
            frames.take(rows[1]), (right & allowed)[rows[1]], source.place.hit_radius,
            (allowed[rows[0]], allowed[rows[1]]),
        )  # fmt: skip


def digit_cases(folder: Path, seed: int) -> Iterator[Case]:
    """Yield the one case of the digits."""
    trial = mfeat.make(folder, seed)
    yield Case(
        trial.reference, trial.calibration, trial.calibration_positive, trial.calibration_positive, trial.folds,
        trial.test, trial.test_positive, 1.0,
    )  # fmt: skip
