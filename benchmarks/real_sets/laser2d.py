"""Logs of one 2-D laser in buildings, with poses that a mapper has corrected (Radish)."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from any2any_ros.data import carmen, splits
from any2any_ros.data.drive import keyframes
from any2any_ros.data.sources import IN_BUILDINGS, DriveSource
from real_sets.real_set import Options, RealSet, answerable, refuse_empty

KIND = "laser2d"
LAYOUT = "files NAME.log or NAME.log.gz in CARMEN's format, with FLASER lines"
LICENCE = "Radish; see its page for the log's authors"
PROTOCOL = (
    f"keyframes {IN_BUILDINGS.keyframe:g} m apart, a hit is within {IN_BUILDINGS.hit_radius:g} m, references are "
    f"earlier keyframes more than {IN_BUILDINGS.path_gap:g} m of driving away; queries without any right keyframe are "
    "left out"
)


def find(folder: Path) -> list[Path]:
    """Return the logs of a folder."""
    return sorted(p for p in folder.iterdir() if p.is_file() and p.name.endswith((".log", ".log.gz")))


def name(path: Path) -> str:
    """Return the name of a log: "intel" for intel-corrected.log.gz."""
    return path.name.removesuffix(".gz").removesuffix(".log").removesuffix("-corrected")


def read(path: Path, options: Options = Options()) -> RealSet:
    """Read a log. Raises Any2AnyError when it is no log, and when it comes back to no place."""
    drive, place = carmen.read(path), IN_BUILDINGS
    poses = drive.poses[keyframes(drive.poses, place.keyframe)]
    everything = np.arange(len(poses))
    allowed = splits.same_drive(poses, place.path_gap, earlier=True)
    queries, right, allowed = answerable(splits.positives(poses, poses, place.hit_radius), allowed, everything)
    refuse_empty(queries, path, "the robot comes back to no place")
    recording = DriveSource(drive, place)
    return RealSet(
        KIND, name(path), LICENCE, PROTOCOL, recording, queries, everything, right, allowed, keyframe=place.keyframe
    )
