"""How true the numbers are that a robot acts on: probability, acceptance and place set, by availability pattern."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Flags, Float64, Floats
from any2any_ros.calibration import evaluation, metrics
from any2any_ros.observation import ObservationSet
from any2any_ros.ranking import Ranking
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.trust.confidence import pattern_name

BINS = 10  # of the reliability diagram


@dataclass(frozen=True)
class Outcome:
    """One query under one pattern: whether the first match is right and what was said of it, and, for each share of
    misses asked about, whether the place set holds a right reference, and how many it holds in all."""

    pattern: str
    chance: float
    right: bool
    probability: float
    accepted: bool
    covered: tuple[bool, ...]
    size: tuple[int, ...]


def outcomes(
    retriever: Retriever,
    queries: ObservationSet,
    positive: Flags,
    asked: Flags,
    misses: Sequence[float],
    allowed: Flags | None = None,
) -> list[Outcome]:
    """Return what becomes of the queries asked (Q,) under every pattern. Needs a calibrated map.

    positive (Q, R): the right references; allowed (Q, R): those that may answer, all where it is None.
    """
    trust = retriever.confidence
    assert trust is not None
    found = []
    for query in evaluation.scored(retriever, queries, asked, allowed):
        rows, candidates = retriever.candidates(query.similarity, query.scores, query.pattern, 1)
        if len(rows) == 0:
            continue
        right = positive[query.row, rows]
        size = [trust.place_set(candidates, query.pattern, miss) for miss in misses]
        found.append(
            Outcome(
                pattern_name(query.pattern),
                _chance(positive[query.row], query.scores),
                bool(right[0]),
                float(trust.probability(candidates, query.pattern)[0]),
                trust.accepts(candidates, query.pattern),
                tuple(bool(right[:n].any()) for n in size),
                tuple(size),
            )
        )
    return found


@dataclass(frozen=True)
class Refined:
    """One query before the geometric check and after it, and how far off a refined right pose is, in metres, NaN where
    there is none."""

    before: Outcome
    after: Outcome
    metres: float


def refined(
    retriever: Retriever, queries: ObservationSet, positive: Flags, scans: Iterable[tuple[int, Floats]]
) -> list[Refined]:
    """Return what the check makes of the queries that come with a scan: row and points (N, >= 3), robot's frame."""
    found = []
    for row, points in scans:
        observation, right = queries.observation(row), np.flatnonzero(positive[row])
        names = {retriever.reference.ids[i] for i in right}
        before, after = retriever.rank(observation), retriever.refine(observation, points)
        if after.matches:
            first, second = (_outcome(r, names, len(retriever.reference)) for r in (before, after))
            best = after.matches[0]
            off = np.linalg.norm((best.pose - queries.poses[row])[:3, 3])
            found.append(Refined(first, second, float(off) if best.refined and second.right else float("nan")))
    return found


def _outcome(ranking: Ranking, right: set[str], places: int) -> Outcome:
    inside = ranking.place_set
    return Outcome(
        pattern_name(ranking.modalities), len(right) / places, ranking.matches[0].id in right,
        ranking.probability, ranking.accepted, (not right.isdisjoint(inside),), (len(inside),),
    )  # fmt: skip


def by_check(found: Sequence[Refined], miss: float) -> list[dict[str, Any]]:
    """Return the figures of every pattern before the check and after it, most sensors first."""
    names = sorted({c.before.pattern for c in found}, key=lambda p: (-p.count("+"), p))
    rows = []
    for name in names:
        group = [c for c in found if c.before.pattern == name]
        off = np.array([c.metres for c in group])
        error = {f"metres p{p}": float(np.nanpercentile(off, p)) for p in (50, 95) if not np.isnan(off).all()}
        rows.append({"pattern": name, "check": False} | figures([c.before for c in group], [miss]))
        rows.append({"pattern": name, "check": True} | figures([c.after for c in group], [miss]) | error)
    return rows


def _chance(positive: Flags, scores: Float64) -> float:
    """Return the share of right ones among the references that could be compared."""
    known = ~np.isnan(scores)
    return float(positive[known].sum() / known.sum())


def figures(found: Sequence[Outcome], misses: Sequence[float]) -> dict[str, Any]:
    """Return queries, recall@1 and chance, calibration error, share accepted and its precision (None where nothing
    is), and coverage@ and size@ of the place sets."""
    right = _column(found, "right")
    out: dict[str, Any] = {
        "queries": len(found),
        "chance@1": float(_column(found, "chance").mean()),
        "recall@1": float(right.mean()),
        **summary(_column(found, "probability"), right, _column(found, "accepted")),
    }
    for i, miss in enumerate(misses):
        out[f"coverage@{1 - miss:g}"] = float(np.mean([o.covered[i] for o in found]))
        out[f"size@{1 - miss:g}"] = float(np.mean([o.size[i] for o in found]))
    return out


def summary(probability: Float64, right: Flags, accepted: Flags) -> dict[str, Any]:
    """Return what the numbers (Q,) said of some answers is worth; the precision is None where none was accepted."""
    return {
        "mean_probability": float(probability.mean()),
        "expected_calibration_error": metrics.expected_calibration_error(probability, right),
        "accepted": float(accepted.mean()),
        "accepted_precision": float(right[accepted].mean()) if accepted.any() else None,
    }


def by_pattern(found: Sequence[Outcome], misses: Sequence[float]) -> list[dict[str, Any]]:
    """Return the figures of every pattern, most sensors first."""
    names = sorted({o.pattern for o in found}, key=lambda p: (-p.count("+"), p))
    return [{"pattern": p} | figures([o for o in found if o.pattern == p], misses) for p in names]


def reliability(found: Sequence[Outcome]) -> Float64:
    """Return (B, 3): mean probability, share right and count of each bin that is not empty."""
    p, right = _column(found, "probability"), _column(found, "right")
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    rows = [(p[bins == b].mean(), right[bins == b].mean(), (bins == b).sum()) for b in np.unique(bins)]
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def precision_by_share(found: Sequence[Outcome]) -> Float64:
    """Return (N, 2): the share of queries answered when one answers from the surest down, and its precision."""
    right = _column(found, "right")[np.argsort(-_column(found, "probability"), kind="stable")]
    n = np.arange(1, len(right) + 1)
    return np.column_stack([n / max(len(right), 1), np.cumsum(right) / n])


def _column(found: Sequence[Outcome], name: str) -> NDArray[Any]:
    return np.array([getattr(o, name) for o in found])
