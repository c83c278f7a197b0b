"""The LiDAR scans of a recording: in the robot's frame, and registered with the scans of a map's places."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from any2any_ros.arrays import Float64, Rows
from any2any_ros.calibration.refinement import Overlaps, Register
from any2any_ros.data.sources import Recording
from any2any_ros.geometry import clouds
from any2any_ros.geometry.clouds import LIDAR
from any2any_ros.geometry.refiner import Refiner
from any2any_ros.geometry.registration import open3d_obstacle
from any2any_ros.node_config import RetrievalNodeConfig
from any2any_ros.observation import ObservationSet
from any2any_ros.progress import Progress

LIDAR_POSES = "0 0 0 0 0 0"  # the robot's frame is the LiDAR's
MOUNTING = RetrievalNodeConfig.cloud_mounting  # of the map, or of the recording


def mounted(frames: ObservationSet, text: str) -> ObservationSet:
    """Return the frames of a recording with the LiDAR mounted as the user says; "": as the recording says.

    Raises Any2AnyError for a text that is no mounting.
    """
    return replace(frames, mountings={**frames.mountings, LIDAR: clouds.mounting(text)}) if text else frames


def mounting_of(frames: ObservationSet, known: str = "") -> Float64:
    """Return the pose (4, 4) of the LiDAR of encoded frames in the robot's frame.

    known: of the map, where the recording does not say it; "": the poses are the LiDAR's.
    """
    found = frames.mountings.get(LIDAR)
    return clouds.mounting(known or LIDAR_POSES) if found is None else found


def robot_scans(
    recording: Recording, frames: ObservationSet, mounting: Float64, progress: Progress[Any]
) -> Iterator[tuple[str, Float64]]:
    """Yield the id and the points (N, 3), metres, in the robot's frame, of every frame that has a scan.

    mounting: pose (4, 4) of the LiDAR in the robot's frame.
    """
    for name, points in recording.clouds(frames, progress):
        yield name, clouds.moved(points, mounting)


def obstacle(recording: Recording) -> str:
    """Return why the scans of this recording cannot be registered; empty when they can."""
    if LIDAR not in recording.modalities:
        return f"{recording.name} has no '{LIDAR}'"
    return open3d_obstacle()


def registering(
    refiner: Refiner,
    recording: Recording,
    queries: ObservationSet,
    places: ObservationSet,
    mounting: Float64,
    progress: Progress[Any],
) -> Register:
    """Return a function that registers the scans of queries with those of a map's places, and returns overlaps."""
    row = {name: i for i, name in enumerate(queries.ids)}

    def register(wanted: Mapping[int, Rows]) -> Overlaps:
        overlaps = {}
        for name, points in robot_scans(recording, queries.take(list(wanted)), mounting, progress):
            ids = {places.ids[i]: i for i in wanted[row[name]].tolist()}
            registrations = refiner.register(points, ids)
            overlaps[row[name]] = {ids[k]: r.overlap for k, r in registrations.items() if not np.isnan(r.overlap)}
        return overlaps

    return register
