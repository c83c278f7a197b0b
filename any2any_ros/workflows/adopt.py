"""From a drive with a new sensor to a sensor that a map has adopted (calibration/adoption.py)."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros.calibration import adoption
from any2any_ros.calibration.adoption import AdoptionConfig
from any2any_ros.calibration.fitting import CalibrationConfig
from any2any_ros.config import PlaceConfig
from any2any_ros.data.sources import Recording
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import NO_STAMPS, ObservationSet
from any2any_ros.progress import Progress, silent
from any2any_ros.protocols import Encoder
from any2any_ros.retrieval import adopted as adopted_sensors
from any2any_ros.retrieval.adopted import Adopted, fingerprints
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap, map_encoders
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.trust.confidence import ConfidenceConfig
from any2any_ros.workflows import own_drive
from any2any_ros.workflows.calibrate import CalibrationOptions, fit
from any2any_ros.workflows.inputs import Source, chosen_encoders, opened


@dataclass(frozen=True)
class AdoptionOptions:
    """How a sensor is adopted. place: what counts as the same place; None: what is usual for the kind of recording."""

    place: PlaceConfig | None = None
    adoption: AdoptionConfig = AdoptionConfig()
    calibration: CalibrationConfig = CalibrationConfig()
    confidence: ConfidenceConfig = ConfidenceConfig()


@dataclass(frozen=True)
class NewSensor:
    """A sensor that a map lacks: the name of its modality, and its encoder."""

    modality: str
    encoder: EncoderRecord


def adopt(
    map: str | os.PathLike[str],
    source: Source,
    modality: str,
    encoder: str | Encoder | None = None,
    options: AdoptionOptions = AdoptionOptions(),
    progress: Progress[Any] = silent,
) -> Adopted:
    """Teach the calibrated map in a folder to be asked by a new sensor, and store what was learnt with the map.

    encoder: of the new sensor, or its name; None: the modality's default. Raises Any2AnyError when the map has the
    sensor, when the map is not calibrated, when the drive lacks it or a sensor of the map, and as
    `adopt_from_frames` does.
    """
    folder, recording = Path(map), opened(source, map)
    place = options.place or recording.place
    retriever = Retriever.open(folder, place.hit_radius)
    reference = retriever.reference
    recording = recording.placed(reference.origin)
    refuse(reference, retriever, recording, modality)
    (built,) = chosen_encoders(recording.modalities, {modality: encoder or modality}).values()
    encoders = map_encoders(reference, retriever.modalities) | {modality: built}
    frames = recording.observe(encoders, place.keyframe, progress)
    sensor, options = NewSensor(modality, EncoderRecord.of(built)), replace(options, place=place)
    adopted = adopt_from_frames(reference, retriever, frames, sensor, options, progress)
    adopted = replace(adopted, topic=recording.sensor_topics().get(modality))
    adopted_sensors.save(adopted, folder)
    return adopted


def refuse(reference: ReferenceMap, retriever: Retriever, recording: Recording, modality: str) -> None:
    """Raise Any2AnyError when there is nothing to adopt, or when no sensor of the map can teach."""
    what = f"Cannot adopt '{modality}' into map '{reference.name}'"
    if modality in reference.encoders:
        raise Any2AnyError(what, "the map has this sensor already", "Use it as it is, or name another sensor")
    if retriever.confidence is None:
        raise Any2AnyError(
            what, "the map is not calibrated, so none of its answers is accepted", "First: any2any calibrate MAP DRIVE"
        )
    available = recording.modalities
    if modality not in available:
        raise Any2AnyError(what, f"the drive has {', '.join(available) or 'nothing'}", "Give a drive with this sensor")
    if not set(available) & set(reference.encoders):
        why = f"the drive has {', '.join(available)}, the map {', '.join(reference.encoders)}"
        raise Any2AnyError(what, why, "Give a drive with a sensor of the map beside the new one")


def adopt_from_frames(
    reference: ReferenceMap,
    retriever: Retriever,
    frames: ObservationSet,
    sensor: NewSensor,
    options: AdoptionOptions = AdoptionOptions(),
    progress: Progress[Any] = silent,
) -> Adopted:
    """Return the sensor as adopted from the encoded frames of a drive.

    Raises Any2AnyError when the map was made from this drive, when too few frames are recognised, and when the sensor
    does not tell places apart.
    """
    place, modality = options.place or PlaceConfig(), sensor.modality
    what = f"Cannot adopt '{modality}' into map '{reference.name}'"
    if own_drive.is_the_maps(reference, frames):
        raise Any2AnyError(
            what, "the map was made from this drive", "Build the map again with the sensor, or give another drive"
        )
    beside = frames.take(frames.present(modality))
    rows, matches = adoption.recognised(retriever, beside.only(retriever.modalities), progress)
    # These are no longer the moments of the drive: each has the pose of a place.
    pairs = replace(beside.take(rows), poses=reference.places.poses[matches], stamps_ns=NO_STAMPS)
    report: dict[str, Any] = {"frames": len(beside), "pairs": len(pairs)} | _right(beside.take(rows), pairs, place)
    if len(pairs) < options.adoption.min_pairs:
        raise Any2AnyError(
            what,
            f"of {len(beside)} frames with it, {len(pairs)} are recognised with certainty, and "
            f"{options.adoption.min_pairs} are needed",
            "Drive through more of the map, or calibrate it for this season",
        )
    learnt = adoption.fit_heads(reference.places, pairs, modality, place.hit_radius)
    report |= {"mrr": learnt.rank, "chance": learnt.chance, "p": learnt.p_value}
    if learnt.p_value > options.adoption.doubt:
        raise Any2AnyError(
            what, f"the sensor does not tell places apart: the right places of {len(pairs)} held-out pairs have a mean "
            f"reciprocal rank of {learnt.rank:.3f}, by chance {learnt.chance:.3f} (p = {learnt.p_value:.2g})",
            "Check the sensor and the settings of its encoder, or give a longer drive",
        )  # fmt: skip
    baseline, held_out = adoption.baseline(reference, pairs, modality, learnt, place.hit_radius)
    calibrating = CalibrationOptions(place, options.calibration, options.confidence)
    fitted = fit(reference, held_out, calibrating, baseline=baseline)
    fitted = replace(fitted, alignments=None, encoders=fingerprints(reference, modality, sensor.encoder))
    report["recipes"] = {m: vars(recipe) for m, recipe in learnt.recipes.items()}
    return Adopted(modality, sensor.encoder, learnt.heads, fitted, report)


def _right(frames: ObservationSet, pairs: ObservationSet, place: PlaceConfig) -> dict[str, Any]:
    """Return how many of the pairs are right, when the drive has poses."""
    known = np.isfinite(frames.poses).all(axis=(1, 2))
    if not known.any():
        return {}
    off = np.linalg.norm((frames.poses - pairs.poses)[known, :2, 3], axis=1)
    return {"with_pose": int(known.sum()), "right": int((off < place.hit_radius).sum())}
