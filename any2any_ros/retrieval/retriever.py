"""The road from an observation to a ranking, on one page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros.arrays import Array, Float64, Floats, Rows
from any2any_ros.config import PlaceConfig
from any2any_ros.geometry.clouds import Clouds
from any2any_ros.geometry.refiner import NO_REFINER, Refiner, Registrations, refined_pose
from any2any_ros.geometry.registration import NOT_REGISTERED
from any2any_ros.imputers import sensors
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.protocols import Alignment, Fusion
from any2any_ros.ranking import Match, Ranking
from any2any_ros.retrieval import calibration as calibrations
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.calibration import Calibration, uncalibrated
from any2any_ros.retrieval.large import npz
from any2any_ros.retrieval.large.bounds import can_be_bounded
from any2any_ros.retrieval.large.gpu import LARGE, available_device
from any2any_ros.retrieval.large.searcher import LargeMapSearcher
from any2any_ros.retrieval.large.shard_cache import IN_MEMORY
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.searcher import Searcher, WholeMapSearcher
from any2any_ros.retrieval.shortlist import NOTHING, Shortlist, differences
from any2any_ros.retrieval.similarity import Pair, SimilarityMatrix
from any2any_ros.trust.bayes_filter import BayesFilter
from any2any_ros.trust.confidence import Candidates, Confidence

SHORTLIST = 1000  # references that a probability and a place set look at


class Retriever:
    """Ranks the places of a map against whatever was observed."""

    def __init__(
        self,
        reference: ReferenceMap,
        calibration: Calibration,
        refiner: Refiner = NO_REFINER,
        device: str = "auto",
        threads: int = 1,
    ) -> None:
        """refiner: what registers the robot's scan, for `refine`. device: where vectors are compared: "cpu", "cuda" or
        "auto". threads: CPU threads that search a large map.

        Raises Any2AnyError when the calibration was fitted for other encoders, or when the device is not available.
        """
        calibration.check(reference)
        self.reference, self.calibration = reference, calibration
        self.fusion, self.imputer, self.confidence = calibration.fusion, calibration.imputer, calibration.confidence
        self.same_place, self.refiner = calibration.same_place, calibration.refiner_of(refiner)
        self.places = self.imputer.extend(reference.places)
        self._device = available_device(device, len(self.places))
        self.searcher = self._searcher(threads)
        self.modalities = sensors(self.searcher.query_modalities)  # those that a query can have
        self.reference_modalities = sensors(self.searcher.reference_modalities)  # those of the map

    @classmethod
    def open(
        cls, folder: Path, same_place: float = PlaceConfig.hit_radius, device: str = "auto", threads: int = 1
    ) -> Retriever:
        """Return the retriever of the map in `folder`, calibrated if the map is.

        same_place: metres within which two references are one place, where no calibration says. Raises Any2AnyError
        when the map or its calibration is missing or damaged.
        """
        reference = reference_map.load(folder)
        calibration = calibrations.load(folder) or uncalibrated(reference, same_place)
        return cls(reference, calibration, Refiner(Clouds(folder)), device, threads)

    def _searcher(self, threads: int) -> Searcher:
        if len(self.places) < LARGE or not can_be_bounded(self.fusion):
            return WholeMapSearcher(self._matrix(), self.fusion)
        # The shards on disk are those of the map's own vectors, not of what an imputer added.
        cache = self.reference.shard_cache if self.places is self.reference.places else IN_MEMORY
        alignments = self.calibration.alignments_of(self.reference)
        return LargeMapSearcher(self.places, alignments, self.fusion, self._device, cache, threads)

    def _matrix(self) -> SimilarityMatrix:
        return SimilarityMatrix(self.places, self.calibration.alignments_of(self.reference), self._device)

    # --- ranking ------------------------------------------------------------------------------------------------

    def rank(
        self,
        observation: Observation,
        k: int = 5,
        belief: BayesFilter | None = None,
        motion: Float64 | None = None,
        registrations: Registrations = NOTHING,
    ) -> Ranking:
        """Return the k best references; none when nothing of the observation can be compared.

        belief: what earlier rankings say, for a calibrated map; it is updated by this one. motion (4, 4): the robot's
        movement since the last ranking, in its own frame, where it is known. registrations: of the robot's scan with
        the scans of references, by id. Raises Any2AnyError when a vector has another dimension than the map's.
        """
        alive = tuple(m for m in self.modalities if m in observation.embeddings)
        shortlist = self._shortlist(observation, k, registrations)
        candidates = self._candidates(shortlist, alive, k)
        verdict = self._verdict(shortlist, candidates, alive, k)
        if belief is not None and self.confidence is not None:
            verdict = self._with_past(verdict, shortlist, candidates, belief, motion)
        ranking = self._ranking(observation, alive, shortlist, verdict, registrations)
        npz.forget(self.places)  # a long drive touches every place; what lies on disk must not fill the memory
        return ranking

    def refine(self, observation: Observation, points: Floats, k: int = 5) -> Ranking:
        """Rank, register the robot's scan with those of the best references, and rank again by the overlaps.

        points (N, >= 3): the LiDAR's, in the robot's frame, metres. Takes about 0.15 s a candidate.
        """
        first = self.rank(observation, max(k, self.refiner.candidates))
        candidates = [match.id for match in first.matches[: self.refiner.candidates]]
        return self.rank(observation, k, registrations=self.refiner.register(points, candidates))

    def _shortlist(self, observation: Observation, k: int, registrations: Registrations) -> Shortlist:
        """Return the references that the ranking, its probability and its place set look at."""
        query = self.imputer.extend(observation.as_set())
        explained = k if not registrations else max(k, SHORTLIST)  # registration may lift any of them into the first k
        shortlist = self.searcher.top_k(query, max(k, SHORTLIST), explained)
        if not registrations:
            return shortlist
        ids = (self.places.ids[row] for row in shortlist.rows)
        overlap = [registrations[id].overlap if id in registrations else np.nan for id in ids]
        return shortlist.refined(self.refiner, np.array(overlap, dtype=np.float64))

    def _candidates(self, shortlist: Shortlist, alive: tuple[str, ...], k: int) -> Candidates:
        return shortlist.candidates(self.places, self._columns(alive), self.same_place, k)

    def _verdict(self, shortlist: Shortlist, candidates: Candidates, alive: tuple[str, ...], k: int) -> Verdict:
        """Return what the confidence says of the first k."""
        best, confidence = shortlist.rows[:k], self._confidence(shortlist)
        if confidence is None or not len(best):
            return Verdict(best, np.full(len(best), np.nan), False, shortlist.rows[:0], float("nan"))
        return Verdict(
            best,
            confidence.probability(candidates, alive),
            confidence.accepts(candidates, alive),
            shortlist.rows[: confidence.place_set(candidates, alive)],
            confidence.presence(candidates, alive),
        )

    def _confidence(self, shortlist: Shortlist) -> Confidence | None:
        return self.confidence if shortlist.overlap is None else self.refiner.confidence

    def _with_past(
        self,
        verdict: Verdict,
        shortlist: Shortlist,
        candidates: Candidates,
        belief: BayesFilter,
        motion: Float64 | None,
    ) -> Verdict:
        """Return the verdict with what earlier rankings say.

        The past may put another place first, but an answer is accepted only when the present alone supports it.
        """
        assert self.confidence is not None
        rows, k = shortlist.rows, len(verdict.rows)
        log_posterior = self.confidence.temperature * candidates.scores
        sure = float(verdict.probability[0]) if k else np.nan
        followed = belief.update(rows, log_posterior, motion, sure)
        if not k:
            return replace(verdict, accepted=False)
        order = rows[np.argsort(-followed.log_posterior, kind="stable")]
        best = np.concatenate([[followed.best], order[order != followed.best]])[:k].astype(np.intp)
        mass = dict(zip(rows.tolist(), np.exp(followed.log_posterior).tolist(), strict=True))
        probability = np.array([mass.get(int(row), 0.0) for row in best])
        probability[0] = followed.probability
        agrees = bool(candidates.near[0][rows == followed.best].any())
        accepted = verdict.accepted and agrees
        return replace(verdict, rows=best, probability=np.minimum.accumulate(probability), accepted=accepted)

    def _ranking(
        self,
        observation: Observation,
        alive: tuple[str, ...],
        shortlist: Shortlist,
        verdict: Verdict,
        laid: Registrations,
    ) -> Ranking:
        inside = verdict.place_set
        return Ranking(
            self._matches(verdict, shortlist, alive, laid),
            alive,
            tuple(m for m in self.modalities if m not in observation.embeddings),
            verdict.accepted,
            tuple(self.places.ids[i] for i in inside),
            observation.stamp_ns,
            self._spread(inside) > self.same_place,
            self.reference_modalities,
            tuple(observation.stamps_ns.get(m, observation.stamp_ns) for m in alive),
            differences(observation, self.places, shortlist.most_alike),
            verdict.presence,
            self.places.poses[inside, :3, 3],
        )

    def _matches(
        self, verdict: Verdict, shortlist: Shortlist, alive: tuple[str, ...], registrations: Registrations
    ) -> tuple[Match, ...]:
        scores = dict(zip(shortlist.rows.tolist(), shortlist.scores.tolist(), strict=True))
        known, columns = len(self.reference_modalities), self._columns(alive)
        unknown = np.full((len(self.modalities), known), np.nan)
        matches = []
        for row, p in zip(verdict.rows.tolist(), verdict.probability.tolist(), strict=True):
            # The past can name a place that is not in the shortlist.
            score, pairs = scores.get(row, float("nan")), shortlist.pair_probability.get(row, unknown)
            name = self.places.ids[row]
            registration = registrations.get(name, NOT_REGISTERED)
            pose = refined_pose(self.places.poses[row], registration)
            match = Match(name, p, score, pose, pairs[columns, :known], registration.overlap, registration.converged)
            matches.append(match)
        return tuple(matches)

    def _columns(self, modalities: tuple[str, ...]) -> list[int]:
        return [self.modalities.index(m) for m in modalities]

    def _spread(self, rows: Rows) -> float:
        """Return how far the places `rows` lie from the first of them, at most, in metres."""
        ground = self.places.poses[rows, :2, 3]
        return float(np.linalg.norm(ground - ground[:1], axis=1).max(initial=0.0))

    # --- the map grows ------------------------------------------------------------------------------------------

    def add(self, places: ObservationSet) -> None:
        """Append references; they are found from the next ranking on."""
        places = self.imputer.extend(places)
        self.places = self.places.appended(places)
        self.searcher.add(places)

    def prefetch(self, modality: str, vector: Array) -> None:
        """Compare a vector (D,) with the map already, while others of its moment are awaited."""
        self.searcher.prefetch(modality, vector)

    def whole_map_searcher(self) -> WholeMapSearcher:
        """Return a searcher that scores every reference, for calibration and evaluation; built anew for a large map."""
        if isinstance(self.searcher, WholeMapSearcher):
            return self.searcher
        return WholeMapSearcher(self._matrix(), self.fusion)


@dataclass(frozen=True, eq=False)
class Verdict:
    """What is believed of a shortlist: rows (K,) of the matches and P(right) of each, best first; whether the first is
    accepted; rows of the place set; P(the place is in the map at all), NaN before calibration."""

    rows: Rows
    probability: Float64
    accepted: bool
    place_set: Rows
    presence: float


def bare_retriever(
    places: ObservationSet, fusion: Fusion, alignments: Mapping[Pair, Alignment] | None = None, **fitted: Any
) -> Retriever:
    """Return a retriever of bare vectors, whose encoders are unknown: for experiments, and for a drive ranked against
    itself.

    alignments: by pair of modalities; None: each modality with itself. fitted: further fields of `Calibration`.
    """
    reference = ReferenceMap.bare(places)
    calibration = Calibration(fusion, fitted.pop("confidence", None), reference.fingerprints, alignments=alignments)
    return Retriever(reference, replace(calibration, **fitted))
