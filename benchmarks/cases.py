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
from any2any_ros.calibration.task import Task, Trial
from any2any_ros.config import PlaceConfig
from any2any_ros.data import drive, kitti, sources, splits
from any2any_ros.data.sources import ON_ROADS
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Encoder
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.calibration import Calibration
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.sim import mfeat
from any2any_ros.workflows import build_map
from any2any_ros.workflows.calibrate import FOLDS, OUTSIDE, STRETCH

LASER_SQUARE = 5.0  # m, squares of the ground; each is for calibration or for the test as a whole


def as_map(places: ObservationSet) -> ReferenceMap:
    """Return a map of these places. Those of its encoders that make no images are names only."""
    names_only = {m: EncoderRecord(m, m, v.shape[1]) for m, v in places.embeddings.items()}
    with_images = {m: EncoderRecord.of(encoders.build(encoders.default(m))) for m in places.birds_eye}
    return ReferenceMap(places, names_only | with_images)


def calibrated(trial: Trial) -> Calibration:
    """Return the calibration of the map."""
    return calibrate(as_map(trial.reference), trial.calibration)


def unmapped_task(queries: ObservationSet, trial: Trial) -> Task:
    """Return the task of queries at places that the map lacks: it has no right reference."""
    return Task(queries, np.zeros((len(queries), len(trial.reference)), dtype=bool))


def by_place(reference: ObservationSet, calibration: ObservationSet, test: ObservationSet, place: PlaceConfig) -> Trial:
    """Return the trial of these queries. Test queries near a calibration query are left out."""
    test = test.take(np.flatnonzero(splits.apart(test.poses, calibration.poses, 2 * place.hit_radius)))

    def task(queries: ObservationSet) -> Task:
        right, hidden = (splits.positives(queries.poses, reference.poses, r * place.hit_radius) for r in (1.0, OUTSIDE))
        folds = splits.blocks(queries.poses, STRETCH * place.hit_radius, FOLDS)
        return Task(queries, right, hidden=hidden, folds=folds, same_place=place.hit_radius)

    return Trial(reference, task(calibration), task(test))


@dataclass(frozen=True, eq=False)
class Laps:
    """A town: its mapped lap, its second lap, and for each frame of this the block of houses (the square) beside it."""

    mapped: ObservationSet
    driven: ObservationSet
    square: Rows

    @classmethod
    def of(cls, folder: Path) -> Laps:
        """Read and encode the laps of a town."""
        built = {m: encoders.build(encoders.default(m)) for m in ("audio", "camera", "lidar", "text")}
        laps = [encoded(folder, s, built) for s in ("00", "01")]
        square = json.loads((folder / "town.json").read_text())["laps"]["01"]["square"]
        return cls(laps[0], laps[1], np.array(square))

    def halves(self) -> Iterator[Trial]:
        """Yield two trials: one half of the streets calibrates, the other half is the test."""
        for half in (0, 1):
            first = self.square % 2 == half
            calibration, test = self._parts(first, ~first)
            yield by_place(self.mapped, calibration, test, ON_ROADS)

    def unmapped(self) -> Iterator[tuple[Trial, ObservationSet]]:
        """Yield for each third of the streets a trial whose map lacks this third, and the queries there."""
        for third in range(3):
            lacking, calibrating = self.square % 3 == third, self.square % 3 == (third + 1) % 3
            nearest = splits.ground_distance(self.mapped.poses, self.driven.poses).argmin(axis=1)
            mapped = self.mapped.take(np.flatnonzero(~lacking[nearest]))
            calibration, test = self._parts(calibrating, ~calibrating & ~lacking)
            outside = splits.apart(self.driven.poses, mapped.poses, OUTSIDE * ON_ROADS.hit_radius)
            yield by_place(mapped, calibration, test, ON_ROADS), self.driven.take(np.flatnonzero(outside & lacking))

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


def laser_trials(path: Path, seed: int) -> Iterator[Trial]:
    """Yield the two halves of a log, by place. Any frame that is a path gap away may be the answer."""
    source = sources.open_recording(path)
    frames = source.observe({"laser_scan": encoders.build("laser_scan")}, source.place.keyframe)
    allowed = splits.same_drive(frames.poses, source.place.path_gap)
    # By squares of the ground, so that all passes of a place are in the same half.
    square = splits.squares(frames.poses, LASER_SQUARE)
    right, near = (splits.positives(frames.poses, frames.poses, r * source.place.hit_radius) for r in (1.0, OUTSIDE))
    everything = Task(frames, right, allowed, near, square % FOLDS, source.place.hit_radius)
    half_of = np.random.default_rng(seed).permutation(square.max() + 1) % 2
    for half in (0, 1):
        first = half_of[square] == half
        rows = [np.flatnonzero(first), np.flatnonzero(~first)]
        rows[1] = rows[1][splits.apart(frames.poses[rows[1]], frames.poses[rows[0]], source.place.hit_radius / 2)]
        yield Trial(frames, everything.take(rows[0]), everything.take(rows[1]))


def digit_trials(folder: Path, seed: int) -> Iterator[Trial]:
    """Yield the one trial of the digits."""
    yield mfeat.make(folder, seed)
