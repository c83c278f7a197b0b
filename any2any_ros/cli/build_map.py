"""Turn a drive into a map of reference places.

any2any build-map KITTI MAP --sequence 00
any2any build-map my_bag MAP --topic camera=/front/image_raw --pose-topic /odom --keyframe 1.0
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from any2any_ros.cli import _arguments, _scans, _sources
from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry import clouds
from any2any_ros.geometry.clouds import LIDAR
from any2any_ros.observation import ObservationSet
from any2any_ros.progress import bar
from any2any_ros.protocols import Encoder
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.reference_map import EncoderRecord, ReferenceMap


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _sources.add_source_arguments(parser)
    parser.add_argument("map", metavar="MAP", type=Path, help="folder to write the map to")
    parser.add_argument("--name", help="of the map (default: the folder's)")
    parser.add_argument(
        "--keyframe", type=float, metavar="METRES", help="distance between two places (default: the data's custom)"
    )
    parser.add_argument(
        "--clouds", action="store_true",
        help="also keep every place's LiDAR scan (some 20 kB), for the geometric check (docs/geometry.md)",
    )  # fmt: skip
    parser.add_argument(
        "--ask", action="append", default=[], metavar="NAME",
        help="a sensor that will ask the map without being in it, e.g. text of a map of pictures, where both encoders "
        "have one space (--encoder camera=vision --encoder text=language)",
    )  # fmt: skip
    _scans.add_mounting(parser)
    _arguments.add_encoder_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    source = _sources.open_from(arguments)
    if arguments.clouds and LIDAR not in source.modalities:
        raise Any2AnyError(
            f"Cannot keep the scans of {source.name}",
            f"it has no '{LIDAR}', only {', '.join(source.modalities) or 'nothing'}",
            "Leave --clouds, or name the topic of its clouds: --topic lidar=/points",
        )
    arguments.modality += arguments.ask if arguments.modality else []
    encoders = _arguments.build_encoders(arguments, dict.fromkeys([*source.modalities, *arguments.ask]))
    asking = {m: encoders.pop(m) for m in arguments.ask}
    places = source.observe(encoders, _sources.place_of(arguments, source.place).keyframe, bar)
    reference = as_map(places, encoders, arguments.name or arguments.map.resolve().name)
    reference = replace(reference, encoders={**reference.encoders, **_askers(reference, asking)})
    scans = _scans.scans(source, reference.places, arguments) if arguments.clouds else ()
    stored = clouds.prepare(arguments.map, scans)
    clouds.discard(arguments.map)  # of a map that stood there before
    reference_map.save(reference, arguments.map)
    clouds.publish(arguments.map)
    seen = ", ".join(f"{m} ({places.present(m).sum()})" for m in places.modalities)
    print(f"{arguments.map}: {len(reference)} places; {seen}" + (f"; {stored} scans" if arguments.clouds else ""))
    lost = np.isnan(reference.places.poses).any(axis=(1, 2)).sum()
    if lost:
        print(f"{lost} of them have no pose: they can be recognised, and not located (--pose-topic for a bag)")
    return 0


def _askers(reference: ReferenceMap, asking: Mapping[str, Encoder]) -> dict[str, EncoderRecord]:
    """Return the records of encoders that are to ask a map which they are not in."""
    records = {m: EncoderRecord.of(encoder) for m, encoder in asking.items()}
    spaces = {m: record.space for m, record in reference.encoders.items()}
    for modality, record in records.items():
        if not record.space or record.space not in spaces.values():
            raise Any2AnyError(
                f"'{modality}' cannot ask map '{reference.name}'",
                f"encoder '{record.plug}' shares no space with {', '.join(spaces)}",
                "Choose encoders of one network, e.g. --encoder camera=vision --encoder text=language, both of CLIP",
            )
    return records


def as_map(places: ObservationSet, encoders: Mapping[str, Encoder], name: str) -> ReferenceMap:
    """Make a map of what was observed; places that no sensor saw are left out, those without a pose are kept."""
    some = [places.present(m) for m in places.modalities]
    seen = np.logical_or.reduce(some) if some else np.zeros(len(places), dtype=bool)
    if not seen.any():
        raise Any2AnyError(
            f"Cannot make map '{name}'",
            f"none of its {len(places)} frames has anything that was encoded ({', '.join(encoders) or 'nothing'})",
            "Choose other sensors with --modality, or another drive",
        )
    records = {m: EncoderRecord.of(e) for m, e in encoders.items() if m in places.embeddings}
    return ReferenceMap(places.take(seen), records, name)
