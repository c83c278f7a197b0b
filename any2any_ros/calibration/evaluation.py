"""How good the rankings of a set of queries are, for every subset of the sensors."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from any2any_ros.arrays import Flags
from any2any_ros.calibration import metrics
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.large.search import top_k
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.trust.confidence import pattern_name

ALL_SUBSETS_UP_TO = 4  # modalities; of more, only the small and the large subsets are looked at
CHUNK = 32  # queries scored at once, for the memory's sake
DEEPEST = 5  # the k of the largest recall@k


def patterns(modalities: Sequence[str]) -> list[tuple[str, ...]]:
    """Return availability patterns, small ones first, each sorted by name."""
    names = tuple(sorted(modalities))
    sizes = set(range(1, len(names) + 1))
    if len(names) > ALL_SUBSETS_UP_TO:
        sizes = {1, 2, len(names) - 1, len(names)}
    return [p for size in sorted(sizes) for p in combinations(names, size)]


@dataclass(frozen=True, eq=False)
class Scored:
    """One query under one pattern: its row, its similarities (R, Mq, Mr) and its fused scores (R,)."""

    pattern: tuple[str, ...]
    row: int
    similarity: NDArray[np.float32]
    scores: NDArray[np.float64]


def scored(
    retriever: Retriever, queries: ObservationSet, asked: Flags, allowed: Flags | None = None
) -> Iterator[Scored]:
    """Yield every query under every availability pattern of which it has all, and under its own.

    asked (Q,): which queries to rank at all. allowed (Q, R): which references may answer; NaN elsewhere.
    """
    for pattern, rows in _occasions(retriever, queries, asked):
        for chunk in _chunks(rows):
            may = None if allowed is None else allowed[chunk]
            found = retriever.scores(queries.take(chunk).only(pattern), may)
            for row, similarity, scores in zip(chunk, *found, strict=True):
                yield Scored(pattern, int(row), similarity, scores)


def _occasions(
    retriever: Retriever, queries: ObservationSet, asked: Flags
) -> Iterator[tuple[tuple[str, ...], NDArray[np.intp]]]:
    """Yield each pattern with the queries to be asked under it."""
    modalities = [m for m in retriever.modalities if m in queries.embeddings]
    present = np.array([queries.present(m) for m in modalities], dtype=bool).reshape(len(modalities), len(queries))
    usual = patterns(modalities)
    for pattern in usual:
        complete = present[[modalities.index(m) for m in pattern]].all(axis=0)
        yield pattern, np.flatnonzero(asked & complete)
    own = [tuple(np.array(modalities)[column].tolist()) for column in present.T]
    for pattern in sorted({p for p, a in zip(own, asked, strict=True) if a and p} - set(usual)):
        yield pattern, np.flatnonzero(asked & np.array([p == pattern for p in own]))


@dataclass(frozen=True, eq=False)
class Hits:
    """Of one pattern: the queries (Q,) as rows of the set, and which of their first matches are right (Q, K)."""

    rows: NDArray[np.intp]
    relevant: Flags


def hits(
    retriever: Retriever, queries: ObservationSet, positive: Flags, allowed: Flags | None = None
) -> dict[tuple[str, ...], Hits]:
    """Rank every query that has a right reference under every pattern; positive (Q, R): the right ones."""
    found: dict[tuple[str, ...], tuple[list[int], list[Flags]]] = {}
    for query in scored(retriever, queries, answerable(positive, allowed), allowed):
        rows, flags = found.setdefault(query.pattern, ([], []))
        rows.append(query.row)
        flags.append(_relevant(query.scores, positive[query.row]))
    return {p: Hits(np.array(rows, dtype=np.intp), np.array(flags)) for p, (rows, flags) in found.items()}


def as_they_are(
    retriever: Retriever, queries: ObservationSet, positive: Flags, asked: Flags, allowed: Flags | None = None
) -> dict[str, Any]:
    """Return the summary of the queries `asked` (Q,), each ranked once by whatever it has."""
    may = np.ones_like(positive) if allowed is None else allowed
    rows, relevant = np.flatnonzero(asked), []
    for chunk in _chunks(rows):
        scores = retriever.scores(queries.take(chunk), None if allowed is None else allowed[chunk])[1]
        relevant += [_relevant(found, right) for found, right in zip(scores, positive[chunk], strict=True)]
    flags = np.array(relevant, dtype=bool).reshape(-1, DEEPEST)
    return summary(flags, (positive & may)[rows].sum(axis=1), may[rows].sum(axis=1))


def _chunks(rows: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    return np.array_split(rows, max(1, -(-len(rows) // CHUNK)))


def _relevant(scores: NDArray[np.float64], positive: Flags) -> Flags:
    """Return which of the first matches are right (DEEPEST,), by one query's scores (R,) and right references (R,)."""
    relevant = np.zeros(DEEPEST, dtype=bool)
    best = top_k(scores, DEEPEST)
    relevant[: len(best)] = positive[best]
    return relevant


def answerable(positive: Flags, allowed: Flags | None = None) -> Flags:
    """Return (Q,): which queries have a right reference that may answer."""
    return np.asarray((positive if allowed is None else positive & allowed).any(axis=1))


def evaluate(
    retriever: Retriever, queries: ObservationSet, positive: Flags, allowed: Flags | None = None
) -> list[dict[str, Any]]:
    """Return one group a pattern: its summary, and the best single sensor on the very same queries."""
    may = np.ones_like(positive) if allowed is None else allowed
    right, candidates = (positive & may).sum(axis=1), may.sum(axis=1)
    found = hits(retriever, queries, positive, allowed)
    groups = []
    for pattern, h in found.items():
        alone = {m: _recall_on(found[(m,)], h.rows) for m in pattern}
        best = max(alone, key=lambda m: alone[m])
        group = {"pattern": pattern_name(pattern)} | summary(h.relevant, right[h.rows], candidates[h.rows])
        groups.append(group | {"best_single": best, "best_single_recall@1": alone[best]})
    return groups


def _recall_on(single: Hits, rows: NDArray[np.intp]) -> float:
    """Return one sensor's recall@1 on some of its queries."""
    return metrics.recall_at_k(single.relevant[np.isin(single.rows, rows)], 1)


def summary(relevant: Flags, positives: ArrayLike, candidates: ArrayLike) -> dict[str, Any]:
    """Return queries, chance@1, recall@1, chance@5, recall@5 and the mean reciprocal rank."""
    out: dict[str, Any] = {"queries": len(relevant)}
    for k in (1, DEEPEST):
        out[f"chance@{k}"] = metrics.chance(positives, candidates, k)
        out[f"recall@{k}"] = metrics.recall_at_k(relevant, k)
    return out | {"mrr": metrics.reciprocal_rank(relevant)}
