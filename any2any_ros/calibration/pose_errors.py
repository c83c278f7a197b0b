"""Fits how far the poses of answers err (localization/pose_errors.py), and measures it on a test drive."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from any2any_ros.arrays import Flags, Float64
from any2any_ros.calibration import evaluation
from any2any_ros.calibration.evaluation import ScoredQuery
from any2any_ros.calibration.scorer import Scorer
from any2any_ros.calibration.task import Task
from any2any_ros.geometry.refiner import refined_pose
from any2any_ros.localization import planar
from any2any_ros.localization.pose_errors import ALIGNED, ANY, INSIDE, NO_POSE_ERRORS, PoseErrors
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.trust.confidence import Confidence, pattern_name

SHARE = 0.95  # of the accepted answers that the ellipsoid of 95 % must hold
ALIKE = 2.0  # neighbouring queries err alike: so many of them tell as much as one (a design effect)
FEWEST = 20  # errors from which a covariance is fitted
FINEST = np.array([0.02, 0.02, np.radians(0.2)])  # m, m, rad: no deviation is taken for less
TURNED = 0.05  # share of answers that may face backwards; with more, a heading is not known
WIDEST, STEPS = 1e4, 60  # largest factor of the deviations that is tried, and halvings of the search for it


@dataclass(frozen=True)
class PoseError:
    """How far the pose of one answer is from the true one.

    pattern: modalities that were alive. aligned: whether the pose is that of an aligned image. accepted, right: the
    answer. x, y: metres, yaw: radians, of the true robot in the frame of the answered one. query: its number; a query
    comes under several patterns.
    """

    pattern: str
    aligned: bool
    accepted: bool
    right: bool
    x: float
    y: float
    yaw: float
    query: int


def measured(retriever: Retriever, task: Task) -> list[PoseError]:
    """Return the error of the first match of every query under every pattern. Needs a calibrated map."""
    assert retriever.confidence is not None
    aligned = retriever.alignment.rule.confidence
    return list(errors(Scorer.of(retriever), task, retriever.confidence, aligned, task.answerable))


def errors(
    scorer: Scorer, task: Task, confidence: Confidence, aligned_confidence: Confidence | None, wanted: Flags
) -> Iterator[PoseError]:
    """Yield the error of the first match of the queries under every pattern; of those whose poses are known.

    aligned_confidence: of rankings whose images were aligned. wanted (Q,): the queries.
    """
    known = np.isfinite(task.queries.poses).all(axis=(1, 2))
    poses: dict[tuple[int, int], Float64] = {}  # by query and reference: of answers, a query comes under many patterns
    for query in evaluation.scored(scorer, task.queries, wanted & known, task.allowed):
        rows, candidates = scorer.candidates(query.similarity, query.scores, query.pattern, query.overlap)
        if not len(rows) or np.isnan(scorer.places.poses[rows[0]]).any():
            continue
        row, aligned = int(rows[0]), int(rows[0]) in query.overlap
        trusted = aligned_confidence if query.overlap and aligned_confidence else confidence
        if not aligned:
            said = _seen_pose(scorer, task, query, row)
        else:
            key = (query.row, row)
            if key not in poses:
                poses[key] = _aligned_pose(scorer, task, *key)
            said = poses[key]
        x, y, yaw = planar.between(planar.of(said), planar.of(task.queries.poses[query.row])).tolist()
        yield PoseError(
            pattern_name(query.pattern),
            aligned,
            trusted.accepts(candidates, query.pattern),
            bool(task.positive[query.row, row]),
            x,
            y,
            yaw,
            query.row,
        )


def _seen_pose(scorer: Scorer, task: Task, query: ScoredQuery, row: int) -> Float64:
    """Return the pose (4, 4) of a query that was recognised at a reference, without alignment."""
    searcher, place = scorer.searcher, scorer.places.poses[row]
    if not scorer.views.pairs:
        return np.asarray(place)
    columns = [searcher.query_modalities.index(m) for m in query.pattern]
    pairs = searcher.explained(query.similarity, np.array([row]))[0][columns]
    return scorer.views.pose(place, pairs, query.pattern, searcher.reference_modalities, task.queries.mountings)[0]


def _aligned_pose(scorer: Scorer, task: Task, query: int, row: int) -> Float64:
    """Return the pose (4, 4) of a query whose image is aligned with that of a reference."""
    assert scorer.alignment is not None
    registration = scorer.alignment.registration(task.queries.observation(query), row)
    return refined_pose(scorer.places.poses[row], registration)


def fit(found: Sequence[PoseError]) -> PoseErrors:
    """Return the covariances of poses with such errors.

    Accepted answers count, wrong ones among them. Of a kind of answer of which too few were accepted, the right ones
    count. A kind of which there are too few at all has no covariance.
    """
    groups: dict[str, list[PoseError]] = {}
    for one in found:
        for key in (ALIGNED,) if one.aligned else (one.pattern, ANY):
            groups.setdefault(key, []).append(one)
    fitted = {key: _covariance(group) for key, group in sorted(groups.items())}
    known = {key: value for key, value in fitted.items() if value is not None}
    return PoseErrors(known) if known else NO_POSE_ERRORS


def _covariance(group: Sequence[PoseError]) -> Float64 | None:
    accepted = [one for one in group if one.accepted]
    counted = accepted if len(accepted) >= FEWEST else [one for one in group if one.right]
    if len(counted) < FEWEST:
        return None
    error = np.array([(one.x, one.y, one.yaw) for one in counted])
    deviation = np.maximum(1.4826 * np.median(np.abs(error), axis=0), FINEST)
    if (np.abs(error[:, 2]) > np.pi / 2).mean() > TURNED:
        scaled, fixed = error[:, :2] / deviation[:2], error[:, 2] ** 2 / planar.YAW_OF_A_CIRCLE
    else:
        scaled, fixed = error / deviation, np.zeros(len(error))
    factor = _factor((scaled**2).sum(axis=1), fixed, len({one.query for one in counted}) / ALIKE)
    variance = (factor * deviation) ** 2
    variance[2] = min(variance[2], planar.YAW_OF_A_CIRCLE) if scaled.shape[1] == 3 else planar.YAW_OF_A_CIRCLE
    return np.diag(variance)


def _factor(squares: Float64, fixed: Float64, independent: float) -> float:
    """Return the factor of the deviations with which SHARE of other errors will be inside, by split conformal
    prediction.

    squares (n,): squared errors in deviations. fixed (n,): what is added to them whatever the factor is. independent:
    as how many errors these count.
    """
    share = min(SHARE * (independent + 1) / independent, 1.0)
    needed = int(np.ceil(share * len(squares)))
    low, high = 0.0, WIDEST
    for _ in range(STEPS):
        middle = (low + high) / 2
        enough = (squares / max(middle, 1e-12) ** 2 + fixed <= INSIDE).sum() >= needed
        low, high = (low, middle) if enough else (middle, high)
    return high


def figures(found: Sequence[PoseError], fitted: PoseErrors) -> list[dict[str, Any]]:
    """Return the figures of the accepted answers of each pattern, most modalities first; None where there are none.

    yaw in degrees, position in metres: of the right ones. yaw_over_90_share: of all. coverage95: share of all that lie
    within the ellipsoid of 95 %.
    """
    return pooled([(found, fitted)])


def pooled(drives: Sequence[tuple[Sequence[PoseError], PoseErrors]]) -> list[dict[str, Any]]:
    """Return the same figures of several drives together, each with the covariances of its own map."""
    answers = [(one, fitted) for found, fitted in drives for one in found]
    patterns = sorted({one.pattern for one, _ in answers}, key=lambda p: (-p.count("+"), p))
    return [_figures(p, [a for a in answers if a[0].pattern == p and a[0].accepted]) for p in patterns]


def _figures(pattern: str, accepted: Sequence[tuple[PoseError, PoseErrors]]) -> dict[str, Any]:
    row: dict[str, Any] = {"pattern": pattern, "accepted": len(accepted)}
    names = ("yaw_over_90_share", "yaw_p50", "yaw_p95", "position_p50", "position_p95", "coverage95")
    if not accepted:
        return row | dict.fromkeys(names)
    right: Flags = np.array([one.right for one, _ in accepted])
    yaw = np.degrees(np.abs([one.yaw for one, _ in accepted]))
    metres = np.hypot([one.x for one, _ in accepted], [one.y for one, _ in accepted])
    values: list[float | None] = [float((yaw > 90).mean())]
    for errors_of in (yaw[right], metres[right]):
        values += np.percentile(errors_of, (50, 95)).tolist() if len(errors_of) else [None, None]
    return row | dict(zip(names, [*values, float(np.mean([_inside(*one) for one in accepted]))], strict=True))


def _inside(one: PoseError, fitted: PoseErrors) -> bool:
    error, covariance = np.array([one.x, one.y, one.yaw]), fitted.of(one.pattern.split("+"), one.aligned)
    return not np.isnan(covariance).any() and bool(error @ np.linalg.solve(covariance, error) <= INSIDE)
