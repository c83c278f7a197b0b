"""What the verbs share about LiDAR scans: where the sensor sits, and laying a drive's scans over a map's."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from any2any_ros.calibration.refinement import Overlaps, Register
from any2any_ros.data.sources import Recording
from any2any_ros.geometry import clouds
from any2any_ros.geometry.clouds import LIDAR
from any2any_ros.geometry.refiner import Refiner
from any2any_ros.geometry.registration import absent
from any2any_ros.observation import ObservationSet
from any2any_ros.progress import bar


def add_mounting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mounting", default="0 0 0 0 0 0", metavar="POSE",
        help="the LiDAR in the frame of the drive's poses, 'x y z roll pitch yaw' in metres and radians (default: the "
        "poses are the LiDAR's)",
    )  # fmt: skip


def scans(
    source: Recording, frames: ObservationSet, arguments: argparse.Namespace
) -> Iterator[tuple[str, NDArray[np.float64]]]:
    """Yield the id and the points (N, 3), in the robot's frame, of every frame that has a scan."""
    mounting = clouds.mounting(arguments.mounting)
    for name, points in source.clouds(frames, bar):
        yield name, clouds.moved(points, mounting)


def obstacle(source: Recording) -> str:
    """Return why this drive's scans cannot be laid over anything; empty when they can."""
    if LIDAR not in source.modalities:
        return f"{source.name} has no '{LIDAR}'"
    return absent()


def laying(
    refiner: Refiner, source: Recording, queries: ObservationSet, places: ObservationSet, given: argparse.Namespace
) -> Register:
    """Return what lays places of a map over queries of a drive, and shows how far it is."""
    row = {name: i for i, name in enumerate(queries.ids)}

    def register(wanted: Mapping[int, NDArray[np.intp]]) -> Overlaps:
        found = {}
        for name, points in scans(source, queries.take(list(wanted)), given):
            ids = {places.ids[i]: i for i in wanted[row[name]].tolist()}
            registrations = refiner.register(points, ids)
            found[row[name]] = {ids[k]: r.overlap for k, r in registrations.items() if not np.isnan(r.overlap)}
        return found

    return register
