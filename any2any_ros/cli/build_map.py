"""Make a map of reference places from a drive.

    any2any build-map KITTI MAP --sequence 00
    any2any build-map my_bag MAP --topic camera=/front/image_raw --pose-topic /odom --keyframe 1.0

Every frame, or every keyframe, becomes a place: the embedding of each sensor, and the robot's pose. A place without a
pose can be recognised, and not located. The map stores how its encoders were built, so that later commands and nodes
need no settings. A map without calibration ranks places, and does not say how probable they are: any2any calibrate.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from any2any_ros.cli import _arguments, _sources
from any2any_ros.geometry.clouds import Clouds
from any2any_ros.progress import progress_bar
from any2any_ros.retrieval.map_folder import SCANS
from any2any_ros.workflows.build_map import MapOptions, write_map


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _sources.add_source_arguments(parser)
    parser.add_argument("map", metavar="MAP", type=Path, help="folder to write the map to")
    parser.add_argument("--name", help="name of the map (default: the name of its folder)")
    _sources.add_keyframe(parser)
    parser.add_argument(
        "--clouds", action="store_true",
        help="also store the LiDAR scan of every place (about 20 kB each), to refine rankings by registration "
        "(docs/geometry.md)",
    )  # fmt: skip
    parser.add_argument(
        "--ask", action="append", default=[], metavar="NAME",
        help="a modality that is not stored and may still be a query, because its encoder shares an embedding space "
        "with a stored one, e.g. text for a map of images (--encoder camera=vision --encoder text=language); repeat",
    )  # fmt: skip
    _sources.add_mounting(parser)
    _sources.add_json(parser)
    _arguments.add_encoder_arguments(parser)


def run(arguments: argparse.Namespace) -> int:
    source = _sources.open_from(arguments)
    arguments.modality += arguments.ask if arguments.modality else []
    options = MapOptions(
        arguments.name or "",
        _sources.place_of(arguments, source.place).keyframe,
        tuple(arguments.ask),
        arguments.clouds,
        arguments.mounting,
    )
    encoders = _arguments.build_encoders(arguments, dict.fromkeys([*source.modalities, *arguments.ask]))
    reference = write_map(source, arguments.map, encoders, options, progress_bar)
    places = reference.places
    seen = ", ".join(f"{m} ({places.present(m).sum()})" for m in places.modalities)
    stored = f"; {len(Clouds(reference.part(SCANS, arguments.map)))} scans" if arguments.clouds else ""
    print(f"{arguments.map}: {len(reference)} places; {seen}{stored}")
    unlocated = np.isnan(places.poses).any(axis=(1, 2)).sum()
    if unlocated:
        print(f"{unlocated} of them have no pose: they can be recognised, and not located (of a bag: --pose-topic)")
    _sources.tell(arguments, source, {"map": str(arguments.map), "places": len(reference)})
    return 0
