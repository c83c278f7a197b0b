"""Fit the refiner: what an overlap of scans is worth, and how far to trust a refined ranking.

The queries come in folds by place, each ranked by a fusion fitted on the others (fitting.py). The candidates that a
robot would register are registered with them, under every availability pattern with a LiDAR, with their places in the
map and hidden from it. What the overlaps are worth to a fold is fitted on the other folds. The refined rankings fit a
confidence of their own, because a refined answer deserves another trust than one that was not refined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from any2any_ros.arrays import Rows
from any2any_ros.calibration import evaluation
from any2any_ros.calibration.evaluation import Scored
from any2any_ros.calibration.judge import Judge
from any2any_ros.calibration.task import Task
from any2any_ros.geometry.clouds import LIDAR
from any2any_ros.geometry.refiner import NO_REFINER, FittedRefiner, OverlapEvidence, RefinerConfig
from any2any_ros.retrieval.large.search import top_k
from any2any_ros.trust import confidence_fitting
from any2any_ros.trust.confidence import ConfidenceConfig, Event, pattern_name

Overlaps = Mapping[int, Mapping[int, float]]  # by query (row) and reference (row)
Register = Callable[[Mapping[int, Rows]], Overlaps]  # references (rows) to register with each query (row) -> overlaps


@dataclass(frozen=True, eq=False)
class ScanRegistration:
    """How scans are registered for a calibration. register: returns the overlap of each pair that has two scans."""

    register: Register
    config: RefinerConfig = RefinerConfig()


@dataclass(frozen=True, eq=False)
class Fold:
    """Neighbouring queries (rows), and a judge whose fusion has not seen their places."""

    number: int
    rows: Rows
    judge: Judge


@dataclass(frozen=True, eq=False)
class Exam:
    """A task in folds with their judges. temperature: of the fusion's posterior."""

    task: Task
    folds: tuple[Fold, ...]
    temperature: float

    def drawn(self, count: int, seed: int) -> Exam:
        """Return the same with `count` queries at most, of those that have a LiDAR."""
        queries = self.task.queries
        able = queries.present(LIDAR) | (LIDAR not in queries.embeddings)
        rows = np.concatenate([fold.rows[able[fold.rows]] for fold in self.folds])
        drawn = np.random.default_rng(seed).permutation(rows)[:count]
        return replace(self, folds=tuple(replace(f, rows=f.rows[np.isin(f.rows, drawn)]) for f in self.folds))

    def scored(self, fold: Fold, mapped: bool) -> Iterator[Scored]:
        """Yield the fold's queries under every pattern with which a robot has a scan to register."""
        task = self.task
        wanted = np.isin(np.arange(len(task)), fold.rows)
        for query in evaluation.scored(fold.judge, task.queries, wanted, task.allowed if mapped else task.unmapped):
            if LIDAR in query.pattern or LIDAR not in fold.judge.modalities:
                yield query


def fit(exam: Exam, scans: ScanRegistration, promises: ConfidenceConfig, seed: int = 0) -> FittedRefiner | None:
    """Fit on the overlaps of the first candidates; None when no pair has two scans."""
    config = scans.config
    if not config.candidates:
        return None
    exam = exam.drawn(config.refined_queries, seed)
    overlaps = scans.register(_wanted(exam, config.candidates))
    evidence = _evidence(exam, overlaps, config.candidates)
    results = [
        result
        for fold in exam.folds
        for mapped in (True, False)
        for result in _refined(exam, fold, mapped, overlaps, evidence(excluded=fold))
    ]
    known = [(before, chance, event) for before, chance, event in results if event.mapped]
    if not known:
        return None
    summary = {
        "queries": len(overlaps),
        "rankings": len(known),
        "chance@1": float(np.mean([chance for _, chance, _ in known])),
        "recall@1": float(np.mean([before for before, _, _ in known])),
        "refined_recall@1": float(np.mean([event.right[0] for _, _, event in known])),
    }
    return FittedRefiner(evidence(), confidence_fitting.fit([event for _, _, event in results], promises), summary)


def _wanted(exam: Exam, count: int) -> dict[int, Rows]:
    """Return the references (rows) to register with each query (row): its first `count` under any pattern."""
    wanted: dict[int, set[int]] = {}
    for fold in exam.folds:
        for mapped in (True, False):
            for query in exam.scored(fold, mapped):
                wanted.setdefault(query.row, set()).update(top_k(query.scores, count).tolist())
    return {query: np.array(sorted(rows), dtype=np.intp) for query, rows in sorted(wanted.items()) if rows}


def _evidence(exam: Exam, overlaps: Overlaps, count: int) -> Callable[..., OverlapEvidence]:
    """Return a function that fits the evidence on all pairs, or on those of all folds but one."""
    pairs = [(query, row, overlap) for query, of_query in overlaps.items() for row, overlap in of_query.items()]
    query, row = (np.array([pair[i] for pair in pairs], dtype=np.intp) for i in (0, 1))
    overlap, right = np.array([pair[2] for pair in pairs], dtype=np.float64), exam.task.positive[query, row]

    def fitted(excluded: Fold | None = None) -> OverlapEvidence:
        used = ~np.isin(query, () if excluded is None else excluded.rows)
        return OverlapEvidence.fit(overlap[used], right[used], count)

    return fitted


def _refined(
    exam: Exam, fold: Fold, mapped: bool, overlaps: Overlaps, evidence: OverlapEvidence
) -> Iterator[tuple[bool, float, Event]]:
    """Yield of each ranking that was refined: whether it was right before, by chance, and what became of it."""
    refiner = replace(NO_REFINER, evidence=evidence, temperature=exam.temperature)
    judge = fold.judge.using(fold.judge.fusion, refiner)
    for query in exam.scored(fold, mapped):
        first, of_query = top_k(query.scores, evidence.candidates), overlaps.get(query.row, {})
        overlap = {row: of_query[row] for row in first.tolist() if row in of_query}
        if not overlap:
            continue
        rows, candidates = judge.candidates(query.similarity, query.scores, query.pattern, overlap)
        right = exam.task.positive[query.row] & mapped
        chance = right.sum() / np.count_nonzero(~np.isnan(query.scores))
        event = Event(pattern_name(query.pattern), candidates, right[rows], fold.number, mapped)
        yield bool(right[first[0]]), float(chance), event
