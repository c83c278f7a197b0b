"""Fits the calibration of a map: compares the fusions, chooses one, and fits its confidence.

The queries come in folds, split by place. Each fold is ranked by fusions that were fitted on the other folds. So every
query takes part in the comparison and in fitting the confidence, and no query is ranked by a fusion that has seen its
place. At the end the chosen fusion is fitted on all queries.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from any2any_ros.arrays import Array, Flags, Rows
from any2any_ros.calibration import comparison, evaluation, image_alignment, pose_errors, refinement
from any2any_ros.calibration.comparison import RankedQuery
from any2any_ros.calibration.pose_errors import PoseError
from any2any_ros.calibration.refinement import Fold, FoldedTask, ScanRegistration
from any2any_ros.calibration.scorer import Scorer
from any2any_ros.calibration.task import Task
from any2any_ros.config import Settings, setting
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion import FUSIONS
from any2any_ros.geometry.refiner import FittedRefiner
from any2any_ros.imputers import IMPUTERS
from any2any_ros.learning import imputers
from any2any_ros.observation import ObservationSet
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
        200_000, "largest number of calibration pairs; beyond it, wrong pairs are left out at random", minimum=100
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

    promises: what the confidence has to keep. scans: registers the queries' scans onto the map's; None: the refiner is
    not fitted. baseline: an uncalibrated retriever, where the queries are not compared as the map says. Raises
    Any2AnyError unless two folds have right references, when nothing can be compared, and for an unknown fusion.
    """
    usable = _usable_folds(reference, task)
    baseline = baseline or _baseline(reference, task, config)
    scorer, training = Scorer.of(baseline), _TrainingData.of(baseline, task, config)
    other_folds = {f: training.of_queries(np.asarray(task.folds != f)) for f in usable}
    contestants = [_Contestant.of(cls, scorer, task, other_folds) for cls in _fusions(config.fusion)]
    if not contestants[0].ranked:
        raise _nothing_comparable(reference, task)
    table = [comparison.row(each.plug, each.ranked) for each in contestants]
    best = comparison.best(table, len(reference))
    table[best]["chosen"] = True
    winner = contestants[best]
    events = [query.event for query in [*winner.ranked, *winner.ranked_unmapped(task)]]
    fitted_confidence = confidence_fitting.fit(events, promises)
    folded = FoldedTask(task, winner.folds(task), fitted_confidence.temperature)
    answerable = task.take(task.answerable)
    images = image_alignment.registration(baseline.alignment, task)
    fitted = replace(
        baseline.calibration,
        fusion=winner.fusion.fit(*training.of_queries(task.answerable)),
        confidence=fitted_confidence,
        table=table,
        drift=usual_differences(scorer.differences(answerable.queries, answerable.allowed)),
        refiner=None if scans is None else refinement.fit(folded, scans, promises, config.seed),
        alignment=None if images is None else _fitted_alignment(folded, images, promises, config.seed),
        wanted=confidence_fitting.wanted(events, promises),
    )
    return replace(fitted, poses=pose_errors.fit(_pose_errors(fitted, reference, folded)))


def _pose_errors(fitted: Calibration, reference: ReferenceMap, folded: FoldedTask) -> list[PoseError]:
    """Return how far the poses of answers err, each ranked by the scorer of its fold."""
    assert fitted.confidence is not None
    alignment = fitted.image_alignment_of(reference)
    aligned = None if fitted.alignment is None else fitted.alignment.confidence
    found: list[PoseError] = []
    for fold in folded.folds:
        scorer, wanted = fold.scorer.using(fold.scorer.fusion, alignment=alignment), np.zeros(len(folded.task), bool)
        wanted[fold.rows] = True
        found += pose_errors.errors(scorer, folded.task, fitted.confidence, aligned, wanted)
    return found


def _fitted_alignment(
    folded: FoldedTask, images: ScanRegistration, promises: ConfidenceConfig, seed: int
) -> FittedRefiner | None:
    """Return what the alignment of images tells. Its summary says of which sensor they are."""
    fitted = refinement.fit(folded, images, promises, seed)
    return None if fitted is None else replace(fitted, summary={"sensor": images.sensor, **fitted.summary})


def usual_differences(differences: Mapping[str, Array]) -> dict[str, Difference]:
    """Return the usual differences, by modality, of those with enough queries. differences (Q, D): by modality."""
    fitted = {m: Difference.fit(rows) for m, rows in sorted(differences.items())}
    return {m: difference for m, difference in fitted.items() if difference is not None}


def _usable_folds(reference: ReferenceMap, task: Task) -> list[int]:
    """Return the folds that have a right reference. Raises Any2AnyError when there are fewer than two."""
    usable = [int(fold) for fold in np.unique(task.folds) if task.positive[task.folds == fold].any()]
    if len(usable) < 2:
        raise Any2AnyError(
            f"Cannot calibrate map '{reference.name}'",
            f"{int(task.answerable.sum())} of {len(task)} queries lie near a reference, in {len(usable)} "
            "stretches of the drive; two stretches are needed",
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
class _TrainingData:
    """The data that fusions are fitted on: similarities of queries to all right references, and to others drawn at
    random.

    queries: Q' = Q, 2Q, … rows. Row i is query i modulo Q, or a variation of it that the imputer makes.
    """

    task: Task
    scorer: Scorer
    queries: ObservationSet
    config: CalibrationConfig

    @classmethod
    def of(cls, baseline: Retriever, task: Task, config: CalibrationConfig) -> _TrainingData:
        queries = baseline.imputer.training_queries(task.queries, config.seed)
        return cls(task, Scorer.of(baseline), queries, config)

    def of_queries(self, wanted: Flags) -> tuple[Array, Flags]:
        """Return similarities (Q', R', Mq, Mr) and labels (Q', R') of the queries `wanted` (Q,)."""
        origin = np.arange(len(self.queries)) % len(self.task)
        rows = wanted[origin]
        queries, positive, allowed = (
            self.queries.take(rows), self.task.positive[origin][rows], self.task.allowed[origin][rows]
        )  # fmt: skip
        columns = self._references(positive, len(queries))
        matrix = self.scorer.searcher.matrix
        similarity = np.concatenate([matrix(queries.take([i]))[:, columns] for i in range(len(queries))])
        similarity[~allowed[:, columns]] = np.nan
        return similarity, positive[:, columns]

    def _references(self, positive: Flags, queries: int) -> Rows:
        """Return the references (R',): all that are right for a query, and as many others as `max_pairs` allows."""
        right = positive.any(axis=0)
        count = max(0, self.config.max_pairs // max(queries, 1) - right.sum())
        others = np.random.default_rng(self.config.seed).permutation(np.flatnonzero(~right))[:count]
        return np.sort(np.concatenate([np.flatnonzero(right), others]))


@dataclass(frozen=True, eq=False)
class _Contestant:
    """One fusion in the comparison.

    fusion: its class. scorers: by fold, with the fusion fitted on the other folds. ranked: all answerable queries,
    each ranked by the scorer of its fold.
    """

    fusion: type[Any]
    scorers: Mapping[int, Scorer]
    ranked: list[RankedQuery]

    @classmethod
    def of(
        cls, fusion: type[Fusion], scorer: Scorer, task: Task, other_folds: Mapping[int, tuple[Array, Flags]]
    ) -> _Contestant:
        """other_folds: by fold, similarities and labels of the queries of all other folds."""
        scorers = {fold: scorer.using(fusion.fit(*training)) for fold, training in other_folds.items()}
        return cls(fusion, scorers, _by_fold(scorers, task, task.allowed, mapped=True))

    @property
    def plug(self) -> str:
        return str(self.fusion.plug)

    def folds(self, task: Task) -> tuple[Fold, ...]:
        """Return the answerable queries of each fold with their scorer."""
        return tuple(Fold(f, np.flatnonzero(task.answerable & (task.folds == f)), s) for f, s in self.scorers.items())

    def ranked_unmapped(self, task: Task) -> list[RankedQuery]:
        """Return the same queries, each ranked as if the map had no place there."""
        return _by_fold(self.scorers, task, task.unmapped, mapped=False)


def _by_fold(scorers: Mapping[int, Scorer], task: Task, allowed: Flags, mapped: bool) -> list[RankedQuery]:
    """Return every answerable query under every pattern, ranked by the scorer of its fold.

    allowed (Q, R): which references may answer. mapped: whether the places of the queries are among them.
    """
    ranked, stretches = [], task.stretches
    for fold, scorer in scorers.items():
        for query in evaluation.scored(scorer, task.queries, task.answerable & (task.folds == fold), allowed):
            rows, candidates = scorer.candidates(query.similarity, query.scores, query.pattern)
            if len(rows):
                right = task.positive[query.row] & mapped
                event = Event(
                    pattern_name(query.pattern), candidates, right[rows], fold, mapped, int(stretches[query.row])
                )
                ranked.append(RankedQuery(event, int(right.sum()), int(allowed[query.row].sum())))
    return ranked
