"""A drive: recorded frames along a path, each with the samples of the sensors that were on; and how to encode it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros import encoders as plugs
from any2any_ros.arrays import Float64, Int64, Rows
from any2any_ros.birds_eye.image import PACKED
from any2any_ros.data.report import SensorReport, TopicReport
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import ObservationSet
from any2any_ros.progress import Progress, silent
from any2any_ros.protocols import Encoder, Seen, gathered

LATEST = 2**31 - 2  # s; a later time does not fit into the stamp of a ROS message, not even when a second is added
STEP = 1.0  # m; poses of a robot that stands differ by less


class Drive(Protocol):
    """N frames.

    stamps_ns (N,): increasing. poses (N, 4, 4): map from robot, axes of REP-103, m; NaN where unknown.
    """

    @property
    def name(self) -> str: ...
    @property
    def stamps_ns(self) -> Int64: ...
    @property
    def poses(self) -> Float64: ...
    @property
    def modalities(self) -> tuple[str, ...]: ...

    def __len__(self) -> int: ...

    def ids(self) -> tuple[str, ...]:
        """Return the id of each frame; no two drives share one."""

    def sample(self, modality: str, i: int) -> Any | None:
        """Return the sample of frame i, as samples/ defines it; None where the sensor was off."""

    def odometry(self, i: int) -> Float64 | None:
        """Return the pose (4, 4) of the sensor at frame i in a frame that drifts; None where it is unknown."""

    def take(self, rows: ArrayLike) -> Drive:
        """Return a drive of these frames. The sound of a frame begins at the frame before it in the new drive."""


def spaced(points: Float64, distance: float) -> Rows:
    """Return the rows (K,) of points (N, D) that are at least `distance` from the row chosen before. Points with a NaN
    are left out."""
    rows: list[int] = []
    for i in np.flatnonzero(np.isfinite(points).all(axis=1)).tolist():
        if not rows or math.dist(points[i], points[rows[-1]]) >= distance:
            rows.append(i)
    return np.array(rows, dtype=np.intp)


def travelled(poses: Float64, step: float = STEP) -> Float64:
    """Return the distance driven (N,) up to each pose (N, 4, 4): on the ground, in metres.

    It is measured in straight lines of `step` metres, so that poses that jitter while the robot stands add up to
    nothing. Unknown poses (NaN) are passed in a straight line.
    """
    ground = poses[:, :2, 3]
    corners = spaced(ground, step)
    if len(corners) == 0:
        return np.zeros(len(poses))
    up_to = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(ground[corners], axis=0), axis=1))])
    last = np.clip(np.searchsorted(corners, np.arange(len(poses)), side="right") - 1, 0, None)
    driven = up_to[last] + np.nan_to_num(np.linalg.norm(ground - ground[corners[last]], axis=1))
    driven[: corners[0]] = 0.0
    return np.asarray(np.maximum.accumulate(driven))


def keyframes(poses: Float64, distance: float) -> Rows:
    """Return the rows (K,) of frames that are at least `distance` metres, on the ground, from the keyframe before; all
    rows for 0.

    A frame without a pose is no keyframe. Raises Any2AnyError when none has a pose.
    """
    if distance <= 0:
        return np.arange(len(poses))
    rows = spaced(poses[:, :2, 3], distance)
    if len(rows) == 0 < len(poses):
        raise Any2AnyError(
            "Cannot choose keyframes", f"none of the {len(poses)} frames has a pose", "Give poses, or --keyframe 0"
        )
    return rows


def encode(
    drive: Drive,
    encoders: Mapping[str, Encoder],
    progress: Progress[int] = silent,
    report: SensorReport | None = None,
    rows: Rows | None = None,
) -> ObservationSet:
    """Encode frames of the drive with the encoders of its modalities.

    A sample that is missing, that cannot be read or that its encoder refuses becomes a row of NaN. report: counts them.
    rows (K,): of the frames, increasing; None: all. Encoders that put samples together get those between them, too.
    """
    report = SensorReport() if report is None else report
    chosen = np.arange(len(drive)) if rows is None else rows
    frames = drive if rows is None else drive.take(rows)
    modalities = [m for m in drive.modalities if m in encoders]
    columns = {m: np.full((len(frames), encoders[m].dimension), np.nan, dtype=np.float32) for m in modalities}
    images = {m: np.zeros((len(frames), PACKED), dtype=np.uint8) for m in modalities if encoders[m].cell}
    counts = {m: report.topic(m, "", encoders[m].accepts, len(frames)) for m in modalities}
    passed = 0  # the first frame of the drive that no encoder has got
    for i in progress(range(len(frames)), f"encoding {drive.name}"):
        for m in modalities:
            if encoders[m].uses_odometry:
                _pass_by(drive, encoders[m], m, range(passed, int(chosen[i])))
            seen = _encode_one(frames, encoders[m], m, i, counts[m])
            if seen is not None:
                columns[m][i] = seen.vector
                if m in images:
                    images[m][i] = seen.birds_eye
        passed = int(chosen[i]) + 1
    return ObservationSet(columns, frames.poses, frames.ids(), frames.stamps_ns, images)


def sample_of(drive: Drive, modality: str, i: int, row: TopicReport) -> Any | None:
    """Return the sample of frame i; None where there is none, and where it cannot be read, which `row` counts."""
    try:
        sample = drive.sample(modality, i)
    except Any2AnyError as error:
        row.read()
        row.refused(str(error))
        return None
    if sample is not None:
        row.read()
    return sample


def _pass_by(drive: Drive, encoder: Encoder, modality: str, frames: Iterable[int]) -> None:
    """Give an encoder the samples of frames that are not encoded. One that cannot be used is left out."""
    for i in frames:
        with suppress(Any2AnyError):
            sample = drive.sample(modality, i)
            if sample is not None:
                gathered(encoder, sample, int(drive.stamps_ns[i]), drive.odometry(i))


def _encode_one(drive: Drive, encoder: Encoder, modality: str, i: int, row: TopicReport) -> Seen | None:
    sample = sample_of(drive, modality, i, row)
    try:
        whole = None if sample is None else gathered(encoder, sample, int(drive.stamps_ns[i]), drive.odometry(i))
        seen = None if whole is None else plugs.see(encoder, whole)
    except Any2AnyError as error:
        row.refused(f"Frame {drive.ids()[i]}: {error}")
        return None
    if seen is not None:
        row.encoded()
    return seen
