"""Teach a sensor that a map lacks to localize in it, from what the other sensors recognise on a drive.

    any2any adopt MAP my_bag --modality thermal
    any2any adopt MAP KITTI --sequence 02 --modality thermal --set thermal.across=0.77 --set thermal.upright=0.32

Drive through mapped places once with the new sensor beside the old ones. Where the map's calibration accepts an answer,
the moment is a pair: the new sensor's vector, and those of the others. From these it learns to ask the map by itself;
no pose of the drive is used (where there are poses, they only report how many pairs are right). Afterwards it answers
wherever none of the map's own sensors is alive, also where the drive never was, with a probability of its own.

A sensor that does not know places is refused: held-out pairs must be found better than when the drive is shifted
against itself. The map's own files stay as they are; deleting MAP/adopted/NAME undoes it. See docs/adopt.md.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros import tables
from any2any_ros.calibration import adoption
from any2any_ros.calibration.adoption import Adopted, AdoptionConfig
from any2any_ros.cli import _arguments, _sources, calibrate
from any2any_ros.config import PlaceConfig
from any2any_ros.data.sources import Recording
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import ObservationSet
from any2any_ros.progress import bar
from any2any_ros.protocols import Encoder
from any2any_ros.retrieval.calibration import CalibrationConfig, open_map
from any2any_ros.retrieval.reference_map import EncoderRecord, ReferenceMap, map_encoders
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.trust.confidence import ConfidenceConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("map", metavar="MAP", type=Path, help="folder of a calibrated map")
    _sources.add_source_arguments(parser)
    parser.add_argument("--modality", required=True, metavar="NAME", help="the sensor to adopt, e.g. thermal")
    parser.add_argument("--encoder", metavar="PLUG", help="its encoder (default: the modality's own)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME.SETTING=VALUE", dest="encoder_settings",
        help="its encoder's setting, e.g. thermal.across=0.8; repeat for several",
    )  # fmt: skip
    _sources.add_place_arguments(parser)
    _arguments.add_settings(parser, AdoptionConfig)
    _arguments.add_settings(parser, CalibrationConfig)
    _arguments.add_settings(parser, ConfidenceConfig)


def run(arguments: argparse.Namespace) -> int:
    source = _sources.open_from(arguments)
    place = _sources.place_of(arguments, source.place)
    reference, retriever, _ = open_map(arguments.map, place.hit_radius)
    modality = arguments.modality
    refuse(reference, retriever, source, modality)
    encoder = _encoder(arguments, source)
    encoders = map_encoders(reference, retriever.modalities) | {modality: encoder}
    frames = source.observe(encoders, place.keyframe, bar)
    adopted = adopt(
        reference, retriever, frames, modality, EncoderRecord.of(encoder), place,
        _arguments.settings(arguments, AdoptionConfig), _arguments.settings(arguments, CalibrationConfig),
        _arguments.settings(arguments, ConfidenceConfig),
    )  # fmt: skip
    adoption.save(adopted, arguments.map)
    print(_told(adopted, arguments.map))
    return 0


def refuse(reference: ReferenceMap, retriever: Retriever, source: Recording, modality: str) -> None:
    """Raise Any2AnyError where there is nothing to adopt, or nobody to learn from."""
    what = f"Cannot adopt '{modality}' into map '{reference.name}'"
    if modality in reference.encoders:
        raise Any2AnyError(what, "the map has this sensor", "Use it as it is, or name another one")
    if retriever.confidence is None:
        raise Any2AnyError(
            what, "it is not calibrated, so that none of its answers is accepted", "First: any2any calibrate MAP DRIVE"
        )
    there = source.modalities
    if modality not in there:
        raise Any2AnyError(what, f"the drive has {', '.join(there) or 'nothing'}", "Give a drive with this sensor")
    if not set(there) & set(reference.encoders):
        why = f"the drive has {', '.join(there)}, the map {', '.join(reference.encoders)}"
        raise Any2AnyError(what, why, "Give a drive on which a sensor of the map is alive, too")


def _encoder(arguments: argparse.Namespace, source: Recording) -> Encoder:
    """Build the new sensor's encoder alone, by the flags that build-map has."""
    chosen = [f"{arguments.modality}={arguments.encoder}"] if arguments.encoder else []
    given = argparse.Namespace(
        modality=[arguments.modality], encoder=chosen, encoder_settings=arguments.encoder_settings
    )
    return _arguments.build_encoders(given, source.modalities)[arguments.modality]


def adopt(
    reference: ReferenceMap,
    retriever: Retriever,
    frames: ObservationSet,
    modality: str,
    encoder: EncoderRecord,
    place: PlaceConfig,
    config: AdoptionConfig = AdoptionConfig(),
    calibrating: CalibrationConfig = CalibrationConfig(),
    promises: ConfidenceConfig = ConfidenceConfig(),
) -> Adopted:
    """Return the sensor as adopted from the frames of a drive; raises Any2AnyError for too few pairs and for a sensor
    that knows no places."""
    what = f"Cannot adopt '{modality}' into map '{reference.name}'"
    if set(frames.ids) & set(reference.places.ids):
        raise Any2AnyError(what, "it was made from this drive", "Build it again with the sensor, or give another drive")
    beside = frames.take(frames.present(modality))
    rows, matches = adoption.recognised(retriever, beside.only(retriever.modalities), bar)
    pairs = replace(beside.take(rows), poses=reference.places.poses[matches])
    report: dict[str, Any] = {"frames": len(beside), "pairs": len(pairs)} | _right(beside.take(rows), pairs, place)
    if len(pairs) < config.min_pairs:
        raise Any2AnyError(
            what, f"of {len(beside)} frames with it {len(pairs)} are recognised for certain, "
            f"{config.min_pairs} are needed", "Drive more of the map, or calibrate it for this season",
        )  # fmt: skip
    lesson = adoption.learn(reference.places, pairs, modality, place.hit_radius)
    report |= {"mrr": lesson.rank, "chance": lesson.chance, "p": lesson.p_value}
    if lesson.p_value > config.doubt:
        raise Any2AnyError(
            what, f"it does not know places: right ones of {len(pairs)} pairs held out have a mean reciprocal rank of "
            f"{lesson.rank:.3f}, by chance {lesson.chance:.3f} (p = {lesson.p_value:.2g})",
            "Check the sensor and its encoder's settings, or give a longer drive",
        )  # fmt: skip
    bench, held_out = adoption.bench(reference, pairs, modality, lesson, place.hit_radius)
    fitted = calibrate.fit(reference, held_out, place, calibrating, promises, bench=bench)
    fitted = replace(fitted, encoders=adoption.fingerprints(reference, modality, encoder))
    report["recipes"] = {m: vars(recipe) for m, recipe in lesson.recipes.items()}
    return Adopted(modality, encoder, lesson.heads, fitted, report)


def _right(frames: ObservationSet, pairs: ObservationSet, place: PlaceConfig) -> dict[str, Any]:
    """Return how many of the pairs are right, where the drive has poses."""
    known = np.isfinite(frames.poses).all(axis=(1, 2))
    if not known.any():
        return {}
    off = np.linalg.norm((frames.poses - pairs.poses)[known, :2, 3], axis=1)
    return {"with_pose": int(known.sum()), "right": int((off < place.hit_radius).sum())}


def _told(adopted: Adopted, folder: Path) -> str:
    r = adopted.report
    right = f", {r['right']} of the {r['with_pose']} that have a pose are right" if "right" in r else ""
    return (
        f"{r['pairs']} of {r['frames']} frames were recognised for certain{right}\n"
        f"held-out pairs: mean reciprocal rank {r['mrr']:.3f}, by chance {r['chance']:.3f} (p = {r['p']:.2g})\n"
        f"{tables.fusions(adopted.calibration.table)}\n"
        f"{folder}: '{adopted.modality}' now answers where none of the map's own sensors is alive"
    )
