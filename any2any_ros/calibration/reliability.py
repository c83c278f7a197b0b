"""How far a robot can rely on probability, acceptance and place set: figures by availability pattern."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros import metrics
from any2any_ros.arrays import Flags, Float64, Floats
from any2any_ros.calibration import evaluation
from any2any_ros.calibration.scorer import Scorer
from any2any_ros.calibration.task import Task
from any2any_ros.ranking import Ranking
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.trust.confidence import pattern_name

BINS = 10  # of the reliability diagram


@dataclass(frozen=True)
class Outcome:
    """How one query was answered under one pattern.

    chance: that a random match is right. right: whether the first match is right. probability, accepted: of the first
    match. covered, size: for each promised share of misses, whether the place set holds a right reference, and how many
    references it holds.
    """

    pattern: str
    chance: float
    right: bool
    probability: float
    accepted: bool
    covered: tuple[bool, ...]
    size: tuple[int, ...]


def outcomes(
    retriever: Retriever, task: Task, misses: Sequence[float], wanted: Flags | None = None, allowed: Flags | None = None
) -> list[Outcome]:
    """Return the outcomes of the queries under every pattern. Needs a calibrated map.

    misses: promised shares of place sets without a right reference. wanted (Q,): the queries; None: those with a right
    reference. allowed (Q, R): the references that may answer; None: as in the task.
    """
    confidence, scorer = retriever.confidence, Scorer.of(retriever)
    assert confidence is not None
    aligned = retriever.alignment.rule.confidence or confidence
    wanted = task.answerable if wanted is None else wanted
    results = []
    for query in evaluation.scored(scorer, task.queries, wanted, task.allowed if allowed is None else allowed):
        rows, candidates = scorer.candidates(query.similarity, query.scores, query.pattern, query.overlap)
        if len(rows) == 0:
            continue
        right = task.positive[query.row, rows]
        trusted = aligned if query.overlap else confidence
        size = [trusted.place_set(candidates, query.pattern, miss) for miss in misses]
        outcome = Outcome(
            pattern_name(query.pattern),
            _chance(task.positive[query.row], query.scores),
            bool(right[0]),
            float(trusted.probability(candidates, query.pattern)[0]),
            trusted.accepts(candidates, query.pattern),
            tuple(bool(right[:n].any()) for n in size),
            tuple(size),
        )
        results.append(outcome)
    return results


@dataclass(frozen=True)
class Refined:
    """One query before and after refinement. metres: error of the refined pose; NaN where the match is wrong or was not
    refined."""

    before: Outcome
    after: Outcome
    metres: float


def refined(retriever: Retriever, task: Task, scans: Iterable[tuple[int, Floats]]) -> list[Refined]:
    """Refine rankings of the task. scans: row of a query, and its points (N, >= 3) in metres, in the robot's frame."""
    results = []
    for row, points in scans:
        observation, right = task.queries.observation(row), np.flatnonzero(task.positive[row])
        ids = {retriever.places.ids[i] for i in right}
        before, after = retriever.rank(observation), retriever.refine(observation, points)
        if after.matches:
            first, second = (_outcome(ranking, ids, len(retriever.places)) for ranking in (before, after))
            best = after.matches[0]
            error = np.linalg.norm((best.pose - task.queries.poses[row])[:3, 3])
            results.append(Refined(first, second, float(error) if best.refined and second.right else float("nan")))
    return results


def _outcome(ranking: Ranking, right: set[str], places: int) -> Outcome:
    """Return the outcome of a ranking. right: ids of the right references. places: of the map."""
    place_set = ranking.place_set
    return Outcome(
        pattern_name(ranking.modalities), len(right) / places, ranking.matches[0].id in right,
        ranking.probability, ranking.accepted, (not right.isdisjoint(place_set),), (len(place_set),),
    )  # fmt: skip


def by_refinement(results: Sequence[Refined], miss: float) -> list[dict[str, Any]]:
    """Return the figures of every pattern before and after refinement, most modalities first. miss: of place sets."""
    names = sorted({r.before.pattern for r in results}, key=lambda p: (-p.count("+"), p))
    rows = []
    for name in names:
        group = [r for r in results if r.before.pattern == name]
        metres = np.array([r.metres for r in group])
        error = {f"metres p{p}": float(np.nanpercentile(metres, p)) for p in (50, 95) if not np.isnan(metres).all()}
        rows.append({"pattern": name, "refined": False} | figures([r.before for r in group], [miss]))
        rows.append({"pattern": name, "refined": True} | figures([r.after for r in group], [miss]) | error)
    return rows


def _chance(positive: Flags, scores: Float64) -> float:
    """Return the share of right references among those that could be compared."""
    comparable = ~np.isnan(scores)
    return float(positive[comparable].sum() / comparable.sum())


def figures(results: Sequence[Outcome], misses: Sequence[float]) -> dict[str, Any]:
    """Return the figures of a table row: queries, recall@1 and chance@1, the figures of `summary`, and coverage@ and
    size@ of the place sets for each promised share of misses."""
    right = _column(results, "right")
    out: dict[str, Any] = {
        "queries": len(results),
        "chance@1": float(_column(results, "chance").mean()),
        "recall@1": float(right.mean()),
        **summary(_column(results, "probability"), right, _column(results, "accepted")),
    }
    for i, miss in enumerate(misses):
        out[f"coverage@{1 - miss:g}"] = float(np.mean([o.covered[i] for o in results]))
        out[f"size@{1 - miss:g}"] = float(np.mean([o.size[i] for o in results]))
    return out


def summary(probability: Float64, right: Flags, accepted: Flags) -> dict[str, Any]:
    """Return figures of Q answers: mean probability, its calibration error, share accepted, and precision of the
    accepted ones (None where no answer was accepted)."""
    return {
        "mean_probability": float(probability.mean()),
        "expected_calibration_error": metrics.expected_calibration_error(probability, right),
        "accepted": float(accepted.mean()),
        "accepted_precision": float(right[accepted].mean()) if accepted.any() else None,
    }


def by_pattern(results: Sequence[Outcome], misses: Sequence[float]) -> list[dict[str, Any]]:
    """Return the figures of every pattern, most modalities first."""
    names = sorted({o.pattern for o in results}, key=lambda p: (-p.count("+"), p))
    return [{"pattern": p} | figures([o for o in results if o.pattern == p], misses) for p in names]


def reliability(results: Sequence[Outcome]) -> Float64:
    """Return the reliability diagram (B, 3): mean probability, share right and count of each bin that is not empty."""
    p, right = _column(results, "probability"), _column(results, "right")
    bins = np.minimum((p * BINS).astype(int), BINS - 1)
    rows = [(p[bins == b].mean(), right[bins == b].mean(), (bins == b).sum()) for b in np.unique(bins)]
    return np.array(rows, dtype=np.float64).reshape(-1, 3)


def precision_by_share(results: Sequence[Outcome]) -> Float64:
    """Return (N, 2): if the n most probable answers are accepted, their share of all queries and their precision."""
    right = _column(results, "right")[np.argsort(-_column(results, "probability"), kind="stable")]
    n = np.arange(1, len(right) + 1)
    return np.column_stack([n / max(len(right), 1), np.cumsum(right) / n])


def _column(results: Sequence[Outcome], name: str) -> NDArray[Any]:
    return np.array([getattr(o, name) for o in results])
