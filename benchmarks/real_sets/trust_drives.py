"""Drives on which a calibration is judged: the map, its queries, and what the alignment of their images has found."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros import encoders
from any2any_ros.arrays import Array, Rows
from any2any_ros.calibration import fitting, pose_errors, reliability
from any2any_ros.calibration.fitting import CalibrationConfig
from any2any_ros.calibration.pose_errors import PoseError
from any2any_ros.calibration.reliability import Outcome
from any2any_ros.calibration.task import Task
from any2any_ros.config import PlaceConfig
from any2any_ros.data import splits
from any2any_ros.data.drive import keyframes
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.progress import Progress
from any2any_ros.protocols import Encoder
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.calibration import Calibration, uncalibrated
from any2any_ros.retrieval.image_alignment import ImageAlignment, Known, Query
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.trust.confidence import ConfidenceConfig
from any2any_ros.workflows import build_map
from any2any_ros.workflows.calibrate import FOLDS, OUTSIDE, STRETCH
from real_sets.real_set import RealSet, answerable

PROMISES = ConfidenceConfig()
MISSES = (0.05, 0.1)  # of the place sets that are judged
# All fusions rank one sensor alike; `auto` takes this one unless another is clearly better. Fewer wrong pairs than by
# default halve the time of a draw.
FUSION = CalibrationConfig(fusion="mixture", max_pairs=20_000)
SPACING = {"kitti_bev": (3.0, 1.5)}  # m between references, and between queries; other sets: their keyframes


@dataclass(frozen=True, eq=False)
class Memory:
    """What the alignment of images has found, kept from one calibration of a map to the next."""

    known: Known = field(default_factory=dict)
    queries: dict[tuple[str, int], Query] = field(default_factory=dict)
    first: dict[tuple[int, int], Rows] = field(default_factory=dict)  # by the hashes of rows and of a vector


@dataclass(frozen=True, eq=False)
class RememberingAlignment(ImageAlignment):
    """An alignment that aligns no pair of images twice."""

    memory: Memory = field(default_factory=Memory)

    @classmethod
    def instead_of(cls, plain: ImageAlignment, memory: Memory) -> RememberingAlignment:
        """Return the same alignment with this memory. The memory is of one map."""
        described = (plain.places, plain.cells, plain.rule, plain.same_place, plain.candidates)
        return cls(*described, plain.aligner, plain.parts, memory=memory)

    def query(self, modality: str, observation: Observation) -> Query:
        key = modality, hash(observation.birds_eye[modality].tobytes())
        if key not in self.memory.queries:
            self.memory.queries[key] = super().query(modality, observation)
        return self.memory.queries[key]

    def first_places(self, rows: Rows, modality: str, vector: Array) -> Rows:
        key = hash(rows.tobytes()), hash(vector.tobytes())
        if key not in self.memory.first:
            self.memory.first[key] = super().first_places(rows, modality, vector)
        return self.memory.first[key]

    def fits(self, query: Query, rows: Rows, known: Known | None = None) -> dict[int, Any]:
        return super().fits(query, rows, self.memory.known)


@dataclass(frozen=True, eq=False)
class TrustDrive:
    """A map and the queries of a drive through it; parts of them calibrate, and others test.

    task: of all queries, in the order in which they were driven.
    """

    name: str
    reference: ReferenceMap
    task: Task
    memory: Memory = field(default_factory=Memory)

    def calibrated(self, rows: Rows) -> Calibration:
        """Return the calibration on these queries (n,). Raises Any2AnyError when they are too few."""
        task = self.task.take(rows)
        # As `any2any calibrate` divides a drive of these frames.
        task = replace(task, folds=splits.blocks(task.queries.poses, STRETCH * task.same_place, FOLDS))
        plain = uncalibrated(self.reference, task.same_place)
        return fitting.calibrate(self.reference, task, FUSION, PROMISES, baseline=self._retriever(plain))

    def outcomes(self, fitted: Calibration, rows: Rows, mapped: bool) -> list[Outcome]:
        """Return how the queries `rows` (n,) are answered; mapped: whether the map has their places."""
        task = self.task.take(rows)
        everything, allowed = np.ones(len(task), dtype=bool), task.allowed if mapped else task.unmapped
        return reliability.outcomes(self._retriever(fitted), task, MISSES, everything, allowed)

    def pose_errors(self, fitted: Calibration, rows: Rows) -> list[PoseError]:
        """Return how far the poses of the answers to the queries `rows` (n,) are from the true ones."""
        return pose_errors.measured(self._retriever(fitted), self.task.take(rows))

    def apart(self, rows: Rows) -> Rows:
        """Return the queries (m,) at least two radii of a hit away from all queries `rows` (n,)."""
        poses = self.task.queries.poses
        return np.flatnonzero(splits.apart(poses, poses[rows], 2 * self.task.same_place))

    def _retriever(self, calibration: Calibration) -> Retriever:
        retriever = Retriever(self.reference, calibration)
        retriever.alignment = RememberingAlignment.instead_of(retriever.alignment, self.memory)
        return retriever


def of_real(real: RealSet, modality: str, stored: Path, progress: Progress[Any]) -> TrustDrive:
    """Return a set of real data by the default encoder of a modality; its vectors are stored, and read again."""
    real = thinned(real, *SPACING[real.kind]) if real.kind in SPACING else real
    built = {modality: encoders.build(encoders.default(modality))}
    observed = _observed(real, built, stored / f"{real.kind}-{real.name}", progress)
    poses, hit = observed.poses, real.recording.place.hit_radius
    hidden = splits.positives(poses[real.queries], poses[real.references], OUTSIDE * hit)
    task = Task(observed.take(real.queries), real.right, real.allowed, hidden, same_place=hit)
    reference = build_map.as_map(observed.take(real.references), built, real.name)
    return TrustDrive(str(real), reference, task.take(task.answerable))


def thinned(real: RealSet, between_references: float, between_queries: float) -> RealSet:
    """Return a set of frames that stand alone with so many metres between its references, and between its queries."""
    drive = real.recording.drive
    columns, rows = (
        keyframes(drive.poses[part], metres)
        for part, metres in ((real.references, between_references), (real.queries, between_queries))
    )
    frames = np.unique(np.concatenate([real.references[columns], real.queries[rows]]))
    queries, right, allowed = answerable(
        real.right[np.ix_(rows, columns)],
        real.allowed[np.ix_(rows, columns)],
        np.searchsorted(frames, real.queries[rows]),
    )
    return replace(
        real,
        recording=replace(real.recording, drive=drive.take(frames)),
        queries=queries,
        references=np.searchsorted(frames, real.references[columns]),
        right=right,
        allowed=allowed,
    )


def _observed(real: RealSet, built: dict[str, Encoder], stored: Path, progress: Progress[Any]) -> ObservationSet:
    """Return the N frames of a set, encoded. Raises Any2AnyError when one could not be encoded."""
    if (stored / "map.json").exists():
        known = reference_map.load(stored)
        if {m: r.fingerprint for m, r in known.encoders.items()} == {m: e.fingerprint for m, e in built.items()}:
            return known.places
    observed = real.recording.observe({m: real.adapted(e) for m, e in built.items()}, real.keyframe, progress)
    if not observed.observed().all():
        lost = int((~observed.observed()).sum())
        raise Any2AnyError(f"Cannot judge {real}", f"{lost} frames could not be encoded", "Leave this set out")
    reference_map.save(build_map.as_map(observed, built, real.name), stored)
    return observed


def of_laps(name: str, mapped: ObservationSet, driven: ObservationSet, place: PlaceConfig) -> TrustDrive:
    """Return the second lap of a town as queries for the map of the first."""
    from cases import as_map

    right, hidden = (splits.positives(driven.poses, mapped.poses, r * place.hit_radius) for r in (1.0, OUTSIDE))
    task = Task(driven, right, hidden=hidden, same_place=place.hit_radius)
    return TrustDrive(name, as_map(mapped), task.take(task.answerable))
