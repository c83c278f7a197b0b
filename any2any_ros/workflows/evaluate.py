"""How well a drive is recognised: in a map, or in its own past."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from any2any_ros import tables
from any2any_ros.calibration import evaluation, missing, reliability
from any2any_ros.calibration.task import Task
from any2any_ros.config import PlaceConfig
from any2any_ros.data import splits
from any2any_ros.data.sources import Recording
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion import FUSIONS
from any2any_ros.geometry import refiner
from any2any_ros.imputers.none import NO_IMPUTER
from any2any_ros.progress import Progress, silent
from any2any_ros.retrieval import adopted
from any2any_ros.retrieval.calibration import uncalibrated
from any2any_ros.retrieval.map_folder import SCANS
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap, map_encoders
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.trust.confidence import ConfidenceConfig
from any2any_ros.workflows import own_drive, scans
from any2any_ros.workflows.inputs import EncoderChoice, Source, chosen_encoders, opened

UNFITTED = ("raw_mean", "min_max", "z_score", "reciprocal_rank")  # fusions that need no calibration
EARLIER, ALL = "earlier", "all"  # which frames of a drive may answer a frame of the same drive
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class EvaluationOptions:
    """How a drive is evaluated.

    place: what counts as the same place; None: what is usual for the kind of recording. missing: shares of the sensors,
    from 0 to below 1, that are switched off at random. fusion (one of UNFITTED) and references ("earlier" or "all") are
    used without a map. refine: whether rankings are also refined by registering scans, about 1 s a query; it needs a
    map with scans. mounting: pose of the LiDAR in the frame of the recording's poses, "x y z roll pitch yaw" in metres
    and radians.
    """

    place: PlaceConfig | None = None
    missing: Sequence[float] = ()
    fusion: str = "reciprocal_rank"
    references: str = EARLIER
    refine: bool = False
    mounting: str = scans.MOUNTING

    def __post_init__(self) -> None:
        _refuse_other("fusion", self.fusion, UNFITTED)
        _refuse_other("references", self.references, (EARLIER, ALL))
        wrong = [share for share in self.missing if not 0 <= share < 1]
        if wrong:
            raise Any2AnyError(
                f"The share {wrong[0]!r} of missing sensors cannot be used", "it is not from 0 to below 1", "Correct it"
            )


def _refuse_other(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise Any2AnyError when an option is none of its choices."""
    if value not in choices:
        raise Any2AnyError(
            f"The option '{name}' cannot be {value!r}", f"the choices are {', '.join(choices)}", "Choose one of them"
        )


@dataclass(frozen=True, eq=False)
class Report:
    """The figures of an evaluation. `str` makes tables of them.

    groups: for every availability pattern the number of queries, recall@1 and recall@5 with chance@1 and chance@5
    beside them, the mean reciprocal rank, and the best single sensor on the same queries. missing: the same for each
    share of sensors switched off. reliability: for every pattern of a calibrated map, how true probability, acceptance
    and place sets are. refined: the same before and after the refinement. imputer: the map's; None without a map.
    """

    source: str
    place: PlaceConfig
    groups: Rows
    missing: Rows = field(default_factory=list)
    imputer: str | None = None
    reliability: Rows = field(default_factory=list)
    refined: Rows = field(default_factory=list)

    def __str__(self) -> str:
        parts = [tables.groups(self.groups)]
        if self.imputer not in (None, NO_IMPUTER.plug):
            parts.insert(0, f"The map has the imputer {self.imputer}, whose output is compared as one more modality")
        if self.missing:
            parts.append("With sensors switched off at random\n" + tables.missing(self.missing))
        if self.reliability:
            parts.append("How true the probabilities are\n" + tables.reliability(self.reliability))
        if self.refined:
            heading = "With all sensors, before the refinement and after it\n"
            parts.append(heading + tables.reliability(self.refined))
        return "\n\n".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """Return all figures as plain values, for JSON."""
        out: dict[str, Any] = {"source": self.source, "place": vars(self.place), "groups": self.groups}
        if self.imputer is not None:
            out["imputer"] = self.imputer
        out["missing"] = self.missing
        return out | {k: v for k, v in {"refined": self.refined, "trust": self.reliability}.items() if v}


def evaluate(
    source: Source,
    map: str | os.PathLike[str] | None = None,
    encoders: EncoderChoice = None,
    options: EvaluationOptions = EvaluationOptions(),
    progress: Progress[Any] = silent,
) -> Report:
    """Rank every frame of a drive that has a right answer, for every subset of its sensors.

    map: folder of the map whose places are ranked; None: the drive's own frames, except those near by along the path.
    encoders: of the drive; a map has its own, and only the names of `encoders` count there. Raises Any2AnyError when no
    frame has a right answer.
    """
    recording = opened(source, map)
    place = options.place or recording.place
    if map is None:
        return _against_itself(recording, place, encoders, options, progress)
    return _MapEvaluation(Path(map), recording, place, options, progress).report(encoders)


def _against_itself(
    recording: Recording,
    place: PlaceConfig,
    encoders: EncoderChoice,
    options: EvaluationOptions,
    progress: Progress[Any],
) -> Report:
    chosen = chosen_encoders(recording.modalities, encoders)
    frames = recording.observe(chosen, place.keyframe, progress)
    frames = frames.take(frames.observed())  # as in a map: what nobody saw is no place
    right = splits.positives(frames.poses, frames.poses, place.hit_radius)
    allowed = splits.same_drive(frames.poses, place.path_gap, options.references == EARLIER)
    if not (right & allowed).any():
        raise Any2AnyError(
            f"Nothing in {recording.name} can be evaluated",
            f"no frame comes within {place.hit_radius:g} m of another one {place.path_gap:g} m along the path, "
            f"or there is no ground truth{recording.report.refusal}",
            "Give a drive with loops, or a map (--map MAP)",
        )
    task = Task(frames, right, allowed, same_place=place.hit_radius)
    reference = ReferenceMap(frames, {m: EncoderRecord.of(chosen[m]) for m in frames.embeddings}, recording.name)
    fusion = FUSIONS.find(options.fusion)()
    retriever = Retriever(reference, replace(uncalibrated(reference, place.hit_radius), fusion=fusion))
    groups = evaluation.evaluate(retriever, task)
    return Report(recording.name, place, groups, missing.by_share(retriever, task, options.missing))


@dataclass(frozen=True, eq=False)
class _MapEvaluation:
    """A drive that is evaluated against the map in a folder."""

    folder: Path
    recording: Recording
    place: PlaceConfig
    options: EvaluationOptions
    progress: Progress[Any]

    def report(self, encoders: EncoderChoice) -> Report:
        retriever = Retriever.open(self.folder, self.place.hit_radius)
        reference = retriever.reference
        if self.options.refine:
            self._refuse_refinement(retriever)
        names = set(self.recording.modalities if encoders is None else encoders)
        known = map_encoders(reference, [m for m in self.recording.modalities if m in names])
        observed = self.recording.placed(reference.origin).observe(known, self.place.keyframe, self.progress)
        queries = scans.mounted(observed, self.options.mounting)
        right = splits.positives(queries.poses, reference.places.poses, self.place.hit_radius)
        task = Task(queries, right, own_drive.allowed(reference, queries, self.place, "evaluate"))
        retrievers = [retriever, *(sensor.retriever(reference) for sensor in adopted.load(self.folder).values())]
        groups = [group for each in retrievers for group in evaluation.evaluate(each, task)]
        if not groups:
            raise self._nothing(reference, task)
        return Report(
            self.recording.name,
            self.place,
            groups,
            missing.by_share(retriever, task, self.options.missing),
            retriever.imputer.plug,
            self._reliability(retrievers, task),
            self._refined(retriever, task) if self.options.refine else [],
        )

    def _refuse_refinement(self, retriever: Retriever) -> None:
        """Raise Any2AnyError when nothing can be refined."""
        stored = retriever.reference.part(SCANS, self.folder)
        why = refiner.obstacle(stored, retriever.refiner) or scans.obstacle(self.recording)
        if why:
            raise Any2AnyError(
                f"Cannot refine rankings of the map {self.folder}", why, "Or evaluate without refinement"
            )

    def _nothing(self, reference: ReferenceMap, task: Task) -> Any2AnyError:
        return Any2AnyError(
            f"Nothing in {self.recording.name} can be evaluated",
            f"{task.answerable.sum()} of its {len(task)} frames lie within {self.place.hit_radius:g} m of a place "
            f"of the map, whose sensors are {', '.join(reference.sensors)}{self.recording.report.refusal}",
            "Give a drive through the mapped places, with one of these sensors and with poses in the map's frame",
        )

    def _reliability(self, retrievers: list[Retriever], task: Task) -> Rows:
        """Return how true the numbers of a calibrated map are, one row a pattern."""
        if retrievers[0].confidence is None:
            return []
        misses = [_miss(retrievers[0])]
        outcomes = [outcome for each in retrievers for outcome in reliability.outcomes(each, task, misses)]
        return reliability.by_pattern(outcomes, misses)

    def _refined(self, retriever: Retriever, task: Task) -> Rows:
        """Return the same before and after the refinement."""
        answerable, row = task.queries.take(task.answerable), {name: i for i, name in enumerate(task.queries.ids)}
        mounting = scans.mounting_of(task.queries, retriever.reference.mounting)
        points = scans.robot_scans(self.recording, answerable, mounting, self.progress)
        results = reliability.refined(retriever, task, ((row[name], scan) for name, scan in points))
        return reliability.by_refinement(results, _miss(retriever))


def _miss(retriever: Retriever) -> float:
    """Return the share of place sets that may miss the true place."""
    return ConfidenceConfig.miss if retriever.confidence is None else retriever.confidence.miss
