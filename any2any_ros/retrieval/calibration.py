"""What calibration drives teach a map: which fusion ranks best, and how far its answers can be trusted.

Kept in MAP/calibration/, and bound to the map's encoders. The calibration queries come in folds, split by place:
each fold is judged by fusions that were fitted on the others. So every query takes part in the comparison and in
the confidence, and none is judged by a fusion that has seen its place. The fusion kept is fitted on all of them.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros import imputers, storage
from any2any_ros.arrays import Flags
from any2any_ros.calibration import comparison, evaluation, refinement
from any2any_ros.calibration.comparison import Judgement
from any2any_ros.calibration.refinement import Examination, FittedRefiner, Fold, Register
from any2any_ros.config import Settings, setting
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion import FUSIONS
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.geometry.clouds import Clouds
from any2any_ros.geometry.refiner import NO_REFINER, OverlapEvidence, Refiner, RefinerConfig
from any2any_ros.imputers import IMPUTERS
from any2any_ros.imputers.none import NO_IMPUTER
from any2any_ros.learning.imputers import fit as fit_imputer
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Fusion, Imputer
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.retrieval.similarity import Pair, SimilarityMatrix, one_space, same_modality
from any2any_ros.trust import confidence
from any2any_ros.trust.confidence import Confidence, ConfidenceConfig, Event, pattern_name
from any2any_ros.trust.drift import Difference

FORMAT = 3
IMPUTING_FORMAT = 4  # has an imputer, too, which a reader of format 3 would leave out
FOLDER = "calibration"
OLD = f".{FOLDER}.old"  # what stands when a save was killed between its two renames


@dataclass(frozen=True)
class CalibrationConfig(Settings):
    """How a calibration is made."""

    fusion: str = setting(
        "auto", "the fusion's plug; auto = the best on held-out places (docs/scale.md: of a large map)"
    )
    imputer: str = setting("none", "what is compared beside the sensors (docs/calmrl.md)", choices=IMPUTERS.names())
    max_pairs: int = setting(200_000, "calibration pairs kept; wrong ones beyond are drawn at random", minimum=100)
    seed: int = setting(0, "of what is drawn at random", minimum=0)


@dataclass(frozen=True, eq=False)
class Calibration:
    """The chosen fusion and its confidence, which encoders and modality columns they belong to, the table of all
    fusions compared (recall@1 and recall@5 by pattern on held-out calibration places), how each sensor's view differed
    from the map's, what the geometric check has learnt, and the imputer, fitted on the map."""

    fusion: Fusion
    confidence: Confidence | None
    encoders: dict[str, str]  # modality -> fingerprint
    same_place: float
    table: list[dict[str, Any]] = field(default_factory=list)
    usual: dict[str, Difference] = field(default_factory=dict)
    refiner: FittedRefiner | None = None
    pairs: tuple[Pair, ...] = ()  # of modalities that are compared, in one space; none: the map's own
    imputer: Imputer = NO_IMPUTER

    def retriever(
        self, reference: ReferenceMap, refiner: Refiner = NO_REFINER, device: str = "auto", threads: int = 1
    ) -> Retriever:
        """Return the retriever of this map as calibrated; raises Any2AnyError when it was another map's encoders.

        refiner: what lays the map's scans. A calibration that has not learnt to judge its findings checks nothing.
        """
        found = {m: r.fingerprint for m, r in reference.encoders.items()}
        if found != self.encoders:
            raise Any2AnyError(
                f"The calibration does not fit map '{reference.name}'",
                f"it was made for {self.encoders}, the map has {found}",
                "Calibrate again: any2any calibrate MAP DRIVE",
            )
        alignments = {**one_space(self.pairs or reference.pairs), **same_modality(self.imputer.adds)}
        fitted = self.fusion, self.imputer, self.confidence, self.same_place
        if self.confidence is not None:
            refiner = NO_REFINER if self.refiner is None else self.refiner.of(refiner, self.confidence.temperature)
        return Retriever(reference.places, alignments, *fitted, refiner, device, reference.kept, threads)


def uncalibrated(reference: ReferenceMap, same_place: float, pairs: tuple[Pair, ...] = ()) -> Calibration:
    """Return what can be done without calibration: raw similarities, no probability, nothing accepted."""
    fingerprints = {m: r.fingerprint for m, r in reference.encoders.items()}
    return Calibration(RawMean(), None, fingerprints, same_place, pairs=pairs)


def calibrate(
    reference: ReferenceMap,
    queries: ObservationSet,
    positive: Flags,
    folds: NDArray[np.intp],
    same_place: float,
    config: CalibrationConfig = CalibrationConfig(),
    promises: ConfidenceConfig = ConfidenceConfig(),
    hidden: Flags | None = None,
    allowed: Flags | None = None,
    geometry: RefinerConfig = RefinerConfig(),
    register: Register | None = None,
    pairs: tuple[Pair, ...] = (),
    bench: Retriever | None = None,
) -> Calibration:
    """Fit and compare the fusions, choose one, and fit its confidence.

    positive (Q, R): which references are right. folds (Q,): queries of one number are neighbours, and are judged
    together. same_place: metres within which two references are one place. hidden (Q, R): what the map would lack if
    it lacked the place of a query; the right references where it is None. allowed (Q, R): which references may answer,
    where a drive calibrates the map made from itself. register: registers queries with references, for the refiner.
    pairs: of modalities that are compared in one space; where none are given, those that the map says. bench: what
    compares, where that is not the map's own. Raises Any2AnyError without right references in two folds.
    """
    may = np.ones_like(positive) if allowed is None else allowed
    positive = positive & may
    usable = [fold for fold in np.unique(folds) if positive[folds == fold].any()]
    if len(usable) < 2:
        raise Any2AnyError(
            f"Cannot calibrate map '{reference.name}'",
            f"{int(positive.any(axis=1).sum())} of {len(queries)} queries lie near a reference, in {len(usable)} "
            "stretches of the drive",
            "Give a longer drive through the mapped places, and check that both poses share one frame",
        )
    imputer = NO_IMPUTER if bench else fit_imputer(config.imputer, reference.places)
    plain = replace(uncalibrated(reference, same_place, pairs), imputer=imputer)
    bench, lessons = bench or plain.retriever(reference), imputer.training_queries(queries, config.seed)

    def sample(rows: Flags) -> tuple[NDArray[np.float32], Flags]:
        again = np.arange(len(lessons)) % len(queries)
        right, allowed = (answers[again][rows[again]] for answers in (positive, may))
        return _matrices(bench.similarity, lessons.take(rows[again]), right, allowed, config)

    asked = {f: np.asarray(positive.any(axis=1) & (folds == f)) for f in usable}
    others = {f: sample(np.asarray(folds != f)) for f in usable}
    trials = []
    for cls in _fusions(config.fusion):
        judges = {f: bench.using(cls.fit(*others[f])) for f in usable}
        parts = [_judge(judge, queries, asked[f], positive, may, f) for f, judge in judges.items()]
        trials.append((cls, judges, [judgement for part in parts for judgement in part]))
    if not trials[0][2]:
        raise Any2AnyError(
            f"Cannot calibrate map '{reference.name}'",
            f"the drive has {', '.join(queries.modalities) or 'no sensor'}, the map {', '.join(reference.encoders)}",
            "Give a drive with a sensor that the map knows",
        )
    table = [comparison.row(cls.plug, judgements) for cls, _, judgements in trials]
    best = comparison.chosen(table, len(reference))
    table[best]["chosen"] = True
    cls, judges, judgements = trials[best]
    seen = may & ~(positive if hidden is None else hidden | positive)
    parts = [_judge(judge, queries, asked[f], positive, seen, f, False) for f, judge in judges.items()]
    events = [j.event for j in [*judgements, *(lost for part in parts for lost in part)]]
    trust = confidence.fit(events, promises)
    by_place = tuple(Fold(int(f), np.flatnonzero(asked[f]), judge) for f, judge in judges.items())
    exam = Examination(queries, by_place, positive, may, seen, trust.temperature)
    answered = np.asarray(positive.any(axis=1))
    return replace(
        plain,
        fusion=cls.fit(*sample(answered)),
        confidence=trust,
        table=table,
        usual=usual(differences(bench, queries.take(answered), may[answered])),
        refiner=None if register is None else refinement.fit(exam, register, geometry, promises, config.seed),
    )


def differences(
    retriever: Retriever, queries: ObservationSet, allowed: Flags | None = None
) -> dict[str, NDArray[np.float32]]:
    """Return, by sensor, by how much (Q, D) each query differs from the reference it finds most alike; NaN = missing.

    allowed (Q, R): which references may answer.
    """
    found = {m: np.full_like(v, np.nan) for m, v in queries.embeddings.items() if m in retriever.modalities}
    for i, query in enumerate(queries):
        rows = np.arange(len(retriever.similarity)) if allowed is None else np.flatnonzero(allowed[i])
        similarity = retriever.similarity(queries.take([i]))[0, rows]
        for modality, difference in retriever.differences(query, rows, similarity).items():
            found[modality][i] = difference
    return found


def usual(found: dict[str, NDArray[np.float32]]) -> dict[str, Difference]:
    """Return what is usual of the sensors that have enough of the `differences` (Q, D)."""
    fitted = {m: Difference.fit(rows) for m, rows in sorted(found.items())}
    return {m: difference for m, difference in fitted.items() if difference is not None}


def _fusions(choice: str) -> list[type[Any]]:
    if choice != "auto":
        return [FUSIONS.find(choice)]
    return list(FUSIONS.all())


def _matrices(
    matrix: SimilarityMatrix, queries: ObservationSet, positive: Flags, allowed: Flags, config: CalibrationConfig
) -> tuple[NDArray[np.float32], Flags]:
    """Return similarities (Q, R', Mq, Mr) and labels (Q, R'): every right reference, and others drawn at random."""
    right = positive.any(axis=0)
    room = max(0, config.max_pairs // max(len(queries), 1) - right.sum())
    others = np.random.default_rng(config.seed).permutation(np.flatnonzero(~right))[:room]
    kept = np.sort(np.concatenate([np.flatnonzero(right), others]))
    similarity = np.concatenate([matrix(queries.take([i]))[:, kept] for i in range(len(queries))])
    similarity[~allowed[:, kept]] = np.nan
    return similarity, positive[:, kept]


def _judge(
    retriever: Retriever,
    queries: ObservationSet,
    asked: Flags,
    positive: Flags,
    allowed: Flags,
    fold: int,
    mapped: bool = True,
) -> list[Judgement]:
    """Return what becomes of the queries asked (Q,) under each availability pattern, where only the references
    allowed (Q, R) may answer; mapped: whether their places are among these."""
    judged = []
    for query in evaluation.scored(retriever, queries, asked, allowed):
        found, candidates = retriever.candidates(query.similarity, query.scores, query.pattern, 1)
        if len(found):
            right = positive[query.row] & mapped
            event = Event(pattern_name(query.pattern), candidates, right[found], fold, mapped)
            judged.append(Judgement(event, int(right.sum()), int(allowed[query.row].sum())))
    return judged


def save(calibration: Calibration, folder: Path) -> None:
    """Write to folder/calibration; the old one stands until the new one is whole."""
    target, unfinished = folder / FOLDER, folder / f".{FOLDER}.unfinished"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    storage.save(calibration.fusion, unfinished / "fusion")
    if calibration.confidence is not None:
        storage.save(calibration.confidence, unfinished / "confidence")
    imputers.save(calibration.imputer, unfinished / "imputer")
    for i, difference in enumerate(calibration.usual.values()):
        storage.save(difference, unfinished / f"usual-{i}")
    refiner = calibration.refiner
    if refiner is not None:
        storage.save(refiner.evidence, unfinished / "overlap")
        storage.save(refiner.confidence, unfinished / "checked_confidence")
    header = {
        "format": FORMAT if calibration.imputer is NO_IMPUTER else IMPUTING_FORMAT,
        "fusion": calibration.fusion.plug,
        "encoders": calibration.encoders,
        "same_place": calibration.same_place,
        "table": calibration.table,
        "usual": list(calibration.usual),
        "check": None if refiner is None else refiner.summary,
        "pairs": calibration.pairs,
        "imputer": calibration.imputer.plug,
    }
    storage.write_json(unfinished / "calibration.json", header)
    old = folder / OLD
    if target.exists():
        shutil.rmtree(old, ignore_errors=True)
        target.rename(old)
    unfinished.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def load(folder: Path) -> Calibration | None:
    """Read folder/calibration; None when there is none; raise Any2AnyError when it is damaged."""
    home = next((folder / name for name in (FOLDER, OLD) if (folder / name).exists()), None)
    if home is None:
        return None
    try:
        header = json.loads((home / "calibration.json").read_text())
        known = (home / "confidence.json").exists()
        if header["format"] not in (FORMAT, IMPUTING_FORMAT):
            raise ValueError(f"its format is {header['format']}, this program reads {FORMAT} and {IMPUTING_FORMAT}")
        return Calibration(
            storage.load(home / "fusion", FUSIONS),
            storage.load(home / "confidence", Confidence) if known else None,
            header["encoders"],
            header["same_place"],
            header["table"],
            {m: storage.load(home / f"usual-{i}", Difference) for i, m in enumerate(header["usual"])},
            _load_check(home, header.get("check")),
            tuple((q, r) for q, r in header.get("pairs", [])),
            imputers.load(header.get("imputer", NO_IMPUTER.plug), home / "imputer"),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Any2AnyError(
            f"Cannot read the calibration in {folder}", str(error), "Calibrate again: any2any calibrate MAP DRIVE"
        ) from error


def _load_check(home: Path, summary: dict[str, Any] | None) -> FittedRefiner | None:
    """Read what the check has learnt; None in a calibration that taught it nothing."""
    if summary is None:
        return None
    return FittedRefiner(
        storage.load(home / "overlap", OverlapEvidence), storage.load(home / "checked_confidence", Confidence), summary
    )


def open_map(
    folder: Path, same_place: float, device: str = "auto", threads: int = 1
) -> tuple[ReferenceMap, Retriever, Calibration | None]:
    """Return the map in `folder`, its retriever (device, threads: as there), and its calibration, if it has one."""
    reference = reference_map.load(folder)
    chosen = (calibration := load(folder)) or uncalibrated(reference, same_place)
    return reference, chosen.retriever(reference, Refiner(Clouds(folder)), device, threads), calibration
