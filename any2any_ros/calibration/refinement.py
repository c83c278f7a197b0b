"""What calibration queries teach the geometric check: what an overlap is worth, and how far to trust the outcome.

The queries come in folds by place, each ranked by a fusion fitted on the others (calibration.py). The candidates that
a robot would check are laid over them, under every availability pattern with a LiDAR, with their places in the map and
hidden. What the overlaps are worth to a fold is learnt from the others; the rankings it makes of them teach a
confidence of their own, because an answer that was checked deserves another trust than one that was not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from any2any_ros.arrays import Flags, Rows
from any2any_ros.calibration import evaluation
from any2any_ros.calibration.evaluation import Scored
from any2any_ros.geometry.clouds import LIDAR
from any2any_ros.geometry.refiner import NO_REFINER, OverlapEvidence, Refiner, RefinerConfig
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.large.search import top_k
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.trust import confidence
from any2any_ros.trust.confidence import Confidence, ConfidenceConfig, Event, pattern_name

# Registers queries (rows) with references (rows), and returns each overlap that there is.
Overlaps = Mapping[int, Mapping[int, float]]
Register = Callable[[Mapping[int, Rows]], Overlaps]


@dataclass(frozen=True, eq=False)
class FittedRefiner:
    """What an overlap is worth, how far to trust a checked ranking, and recall@1 on held-out calibration places, before
    the check and after it, with chance."""

    evidence: OverlapEvidence
    confidence: Confidence
    summary: Mapping[str, Any]

    def of(self, refiner: Refiner, temperature: float) -> Refiner:
        """Return the refiner that knows this; temperature: the unchecked confidence's."""
        return replace(
            refiner,
            candidates=self.evidence.candidates,
            evidence=self.evidence,
            confidence=self.confidence,
            temperature=temperature,
        )


@dataclass(frozen=True, eq=False)
class Fold:
    """Neighbouring queries (rows), and who ranks them: a retriever with a fusion that has not seen their places."""

    number: int
    rows: Rows
    judge: Retriever


@dataclass(frozen=True, eq=False)
class Examination:
    """Calibration queries in folds. positive (Q, R): the right references; those that may answer (Q, R), with the
    queries' places in the map and, in `lost`, without; temperature: of the fusion's posterior."""

    queries: ObservationSet
    folds: tuple[Fold, ...]
    positive: Flags
    allowed: Flags
    lost: Flags
    temperature: float

    def drawn(self, count: int, seed: int) -> Examination:
        """Return the same with `count` queries at most, of those that have a LiDAR."""
        able = self.queries.present(LIDAR) | (LIDAR not in self.queries.embeddings)
        rows = np.concatenate([fold.rows[able[fold.rows]] for fold in self.folds])
        kept = np.random.default_rng(seed).permutation(rows)[:count]
        folds = tuple(Fold(f.number, f.rows[np.isin(f.rows, kept)], f.judge) for f in self.folds)
        return Examination(self.queries, folds, self.positive, self.allowed, self.lost, self.temperature)

    def scored(self, fold: Fold, mapped: bool) -> Iterator[Scored]:
        """Yield the fold's queries under every pattern with which a robot has a scan to register."""
        asked = np.isin(np.arange(len(self.queries)), fold.rows)
        for query in evaluation.scored(fold.judge, self.queries, asked, self.allowed if mapped else self.lost):
            if LIDAR in query.pattern or LIDAR not in fold.judge.modalities:
                yield query


def fit(
    exam: Examination, register: Register, config: RefinerConfig, promises: ConfidenceConfig, seed: int = 0
) -> FittedRefiner | None:
    """Fit on what `register` finds; None when it finds nothing."""
    if not config.candidates:
        return None
    exam = exam.drawn(config.refined_queries, seed)
    overlaps = register(_wanted(exam, config.candidates))
    evidence = _evidence(exam, overlaps, config.candidates)
    judged = [
        found
        for fold in exam.folds
        for mapped in (True, False)
        for found in _judged(exam, fold, mapped, overlaps, evidence(excluded=fold))
    ]
    known = [(before, chance, event) for before, chance, event in judged if event.mapped]
    if not known:
        return None
    summary = {
        "queries": len(overlaps),
        "rankings": len(known),
        "chance@1": float(np.mean([chance for _, chance, _ in known])),
        "recall@1": float(np.mean([before for before, _, _ in known])),
        "checked_recall@1": float(np.mean([event.right[0] for _, _, event in known])),
    }
    return FittedRefiner(evidence(), confidence.fit([event for _, _, event in judged], promises), summary)


def _wanted(exam: Examination, count: int) -> dict[int, Rows]:
    """Return the references (rows) to register with each query (row): its first `count` under any pattern."""
    found: dict[int, set[int]] = {}
    for fold in exam.folds:
        for mapped in (True, False):
            for query in exam.scored(fold, mapped):
                found.setdefault(query.row, set()).update(top_k(query.scores, count).tolist())
    return {query: np.array(sorted(rows), dtype=np.intp) for query, rows in sorted(found.items()) if rows}


def _evidence(exam: Examination, overlaps: Overlaps, count: int) -> Callable[..., OverlapEvidence]:
    """Return what fits the evidence of all pairs, or of those of all folds but one."""
    pairs = [(query, row, overlap) for query, there in overlaps.items() for row, overlap in there.items()]
    query, row = (np.array([pair[i] for pair in pairs], dtype=np.intp) for i in (0, 1))
    overlap, right = np.array([pair[2] for pair in pairs], dtype=np.float64), exam.positive[query, row]

    def fitted(excluded: Fold | None = None) -> OverlapEvidence:
        kept = ~np.isin(query, () if excluded is None else excluded.rows)
        return OverlapEvidence.fit(overlap[kept], right[kept], count)

    return fitted


def _judged(
    exam: Examination, fold: Fold, mapped: bool, overlaps: Overlaps, evidence: OverlapEvidence
) -> Iterator[tuple[bool, float, Event]]:
    """Yield of each ranking that was checked: whether it was right before, by chance, and what became of it."""
    refiner = replace(NO_REFINER, evidence=evidence, temperature=exam.temperature)
    judge = fold.judge.using(fold.judge.fusion, refiner)
    for query in exam.scored(fold, mapped):
        first, there = top_k(query.scores, evidence.candidates), overlaps.get(query.row, {})
        overlap = {row: there[row] for row in first.tolist() if row in there}
        if not overlap:
            continue
        rows, candidates = judge.candidates(query.similarity, query.scores, query.pattern, 1, overlap)
        right = exam.positive[query.row] & mapped
        chance = right.sum() / np.count_nonzero(~np.isnan(query.scores))
        yield (
            bool(right[first[0]]),
            float(chance),
            Event(pattern_name(query.pattern), candidates, right[rows], fold.number, mapped),
        )
