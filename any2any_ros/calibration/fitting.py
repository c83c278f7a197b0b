"""Fit a map's calibration: which fusion ranks best, and how far its answers can be trusted.

The queries come in folds, split by place. Each fold is judged by fusions that were fitted on the other folds. So every
query takes part in the comparison and in the confidence, and none is judged by a fusion that has seen its place. The
fusion that is kept is fitted on all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from any2any_ros.arrays import Array, Flags, Rows
from any2any_ros.calibration import comparison, evaluation, refinement
from any2any_ros.calibration.comparison import Judgement
from any2any_ros.calibration.judge import Judge
from any2any_ros.calibration.refinement import Exam, Fold, ScanRegistration
from any2any_ros.calibration.task import Task
from any2any_ros.config import Settings, setting
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion import FUSIONS
from any2any_ros.imputers import IMPUTERS
from any2any_ros.learning import imputers
from any2any_ros.protocols import Fusion
from any2any_ros.retrieval.calibration import Calibration, uncalibrated
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.trust import confidence_fitting
from any2any_ros.trust.confidence import ConfidenceConfig, Event, pattern_name
from any2any_ros.trust.drift import Difference


@dataclass(frozen=True)
class CalibrationConfig(Settings):
    """How a calibration is made."""

    fusion: str = setting(
        "auto", "name of the fusion; auto: the best one on held-out places (of a large map: see docs/scale.md)"
    )
    imputer: str = setting(
        "none",
        "name of the imputer whose output is compared as one more modality (docs/calmrl.md)",
        choices=IMPUTERS.names(),
    )
    max_pairs: int = setting(
        200_000, "calibration pairs used; of wrong pairs beyond, as many are drawn at random", minimum=100
    )
    seed: int = setting(0, "seed of all random draws", minimum=0)


def calibrate(
    reference: ReferenceMap,
    task: Task,
    config: CalibrationConfig = CalibrationConfig(),
    promises: ConfidenceConfig = ConfidenceConfig(),
    scans: ScanRegistration | None = None,
    baseline: Retriever | None = None,
) -> Calibration:
    """Compare the fusions on held-out places, choose one, and fit its confidence.

    scans: what registers the map's scans with those of the queries; None: ranking by scans is not fitted. baseline: an
    uncalibrated retriever that compares queries and references, where that is not the map's own. Raises Any2AnyError
    without right references in two folds, and for a fusion that does not exist.
    """
    usable = _usable_folds(reference, task)
    baseline = baseline or _baseline(reference, task, config)
    judge, lessons = Judge.of(baseline), _Lessons.of(baseline, task, config)
    others = {f: lessons.of_queries(np.asarray(task.folds != f)) for f in usable}
    entries = [_Entry.of(cls, judge, task, others) for cls in _fusions(config.fusion)]
    if not entries[0].judgements:
        raise _nothing_comparable(reference, task)
    table = [comparison.row(entry.plug, entry.judgements) for entry in entries]
    best = comparison.best(table, len(reference))
    table[best]["chosen"] = True
    winner = entries[best]
    events = [j.event for j in [*winner.judgements, *winner.judged_unmapped(task)]]
    trust = confidence_fitting.fit(events, promises)
    exam = Exam(task, winner.folds(task), trust.temperature)
    answerable = task.take(task.answerable)
    return replace(
        baseline.calibration,
        fusion=winner.fusion.fit(*lessons.of_queries(task.answerable)),
        confidence=trust,
        table=table,
        drift=usual_differences(judge.differences(answerable.queries, answerable.allowed)),
        refiner=None if scans is None else refinement.fit(exam, scans, promises, config.seed),
    )


def usual_differences(differences: Mapping[str, Array]) -> dict[str, Difference]:
    """Return what is usual of the sensors that have enough differences (Q, D)."""
    fitted = {m: Difference.fit(rows) for m, rows in sorted(differences.items())}
    return {m: difference for m, difference in fitted.items() if difference is not None}


def _usable_folds(reference: ReferenceMap, task: Task) -> list[int]:
    """Return the folds that have a right reference; raise where they are fewer than two."""
    usable = [int(fold) for fold in np.unique(task.folds) if task.positive[task.folds == fold].any()]
    if len(usable) < 2:
        raise Any2AnyError(
            f"Cannot calibrate map '{reference.name}'",
            f"{int(task.answerable.sum())} of {len(task)} queries lie near a reference, in {len(usable)} "
            "stretches of the drive",
            "Give a longer drive through the mapped places, and check that both poses share one frame",
        )
    return usable


def _baseline(reference: ReferenceMap, task: Task, config: CalibrationConfig) -> Retriever:
    plain = uncalibrated(reference, task.same_place)
    return Retriever(reference, replace(plain, imputer=imputers.fit(config.imputer, reference.places)))


def _fusions(choice: str) -> tuple[type[Fusion], ...]:
    return FUSIONS.all() if choice == "auto" else (FUSIONS.find(choice),)


def _nothing_comparable(reference: ReferenceMap, task: Task) -> Any2AnyError:
    return Any2AnyError(
        f"Cannot calibrate map '{reference.name}'",
        f"the drive has {', '.join(task.queries.modalities) or 'no sensor'}, the map {', '.join(reference.encoders)}",
        "Give a drive with a sensor that the map knows",
    )


@dataclass(frozen=True, eq=False)
class _Lessons:
    """What fusions are fitted on: similarities (Q', R', Mq, Mr) of the queries, with the imputer's variations of them,
    to every right reference and to others drawn at random."""

    task: Task
    judge: Judge
    queries: Any  # ObservationSet of Q' = Q or 2Q rows; row i is a variation of query i modulo Q
    config: CalibrationConfig

    @classmethod
    def of(cls, baseline: Retriever, task: Task, config: CalibrationConfig) -> _Lessons:
        varied = baseline.imputer.training_queries(task.queries, config.seed)
        return cls(task, Judge.of(baseline), varied, config)

    def of_queries(self, wanted: Flags) -> tuple[Array, Flags]:
        """Return similarities and labels (Q', R') of the queries `wanted` (Q,)."""
        origin = np.arange(len(self.queries)) % len(self.task)
        rows = wanted[origin]
        queries, positive, allowed = (
            self.queries.take(rows), self.task.positive[origin][rows], self.task.allowed[origin][rows]
        )  # fmt: skip
        columns = self._references(positive, len(queries))
        matrix = self.judge.searcher.matrix
        similarity = np.concatenate([matrix(queries.take([i]))[:, columns] for i in range(len(queries))])
        similarity[~allowed[:, columns]] = np.nan
        return similarity, positive[:, columns]

    def _references(self, positive: Flags, queries: int) -> Rows:
        """Return the references (R',): all that are right for a query, and others within `max_pairs`."""
        right = positive.any(axis=0)
        room = max(0, self.config.max_pairs // max(queries, 1) - right.sum())
        others = np.random.default_rng(self.config.seed).permutation(np.flatnonzero(~right))[:room]
        return np.sort(np.concatenate([np.flatnonzero(right), others]))


@dataclass(frozen=True, eq=False)
class _Entry:
    """One fusion in the comparison: by fold, a judge that was fitted on the other folds; and what became of all
    queries."""

    fusion: type[Any]
    judges: Mapping[int, Judge]
    judgements: list[Judgement]

    @classmethod
    def of(cls, fusion: type[Fusion], judge: Judge, task: Task, others: Mapping[int, tuple[Array, Flags]]) -> _Entry:
        """others: by fold, similarities and labels of the queries of all other folds."""
        judges = {fold: judge.using(fusion.fit(*lessons)) for fold, lessons in others.items()}
        return cls(fusion, judges, _by_fold(judges, task, task.allowed, mapped=True))

    @property
    def plug(self) -> str:
        return str(self.fusion.plug)

    def folds(self, task: Task) -> tuple[Fold, ...]:
        """Return the answerable queries of each fold with their judge."""
        return tuple(Fold(f, np.flatnonzero(task.answerable & (task.folds == f)), j) for f, j in self.judges.items())

    def judged_unmapped(self, task: Task) -> list[Judgement]:
        """Return what becomes of the queries when the map lacks their places."""
        return _by_fold(self.judges, task, task.unmapped, mapped=False)


def _by_fold(judges: Mapping[int, Judge], task: Task, allowed: Flags, mapped: bool) -> list[Judgement]:
    """Return what becomes of every answerable query under each pattern, judged by its fold's judge.

    allowed (Q, R): which references may answer; mapped: whether the queries' places are among them.
    """
    judgements = []
    for fold, judge in judges.items():
        for query in evaluation.scored(judge, task.queries, task.answerable & (task.folds == fold), allowed):
            rows, candidates = judge.candidates(query.similarity, query.scores, query.pattern)
            if len(rows):
                right = task.positive[query.row] & mapped
                event = Event(pattern_name(query.pattern), candidates, right[rows], fold, mapped)
                judgements.append(Judgement(event, int(right.sum()), int(allowed[query.row].sum())))
    return judgements
