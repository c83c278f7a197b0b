"""Recall and other figures of a task, for every availability pattern."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros import metrics
from any2any_ros.arrays import Array, Flags, Float64, Rows
from any2any_ros.calibration.scorer import Scorer
from any2any_ros.calibration.task import Task
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.large.search import top_k
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.trust.confidence import pattern_name

ALL_SUBSETS_UP_TO = 4  # modalities; with more of them, only the smallest and the largest subsets are evaluated
CHUNK = 32  # queries scored at a time, so that memory stays bounded
DEEPEST = 5  # the k of the largest recall@k


def patterns(modalities: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the availability patterns to evaluate, small ones first, each sorted by name."""
    names = tuple(sorted(modalities))
    sizes = set(range(1, len(names) + 1))
    if len(names) > ALL_SUBSETS_UP_TO:
        sizes = {1, 2, len(names) - 1, len(names)}
    return [p for size in sorted(sizes) for p in combinations(names, size)]


def evaluate(retriever: Retriever | Scorer, task: Task) -> list[dict[str, Any]]:
    """Return one group for each pattern: its summary, and the best single modality on the same queries."""
    right, candidates = task.positive.sum(axis=1), task.allowed.sum(axis=1)
    by_pattern = hits(retriever, task)
    groups = []
    for pattern, h in by_pattern.items():
        alone = {m: _recall_on(by_pattern[(m,)], h.rows) for m in pattern}
        best = max(alone, key=lambda m: alone[m])
        group = {"pattern": pattern_name(pattern)} | summary(h.relevant, right[h.rows], candidates[h.rows])
        groups.append(group | {"best_single": best, "best_single_recall@1": alone[best]})
    return groups


def evaluate_once(retriever: Retriever | Scorer, task: Task, rows: Rows) -> dict[str, Any]:
    """Return the summary of the queries `rows`, each ranked once, by all modalities that it has."""
    scorer, relevant = Scorer.of(retriever), []
    for chunk in _chunks(rows):
        queries = task.queries.take(chunk)
        scores = scorer.scores(queries, task.allowed[chunk])[1]
        for query, one, right in zip(queries, scores, task.positive[chunk], strict=True):
            relevant.append(_relevant(scorer.aligned(query, one)[0], right))
    flags = np.array(relevant, dtype=bool).reshape(-1, DEEPEST)
    return summary(flags, task.positive[rows].sum(axis=1), task.allowed[rows].sum(axis=1))


def summary(relevant: Flags, positives: ArrayLike, candidates: ArrayLike) -> dict[str, Any]:
    """Return the number of queries, chance@1, recall@1, chance@5, recall@5 and the mean reciprocal rank.

    relevant (Q, K): whether each of a query's first matches is right. positives (Q,): number of right references.
    candidates (Q,): number of references that might answer.
    """
    out: dict[str, Any] = {"queries": len(relevant)}
    for k in (1, DEEPEST):
        out[f"chance@{k}"] = metrics.chance(positives, candidates, k)
        out[f"recall@{k}"] = metrics.recall_at_k(relevant, k)
    return out | {"mrr": metrics.reciprocal_rank(relevant)}


@dataclass(frozen=True, eq=False)
class Hits:
    """The queries of one pattern: their rows in the task (Q,), and which of their first matches are right (Q, K)."""

    rows: Rows
    relevant: Flags


def hits(retriever: Retriever | Scorer, task: Task) -> dict[tuple[str, ...], Hits]:
    """Rank every query that has a right reference, under every pattern."""
    by_pattern: dict[tuple[str, ...], tuple[list[int], list[Flags]]] = {}
    for query in scored(retriever, task.queries, task.answerable, task.allowed):
        rows, flags = by_pattern.setdefault(query.pattern, ([], []))
        rows.append(query.row)
        flags.append(_relevant(query.scores, task.positive[query.row]))
    return {p: Hits(np.array(rows, dtype=np.intp), np.array(flags)) for p, (rows, flags) in by_pattern.items()}


def _recall_on(single: Hits, rows: Rows) -> float:
    """Return the recall@1 of a single modality on the queries `rows`."""
    return metrics.recall_at_k(single.relevant[np.isin(single.rows, rows)], 1)


def _relevant(scores: Float64, positive: Flags) -> Flags:
    """Return which of the first matches of one query are right (DEEPEST,). scores (R,), positive (R,)."""
    relevant = np.zeros(DEEPEST, dtype=bool)
    best = top_k(scores, DEEPEST)
    relevant[: len(best)] = positive[best]
    return relevant


# --- queries under patterns -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class ScoredQuery:
    """One query under one pattern: its row in the task, its similarities (R, Mq, Mr) and its scores (R,).

    overlap: how its bird's-eye image fits those of the best references, by row; the scores take it into account.
    """

    pattern: tuple[str, ...]
    row: int
    similarity: Array
    scores: Float64
    overlap: Mapping[int, float]


def scored(
    retriever: Retriever | Scorer, queries: ObservationSet, wanted: Flags, allowed: Flags | None = None
) -> Iterator[ScoredQuery]:
    """Yield every query under every availability pattern whose modalities it has, and under all that it has.

    wanted (Q,): the queries to score. allowed (Q, R): the references that may answer; others have scores of NaN.
    """
    scorer = Scorer.of(retriever)
    for pattern, rows in _queries_by_pattern(scorer, queries, wanted):
        for chunk in _chunks(rows):
            of_chunk = None if allowed is None else allowed[chunk]
            of_pattern = queries.take(chunk).only(pattern)
            batch = scorer.scores(of_pattern, of_chunk)
            for row, query, similarity, scores in zip(chunk, of_pattern, *batch, strict=True):
                yield ScoredQuery(pattern, int(row), similarity, *scorer.aligned(query, scores))


def _queries_by_pattern(
    scorer: Scorer, queries: ObservationSet, wanted: Flags
) -> Iterator[tuple[tuple[str, ...], Rows]]:
    """Yield each pattern with the queries (rows) that are scored under it."""
    modalities = [m for m in scorer.modalities if m in queries.embeddings]
    present = np.array([queries.present(m) for m in modalities], dtype=bool).reshape(len(modalities), len(queries))
    usual = patterns(modalities)
    for pattern in usual:
        complete = present[[modalities.index(m) for m in pattern]].all(axis=0)
        yield pattern, np.flatnonzero(wanted & complete)
    whole = [tuple(np.array(modalities)[column].tolist()) for column in present.T]  # all modalities of each query
    for pattern in sorted({p for p, w in zip(whole, wanted, strict=True) if w and p} - set(usual)):
        yield pattern, np.flatnonzero(wanted & np.array([p == pattern for p in whole]))


def _chunks(rows: Rows) -> list[Rows]:
    return np.array_split(rows, max(1, -(-len(rows) // CHUNK)))
