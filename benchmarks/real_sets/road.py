"""Answers queries as a robot does: every frame through the encoders, every query through a Retriever, one by one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from any2any_ros.arrays import Flags, Float64, Rows
from any2any_ros.observation import ObservationSet
from any2any_ros.progress import Progress
from any2any_ros.protocols import Encoder
from any2any_ros.retrieval.calibration import uncalibrated
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.workflows.build_map import as_map
from real_sets.methods import TOP, Answers
from real_sets.real_set import RealSet


class Clocked:
    """An encoder that records how long each of its samples took, in seconds."""

    def __init__(self, encoder: Any) -> None:
        self._encoder = encoder
        self.seconds: list[float] = []
        self._gathering = 0.0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._encoder, name)

    def gather(self, *sample: Any) -> Any:
        """Gather a sample; a frame's first step. Of frames between keyframes it is the only one."""
        began = time.perf_counter()
        gathered = self._encoder.gather(*sample)
        self._gathering = time.perf_counter() - began
        return gathered

    def encode(self, sample: Any) -> Any:
        """Encode what was gathered; a frame's second step."""
        return self._clocked(self._encoder.encode, sample)

    def see(self, sample: Any) -> Any:
        """Encode what was gathered, by an encoder that makes images, too."""
        return self._clocked(self._encoder.see, sample)

    def _clocked(self, step: Callable[[Any], Any], sample: Any) -> Any:
        began = time.perf_counter()
        try:
            return step(sample)
        finally:
            self.seconds.append(self._gathering + time.perf_counter() - began)

    def of_rows(self, count: int) -> Float64:
        """Return the seconds of each of `count` frames (count,); of all the median, where some had no sample."""
        if len(self.seconds) == count:
            return np.array(self.seconds)
        return np.full(count, np.median(self.seconds) if self.seconds else 0.0)


@dataclass
class GrowingMap:
    """The retriever of the references that a query may be answered by. It grows with them, or is made anew.

    observed: all frames of the set. built: their encoders.
    """

    real: RealSet
    observed: ObservationSet
    built: Mapping[str, Encoder]
    _columns: Rows = field(default_factory=lambda: np.empty(0, dtype=np.intp))
    _retriever: Retriever | None = None

    def of(self, allowed: Flags) -> Retriever:
        """Return the retriever of these references. allowed (R,): of one query."""
        columns = np.flatnonzero(allowed)
        known = len(self._columns)
        if self._retriever is None or not np.array_equal(columns[:known], self._columns):
            self._retriever = self._made(columns)
        elif len(columns) > known:
            self._retriever.add(self._places(columns[known:]))
        self._columns = columns
        return self._retriever

    def _made(self, columns: Rows) -> Retriever:
        reference = as_map(self._places(columns), self.built, self.real.name)
        return Retriever(reference, uncalibrated(reference, self.real.recording.place.hit_radius))

    def _places(self, columns: Rows) -> ObservationSet:
        return self.observed.take(self.real.references[columns])


def answer(real: RealSet, built: Mapping[str, Encoder], progress: Progress[Any], note: str = "") -> Answers:
    """Return the answers of these encoders. A query whose sample was refused has none."""
    clocks = {m: Clocked(real.adapted(encoder)) for m, encoder in built.items()}
    timed: Mapping[str, Any] = clocks
    observed = real.recording.observe(timed, real.keyframe, progress)
    encoding = np.sum([clock.of_rows(len(observed)) for clock in clocks.values()], axis=0)
    found = ranked(real, built, observed, progress)
    spent = 1e3 * encoding[real.queries] + found.milliseconds
    return replace(found, milliseconds=spent, note="; ".join(filter(None, (note, _refused(real, observed)))))


def ranked(real: RealSet, built: Mapping[str, Encoder], observed: ObservationSet, progress: Progress[Any]) -> Answers:
    """Return the answers for frames that were observed with these encoders. The time is that of the ranking alone."""
    column_of = {observed.ids[row]: column for column, row in enumerate(real.references.tolist())}
    growing, count = GrowingMap(real, observed, built), len(real.queries)
    best, poses, seconds = np.full((count, TOP), -1), np.full((count, 4, 4), np.nan), np.zeros(count)
    for i in progress(range(count), f"{real}: ranking"):
        query = observed.observation(int(real.queries[i]))
        retriever = growing.of(real.allowed[i])
        began = time.perf_counter()
        ranking = retriever.rank(query, TOP)
        seconds[i] = time.perf_counter() - began
        columns = [column_of[match.id] for match in ranking.matches]
        best[i, : len(columns)] = columns
        if ranking.matches:
            poses[i] = ranking.matches[0].pose
    return Answers(best, 1e3 * seconds, poses)


def _refused(real: RealSet, observed: ObservationSet) -> str:
    """Return what to say of frames that no encoder could use."""
    lost = int((~observed.observed()).sum())
    return f"{lost} of {len(observed)} frames could not be encoded" if lost else ""
