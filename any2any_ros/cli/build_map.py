"""Turn a drive into a map of reference places.

any2any build-map KITTI MAP --sequence 00
any2any build-map my_bag MAP --topic camera=/front/image_raw --pose-topic /odom --keyframe 1.0
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from any2any_ros.cli import _arguments, _sources
from any2any_ros.geometry.clouds import Clouds
from any2any_ros.progress import progress_bar
from any2any_ros.workflows.build_map import MapOptions, write_map


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _sources.add_source_arguments(parser)
    parser.add_argument("map", metavar="MAP", type=Path, help="folder to write the map to")
    parser.add_argument("--name", help="of the map (default: the folder's)")
    parser.add_argument(
        "--keyframe", type=float, metavar="METRES", help="distance between two places (default: the data's custom)"
    )
    parser.add_argument(
        "--clouds", action="store_true",
        help="also store every place's LiDAR scan (some 20 kB), to refine rankings by (docs/geometry.md)",
    )  # fmt: skip
    parser.add_argument(
        "--ask", action="append", default=[], metavar="NAME",
        help="a sensor that will ask the map without being in it, e.g. text of a map of pictures, where both encoders "
        "have one space (--encoder camera=vision --encoder text=language)",
    )  # fmt: skip
    _sources.add_mounting(parser)
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
    stored = f"; {len(Clouds(arguments.map))} scans" if arguments.clouds else ""
    print(f"{arguments.map}: {len(reference)} places; {seen}{stored}")
    unlocated = np.isnan(places.poses).any(axis=(1, 2)).sum()
    if unlocated:
        print(f"{unlocated} of them have no pose: they can be recognised, and not located (--pose-topic for a bag)")
    return 0
