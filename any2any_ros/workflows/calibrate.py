"""From a drive through mapped places to the calibration of a map."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from any2any_ros.calibration import comparison, fitting
from any2any_ros.calibration.fitting import CalibrationConfig
from any2any_ros.calibration.refinement import ScanRegistration
from any2any_ros.calibration.task import Task
from any2any_ros.config import PlaceConfig
from any2any_ros.data import splits
from any2any_ros.data.sources import Recording
from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry.clouds import Clouds
from any2any_ros.geometry.refiner import Refiner, RefinerConfig
from any2any_ros.observation import ObservationSet
from any2any_ros.progress import Progress, silent
from any2any_ros.retrieval import calibration, reference_map
from any2any_ros.retrieval.calibration import Calibration
from any2any_ros.retrieval.map_folder import SCANS
from any2any_ros.retrieval.reference_map import ReferenceMap, map_encoders
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.trust.confidence import ConfidenceConfig
from any2any_ros.workflows import own_drive, scans
from any2any_ros.workflows.inputs import Source, opened

FOLDS, STRETCH = 4, 5.0  # the folds take turns every so many hit radii of driving
OUTSIDE = 2.0  # hit radii between a robot and the nearest reference, from which on the robot is outside of the map


@dataclass(frozen=True)
class CalibrationOptions:
    """How a map is calibrated.

    place: what counts as the same place; None: what is usual for the kind of recording. mounting: pose of the LiDAR in
    the robot's frame, "x y z roll pitch yaw" in metres and radians; "": what a bag's /tf_static or the map says.
    """

    place: PlaceConfig | None = None
    calibration: CalibrationConfig = CalibrationConfig()
    confidence: ConfidenceConfig = ConfidenceConfig()
    refiner: RefinerConfig = RefinerConfig()
    mounting: str = scans.MOUNTING


def calibrate(
    map: str | os.PathLike[str],
    source: Source,
    options: CalibrationOptions = CalibrationOptions(),
    progress: Progress[Any] = silent,
) -> Calibration:
    """Calibrate the map in a folder on a drive through its places, and store the calibration with the map.

    Where the map has LiDAR scans, and the drive has them too, the calibration also learns how to refine a ranking;
    `obstacle` says why it does not. Raises Any2AnyError when too few frames lie near a place of the map.
    """
    folder, recording = Path(map), opened(source, map)
    reference = reference_map.load(folder)
    recording = recording.placed(reference.origin)
    options = replace(options, place=options.place or recording.place)
    assert options.place is not None
    encoders = map_encoders(reference, recording.modalities)
    queries = scans.mounted(recording.observe(encoders, options.place.keyframe, progress), options.mounting)
    stored = Clouds(reference.part(SCANS, folder))
    registration = _scan_registration(stored, recording, reference, queries, options, progress)
    fitted = fit(reference, queries, options, registration)
    _refuse_chance(reference, next(row for row in fitted.table if row["chosen"]))
    calibration.save(fitted, folder)
    return fitted


def _refuse_chance(reference: ReferenceMap, row: Mapping[str, Any]) -> None:
    """Raise Any2AnyError when the drive was recognised no better than by chance. row: of the chosen fusion."""
    if comparison.by_luck(row):
        raise Any2AnyError(
            f"Cannot calibrate map '{reference.name}'",
            f"the drive is recognised no better than by chance: recall@1 is {row['recall@1']:.3f}, by chance "
            f"{row['chance@1']:.3f}",
            "Check that map and drive have poses in one frame, and that the same sensors see the same places",
        )


def obstacle(map: str | os.PathLike[str], recording: Recording, options: CalibrationOptions) -> str:
    """Return why a calibration does not learn how to refine a ranking, although the map has scans; otherwise ""."""
    stored = Clouds(reference_map.load(Path(map)).part(SCANS, Path(map)))
    return scans.obstacle(recording) if stored and options.refiner.candidates else ""


def _scan_registration(
    stored: Clouds,
    recording: Recording,
    reference: ReferenceMap,
    queries: ObservationSet,
    options: CalibrationOptions,
    progress: Progress[Any],
) -> ScanRegistration | None:
    """Return what registers the drive's scans with the map's; None when there are none, or no candidates."""
    if not stored or not options.refiner.candidates or scans.obstacle(recording):
        return None
    mounting = scans.mounting_of(queries, reference.mounting)
    register = scans.registering(Refiner(stored), recording, queries, reference.places, mounting, progress)
    return ScanRegistration(register, options.refiner)


def fit(
    reference: ReferenceMap,
    queries: ObservationSet,
    options: CalibrationOptions = CalibrationOptions(),
    registration: ScanRegistration | None = None,
    baseline: Retriever | None = None,
) -> Calibration:
    """Calibrate a map on the encoded frames of a drive.

    registration: registers the drive's scans with the map's. baseline: an uncalibrated retriever that compares the
    frames with the map; None: the map's own. Raises Any2AnyError when too few frames lie near a place of the map.
    """
    task = task_of(reference, queries, options.place or PlaceConfig())
    return fitting.calibrate(reference, task, options.calibration, options.confidence, registration, baseline)


def task_of(reference: ReferenceMap, queries: ObservationSet, place: PlaceConfig) -> Task:
    """Return the frames of a drive as the task that a map is calibrated with, in folds that take turns along it."""
    poses, places = queries.poses, reference.places.poses
    return Task(
        queries,
        positive=splits.positives(poses, places, place.hit_radius),
        allowed=own_drive.allowed(reference, queries, place, "calibrate"),
        hidden=splits.positives(poses, places, OUTSIDE * place.hit_radius),
        folds=splits.blocks(poses, STRETCH * place.hit_radius, FOLDS),
        same_place=place.hit_radius,
    )
