"""Which places of a map may answer the frames of a drive: all, unless the map was made from this very drive."""

from __future__ import annotations

import numpy as np

from any2any_ros.arrays import Flags, Rows
from any2any_ros.config import PlaceConfig
from any2any_ros.data import same_frames, splits
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.reference_map import ReferenceMap

COINCIDENCES = 0.01  # share of frames that may be like a place of the map, and the drive is another one all the same


def is_the_maps(reference: ReferenceMap, frames: ObservationSet) -> bool:
    """Return whether the map was made from this drive, or from a part of it, under whatever name."""
    return _shared(_found(reference, frames)) > 0


def allowed(reference: ReferenceMap, frames: ObservationSet, place: PlaceConfig, verb: str) -> Flags:
    """Return which places may answer (Q, R): all; only those far along the path when the drive is the map's own.

    verb: what is done, for the error. Raises Any2AnyError when the map has only a part of the frames, or the drive only
    a part of the map's: the frames would find themselves, or the frame beside them.
    """
    rows = _found(reference, frames)
    shared = _shared(rows)
    if shared == 0:
        return np.ones((len(frames), len(reference)), dtype=bool)
    if shared == len(frames) == len(reference):  # in the order of the map, which is that of the drive
        return splits.same_drive(reference.places.poses, place.path_gap)[rows]
    raise Any2AnyError(
        f"Cannot {verb} map '{reference.name}' with this drive",
        f"{shared} of its {len(frames)} frames are places of the map, so they would find themselves",
        "Give another drive, or the map's own with the --keyframe it was made with",
    )


def _found(reference: ReferenceMap, frames: ObservationSet) -> Rows:
    """Return (Q,): the place that each frame is, or NONE; NONE for all where they are so few that they are
    coincidences."""
    rows = same_frames.found(frames, reference.places)
    return rows if _shared(rows) > COINCIDENCES * len(frames) else np.full(len(rows), same_frames.NONE)


def _shared(rows: Rows) -> int:
    """Return how many frames are places of the map."""
    return int((rows != same_frames.NONE).sum())
