"""Fits the refiner: what an overlap of scans tells, and the confidence of refined rankings.

The queries come in folds, split by place. Each fold is ranked by a fusion fitted on the other folds (fitting.py). The
queries' scans are registered onto those of the candidates that a robot would register: under every availability pattern
with a LiDAR, with the queries' places in the map, and without them. What an overlap tells is fitted for each fold on
the other folds. Refined rankings have a confidence of their own, because that of unrefined ones is not true for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from any2any_ros.arrays import Float64, Rows
from any2any_ros.calibration import evaluation
from any2any_ros.calibration.evaluation import ScoredQuery
from any2any_ros.calibration.scorer import Scorer
from any2any_ros.calibration.task import Task
from any2any_ros.geometry.clouds import LIDAR
from any2any_ros.geometry.refiner import NO_REFINER, FittedRefiner, OverlapEvidence, RefinerConfig
from any2any_ros.retrieval.large.search import top_k
from any2any_ros.trust import confidence_fitting
from any2any_ros.trust.confidence import ConfidenceConfig, Event, pattern_name

Overlaps = Mapping[int, Mapping[int, float]]  # by query (row) and reference (row)
Register = Callable[[Mapping[int, Rows]], Overlaps]  # by query (row): the references (rows) to register -> overlaps


@dataclass(frozen=True, eq=False)
class ScanRegistration:
    """How a calibration registers scans, or aligns images.

    register: returns the overlap of each pair of which both have a scan. config: how many. sensor: whose scans they
    are. choose: returns the references (rows) to register, from a query (row) and the scores (R,) of all; None: the
    best ones. counted: returns the overlaps, by reference (row), that count in the ranking of a query; None: those of
    the references chosen.
    """

    register: Register
    config: RefinerConfig = RefinerConfig()
    sensor: str = LIDAR
    choose: Callable[[int, Float64], Rows] | None = None
    counted: Callable[[int, Float64], Mapping[int, float]] | None = None

    def first(self, query: ScoredQuery) -> Rows:
        """Return the references (rows) that are registered with a query."""
        if self.choose is None:
            return top_k(query.scores, self.config.candidates)
        return self.choose(query.row, query.scores)

    def overlaps(self, query: ScoredQuery, registered: Mapping[int, float]) -> Mapping[int, float]:
        """Return the overlaps, by reference (row), that count in the ranking of a query. registered: by any of its
        patterns."""
        if self.counted is None:
            return {row: registered[row] for row in self.first(query).tolist() if row in registered}
        return self.counted(query.row, query.scores)


@dataclass(frozen=True, eq=False)
class Fold:
    """Queries (rows of the task) of neighbouring places, and a scorer whose fusion has not seen these places."""

    number: int
    rows: Rows
    scorer: Scorer


@dataclass(frozen=True, eq=False)
class FoldedTask:
    """A task and its folds. temperature: softmax(temperature * score) is the fusion's posterior."""

    task: Task
    folds: tuple[Fold, ...]
    temperature: float

    def sampled(self, count: int, seed: int, sensor: str) -> FoldedTask:
        """Return the same task with at most `count` of the queries that have the sensor, drawn at random."""
        queries = self.task.queries
        with_sensor = queries.present(sensor) | (sensor not in queries.embeddings)
        rows = np.concatenate([fold.rows[with_sensor[fold.rows]] for fold in self.folds])
        drawn = np.random.default_rng(seed).permutation(rows)[:count]
        return replace(self, folds=tuple(replace(f, rows=f.rows[np.isin(f.rows, drawn)]) for f in self.folds))

    def scored(self, fold: Fold, mapped: bool, sensor: str) -> Iterator[ScoredQuery]:
        """Yield the queries of a fold under every pattern with which a robot has a scan of the sensor to register.

        mapped: whether the map has the places of the queries.
        """
        task = self.task
        wanted = np.isin(np.arange(len(task)), fold.rows)
        for query in evaluation.scored(fold.scorer, task.queries, wanted, task.allowed if mapped else task.unmapped):
            if sensor in query.pattern or sensor not in fold.scorer.modalities:
                yield query


def fit(folded: FoldedTask, scans: ScanRegistration, promises: ConfidenceConfig, seed: int = 0) -> FittedRefiner | None:
    """Fit the refiner on the overlaps of the first candidates; None when no pair has two scans.

    promises: what the confidence has to keep. seed: of the draw of queries.
    """
    config = scans.config
    if not config.candidates:
        return None
    folded = folded.sampled(config.refined_queries, seed, scans.sensor)
    overlaps = scans.register(_wanted(folded, scans))
    evidence = _evidence(folded, overlaps, config.candidates)
    results = [
        result
        for fold in folded.folds
        for mapped in (True, False)
        for result in _refined(folded, fold, mapped, overlaps, evidence(excluded=fold), scans)
    ]
    mapped_results = [result for result in results if result.event.mapped]
    if not mapped_results:
        return None
    summary = {
        "queries": len(overlaps),
        "rankings": len(mapped_results),
        "chance@1": float(np.mean([result.chance for result in mapped_results])),
        "recall@1": float(np.mean([result.right_before for result in mapped_results])),
        "refined_recall@1": float(np.mean([result.event.right[0] for result in mapped_results])),
    }
    return FittedRefiner(evidence(), confidence_fitting.fit([result.event for result in results], promises), summary)


def _wanted(folded: FoldedTask, scans: ScanRegistration) -> dict[int, Rows]:
    """Return the references (rows) to register for each query (row): its first ones under any pattern."""
    wanted: dict[int, set[int]] = {}
    for fold in folded.folds:
        for mapped in (True, False):
            for query in folded.scored(fold, mapped, scans.sensor):
                wanted.setdefault(query.row, set()).update(scans.first(query).tolist())
    return {query: np.array(sorted(rows), dtype=np.intp) for query, rows in sorted(wanted.items()) if rows}


def _evidence(folded: FoldedTask, overlaps: Overlaps, count: int) -> Callable[..., OverlapEvidence]:
    """Return a function that fits the evidence on the pairs of all folds, or of all folds but one."""
    pairs = [(query, row, overlap) for query, of_query in overlaps.items() for row, overlap in of_query.items()]
    query, row = (np.array([pair[i] for pair in pairs], dtype=np.intp) for i in (0, 1))
    overlap, right = np.array([pair[2] for pair in pairs], dtype=np.float64), folded.task.positive[query, row]

    def fitted(excluded: Fold | None = None) -> OverlapEvidence:
        used = ~np.isin(query, () if excluded is None else excluded.rows)
        return OverlapEvidence.fit(overlap[used], right[used], count)

    return fitted


@dataclass(frozen=True, eq=False)
class _RefinedRanking:
    """One ranking that was refined. right_before: whether the first match was right before. chance: that a random one
    is right. event: the refined ranking."""

    right_before: bool
    chance: float
    event: Event


def _refined(
    folded: FoldedTask, fold: Fold, mapped: bool, overlaps: Overlaps, evidence: OverlapEvidence, scans: ScanRegistration
) -> Iterator[_RefinedRanking]:
    """Yield the rankings of a fold that can be refined. mapped: whether the map has the places of the queries."""
    refiner = replace(NO_REFINER, evidence=evidence, temperature=folded.temperature)
    scorer, stretches = fold.scorer.using(fold.scorer.fusion, refiner), folded.task.stretches
    for query in folded.scored(fold, mapped, scans.sensor):
        overlap = scans.overlaps(query, overlaps.get(query.row, {}))
        if not overlap:
            continue
        scores = scorer.refined(query.scores, overlap)
        rows, candidates = scorer.candidates(query.similarity, scores, query.pattern, overlap)
        right = folded.task.positive[query.row] & mapped
        chance = right.sum() / np.count_nonzero(~np.isnan(query.scores))
        stretch = int(stretches[query.row])
        event = Event(pattern_name(query.pattern), candidates, right[rows], fold.number, mapped, stretch)
        yield _RefinedRanking(bool(right[np.nanargmax(query.scores)]), float(chance), event)
