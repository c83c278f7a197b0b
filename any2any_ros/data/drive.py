"""A recorded drive: frames along a path, each with whatever sensors were on, and how to encode it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import ObservationSet
from any2any_ros.progress import Progress, silent
from any2any_ros.protocols import Encoder


class Drive(Protocol):
    """N frames: stamps_ns (N,) int64, increasing; poses (N, 4, 4) float64 (map from robot, REP-103, NaN unknown)."""

    @property
    def name(self) -> str: ...
    @property
    def stamps_ns(self) -> NDArray[np.int64]: ...
    @property
    def poses(self) -> NDArray[np.float64]: ...
    @property
    def modalities(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...

    def ids(self) -> tuple[str, ...]:
        """Return every frame's id, unique across drives."""

    def sample(self, modality: str, i: int) -> Any | None:
        """Return frame i's sample as samples.py defines it; None where the sensor was off."""

    def take(self, rows: ArrayLike) -> Drive:
        """Return these frames only; sound still reaches back to the frame before."""


def travelled(poses: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the distance driven (N,) up to each pose (N, 4, 4), on the ground, in metres."""
    steps = np.linalg.norm(np.diff(poses[:, :2, 3], axis=0), axis=1)
    return np.concatenate([[0.0], np.cumsum(np.nan_to_num(steps))])[: len(poses)]


def keyframes(poses: NDArray[np.float64], distance: float) -> NDArray[np.intp]:
    """Return the frames (K,) at least `distance` metres of driving apart; all of them for 0."""
    if distance <= 0:
        return np.arange(len(poses))
    path, kept = travelled(poses), []
    due = -np.inf
    for i, way in enumerate(path):
        if way >= due:
            kept.append(i)
            due = way + distance
    return np.array(kept, dtype=np.intp)


def encode(drive: Drive, encoders: Mapping[str, Encoder], progress: Progress[int] = silent) -> ObservationSet:
    """Encode every frame of the drive with the encoders of its modalities; a missing sample is a NaN row.

    A sample that an encoder refuses is an error here: a recording should be whole.
    """
    wanted = [m for m in drive.modalities if m in encoders]
    columns = {m: np.full((len(drive), encoders[m].dimension), np.nan, dtype=np.float32) for m in wanted}
    for i in progress(range(len(drive)), f"encoding {drive.name}"):
        for m in wanted:
            vector = _encode_one(drive, encoders[m], m, i)
            if vector is not None:
                columns[m][i] = vector
    return ObservationSet(columns, drive.poses, drive.ids(), drive.stamps_ns)


def _encode_one(drive: Drive, encoder: Encoder, modality: str, i: int) -> NDArray[np.float32] | None:
    sample = drive.sample(modality, i)
    if sample is not None:
        sample = encoder.gather(sample, int(drive.stamps_ns[i]))
    if sample is None:
        return None
    try:
        return encoder.encode(sample)
    except Any2AnyError as error:
        raise Any2AnyError(f"Frame {drive.ids()[i]}, {modality}: {error.what}", error.why, error.remedy) from error
