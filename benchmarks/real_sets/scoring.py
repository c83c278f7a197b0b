"""From answers to figures: recall, its spread over parts of the drive, time, and the error of the pose."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from any2any_ros import metrics
from any2any_ros.arrays import Flags, Float64
from real_sets.methods import Answers
from real_sets.published import Published
from real_sets.real_set import RealSet

BLOCKS = 5  # parts of the queries, one after the other
TOPS = (1, 5, 20)  # the k of R@k
DEGREES, METRES = 5.0, 0.5  # a pose as near as this is near the true one
OURS, PEER, PUBLISHED = "ours", "peer, same run", "published"


@dataclass(frozen=True)
class Row:
    """One method on one set. Recalls and shares are from 0 to 1; None: not known.

    recall: by k. blocks: R@1 of each of BLOCKS parts of the queries. milliseconds: p50 and p99 of a query. yaw: error
    of right first answers in degrees, p50 and p95; position: in metres; near: share of them within DEGREES and METRES.
    """

    method: str
    role: str
    recall: dict[str, float]
    blocks: tuple[float, ...] = ()
    milliseconds: tuple[float, float] | None = None
    yaw: tuple[float, float] | None = None
    position: tuple[float, float] | None = None
    near: float | None = None
    note: str = ""
    hits: tuple[int, ...] = field(default=(), repr=False)  # 1 where the first answer of a query is right

    def plain(self) -> dict[str, Any]:
        """Return the row as JSON has it."""
        return asdict(self)


def right_answers(real: RealSet, answers: Answers) -> Flags:
    """Return (Q, TOP): which answers are right."""
    best = answers.best
    return np.take_along_axis(real.right, np.maximum(best, 0), axis=1) & (best >= 0)


def row(real: RealSet, method: str, ours: bool, answers: Answers) -> Row:
    """Return the figures of a method's answers."""
    relevant = right_answers(real, answers)
    first = relevant[:, 0]
    blocks = [float(part.mean()) for part in np.array_split(first, BLOCKS) if len(part)]
    yaw, position = pose_errors(real, answers, first)
    return Row(
        method,
        OURS if ours else PEER,
        {str(k): metrics.recall_at_k(relevant, k) for k in TOPS},
        tuple(blocks),
        _two(answers.milliseconds, 50, 99),
        _two(yaw, 50, 95),
        _two(position, 50, 95),
        float(((yaw <= DEGREES) & (position <= METRES)).mean()) if len(yaw) else None,
        answers.note,
        tuple(first.astype(int).tolist()),
    )


def pose_errors(real: RealSet, answers: Answers, right: Flags) -> tuple[Float64, Float64]:
    """Return the errors of the yaw in degrees and of the position on the ground in metres, each (n,), of those right.

    Nothing where the set, or the method, knows no poses.
    """
    true = real_poses(real)[real.queries][right]
    said = answers.poses[right]
    known = np.isfinite(true).all(axis=(1, 2)) & np.isfinite(said).all(axis=(1, 2))
    true, said = true[known], said[known]
    turn = np.arctan2(said[:, 1, 0], said[:, 0, 0]) - np.arctan2(true[:, 1, 0], true[:, 0, 0])
    off = np.linalg.norm(said[:, :2, 3] - true[:, :2, 3], axis=1)
    return np.abs(np.degrees((turn + np.pi) % (2 * np.pi) - np.pi)), off


def real_poses(real: RealSet) -> Float64:
    """Return the poses (N, 4, 4) of the frames that count."""
    from any2any_ros.data.drive import keyframes

    poses = real.recording.drive.poses
    return poses[keyframes(poses, real.keyframe)]


def chance(real: RealSet) -> dict[str, float]:
    """Return recall of a random order, by k."""
    right, possible = real.right.sum(axis=1), real.allowed.sum(axis=1)
    return {str(k): metrics.chance(right, possible, k) for k in TOPS}


def published(known: Published) -> Row:
    """Return the row of a published figure."""
    return Row(known.method, PUBLISHED, {"1": known.recall}, note=known.source)


def failed(method: str, ours: bool, why: str) -> Row:
    """Return the row of a method that could not run."""
    return Row(method, OURS if ours else PEER, {}, note=f"not measured: {why}")


def _two(values: Float64, low: float, high: float) -> tuple[float, float] | None:
    if not len(values):
        return None
    first, second = np.percentile(values, [low, high])
    return float(first), float(second)
