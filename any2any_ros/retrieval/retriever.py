"""The road from an observation to a ranking, on one page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros.alignments import Pair
from any2any_ros.arrays import Array, Float64, Floats, Rows
from any2any_ros.config import PlaceConfig, RetrievalConfig
from any2any_ros.geometry.clouds import Clouds
from any2any_ros.geometry.refiner import NO_REFINER, Refiner, Registrations, refined_pose
from any2any_ros.geometry.registration import NOT_REGISTERED
from any2any_ros.imputers import sensors
from any2any_ros.localization.pose_errors import NO_POSE_ERRORS
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.protocols import Alignment, Fusion
from any2any_ros.ranking import Match, Ranking
from any2any_ros.retrieval import calibration as calibrations
from any2any_ros.retrieval.assessment import Assessment
from any2any_ros.retrieval.calibration import Calibration
from any2any_ros.retrieval.large import LARGE, npz
from any2any_ros.retrieval.large.bounds import can_be_bounded
from any2any_ros.retrieval.large.gpu import available_device
from any2any_ros.retrieval.large.searcher import LargeMapSearcher
from any2any_ros.retrieval.large.shard_cache import IN_MEMORY, Prepare, do_nothing
from any2any_ros.retrieval.map_folder import SCANS
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.searcher import Searcher, WholeMapSearcher
from any2any_ros.retrieval.shortlist import NOTHING, Shortlist, differences
from any2any_ros.retrieval.similarity import SimilarityMatrix
from any2any_ros.retrieval.views import Views, without_heading
from any2any_ros.trust.bayes_filter import BayesFilter
from any2any_ros.trust.confidence import Candidates, Confidence

SHORTLIST = 1000  # references from which probability and place set are computed


class Retriever:
    """Ranks the places of a map by whatever was observed.

    The searcher compares and fuses, which gives the shortlist of best references. The confidence assesses the first of
    them. A Bayes filter, if there is one, adds what earlier rankings say.
    """

    def __init__(
        self,
        reference: ReferenceMap,
        calibration: Calibration,
        refiner: Refiner = NO_REFINER,
        device: str = RetrievalConfig.device,
        threads: int = RetrievalConfig.threads,
    ) -> None:
        """refiner: registers the robot's scan onto those of candidates, for `refine`. device: where vectors are
        compared, "cpu", "cuda" or "auto". threads: CPU threads that search a large map.

        Raises Any2AnyError when the calibration was fitted for other encoders, or when the device is not available.
        """
        calibration.validate(reference)
        self.reference, self.calibration = reference, calibration
        self.fusion, self.imputer, self.confidence = calibration.fusion, calibration.imputer, calibration.confidence
        self.same_place, self.refiner = calibration.same_place, calibration.refiner_of(refiner)
        self.alignment = calibration.image_alignment_of(reference)
        self.views = Views.of(reference)
        self.places = self.imputer.extend(reference.places)
        self._device = available_device(device, len(self.places))
        self.searcher = self._searcher(threads)
        self.modalities = sensors(self.searcher.query_modalities)  # of a query
        self.reference_modalities = sensors(self.searcher.reference_modalities)  # of the map

    @classmethod
    def open(
        cls,
        folder: Path,
        same_place: float = PlaceConfig.hit_radius,
        device: str = RetrievalConfig.device,
        threads: int = RetrievalConfig.threads,
        prepare: Prepare = do_nothing,
    ) -> Retriever:
        """Return the retriever of the map in `folder`, with the map's calibration if it has one.

        same_place: metres within which two references are one place, for a map without calibration. prepare: is called
        before the shards of a large map are made. Raises Any2AnyError when the map is missing, or when the map or its
        calibration is damaged.
        """
        reference, calibration = calibrations.load_with_map(folder, same_place, prepare)
        return cls(reference, calibration, Refiner(Clouds(reference.part(SCANS, folder))), device, threads)

    def _searcher(self, threads: int) -> Searcher:
        if len(self.places) < LARGE or not can_be_bounded(self.fusion):
            return WholeMapSearcher(self._matrix(), self.fusion)
        # The shards on disk hold the map's own vectors only. What an imputer has added is held in memory.
        cache = self.reference.shard_cache if self.places is self.reference.places else IN_MEMORY
        alignments = self.calibration.alignments_of(self.reference)
        return LargeMapSearcher(self.places, alignments, self.fusion, self._device, cache, threads)

    def _matrix(self) -> SimilarityMatrix:
        if len(self.places) >= LARGE:
            self.places.validate()  # the values of a large map have not been read before
        return SimilarityMatrix(self.places, self.calibration.alignments_of(self.reference), self._device)

    # --- ranking ------------------------------------------------------------------------------------------------

    def rank(
        self,
        observation: Observation,
        k: int = RetrievalConfig.k,
        belief: BayesFilter | None = None,
        motion: Float64 | None = None,
        registrations: Registrations = NOTHING,
    ) -> Ranking:
        """Return the k best references; none when no modality of the observation can be compared with the map.

        belief: what earlier rankings say; used, and updated by this ranking, if the map is calibrated. motion (4, 4):
        the robot's motion since the last ranking, in its own frame, where it is known. registrations: of the robot's
        scan onto the scans of references, by id. Raises Any2AnyError when a vector has another dimension than the
        map's.
        """
        alive = tuple(m for m in self.modalities if m in observation.embeddings)
        shortlist = self._shortlist(observation, k, registrations)
        if not registrations:
            shortlist, registrations = self.alignment.aligned(observation, shortlist)
        candidates = self._candidates(shortlist, alive, k)
        assessment = self._assessment(shortlist, candidates, alive, k)
        if belief is not None and self.confidence is not None:
            assessment = self._with_past(assessment, shortlist, candidates, belief, motion)
        ranking = self._ranking(observation, alive, shortlist, assessment, registrations)
        npz.release(self.places)  # a long drive reads every place; those on disk must not fill the memory
        return ranking

    def refine(self, observation: Observation, points: Floats, k: int = RetrievalConfig.k) -> Ranking:
        """Rank, register the robot's scan onto those of the best references, and rank again with the overlaps.

        points (N, >= 3): LiDAR points in the robot's frame, metres. Takes about 0.15 s for each candidate.
        """
        first = self.rank(observation, max(k, self.refiner.candidates))
        candidates = [match.id for match in first.matches[: self.refiner.candidates]]
        return self.rank(observation, k, registrations=self.refiner.register(points, candidates))

    def _shortlist(self, observation: Observation, k: int, registrations: Registrations) -> Shortlist:
        """Return the best references, as many as probability and place set need, with the registrations counted."""
        query = self.imputer.extend(observation.as_set())
        # Registrations, and alignments of images, may move any of them into the first k.
        explained = max(k, SHORTLIST) if registrations or self.alignment.modality(observation.birds_eye) else k
        shortlist = self.searcher.top_k(query, max(k, SHORTLIST), explained)
        if not registrations:
            return shortlist
        ids = (self.places.ids[row] for row in shortlist.rows)
        overlap = [registrations[id].overlap if id in registrations else np.nan for id in ids]
        return shortlist.refined(self.refiner, np.array(overlap, dtype=np.float64))

    def _candidates(self, shortlist: Shortlist, alive: tuple[str, ...], k: int) -> Candidates:
        """Return the features from which the confidence is computed, for the first k references."""
        return shortlist.candidates(self.places, self._columns(alive), self.same_place, k)

    def _assessment(self, shortlist: Shortlist, candidates: Candidates, alive: tuple[str, ...], k: int) -> Assessment:
        """Return what the confidence says of the first k references; without a confidence, nothing is accepted."""
        best, confidence = shortlist.rows[:k], self._confidence(shortlist)
        if confidence is None or not len(best):
            return Assessment(best, np.full(len(best), np.nan), False, shortlist.rows[:0], float("nan"))
        return Assessment(
            best,
            confidence.probability(candidates, alive),
            confidence.accepts(candidates, alive),
            shortlist.rows[: confidence.place_set(candidates, alive)],
            confidence.presence(candidates, alive),
        )

    def _confidence(self, shortlist: Shortlist) -> Confidence | None:
        """Return the confidence for this shortlist: a refined one has another than one that was not refined."""
        return self.confidence if shortlist.overlap is None else shortlist.confidence

    def _with_past(
        self,
        assessment: Assessment,
        shortlist: Shortlist,
        candidates: Candidates,
        belief: BayesFilter,
        motion: Float64 | None,
    ) -> Assessment:
        """Return the assessment combined with what earlier rankings say.

        The earlier rankings may put another place first. It is accepted only if this query alone supports it, too.
        """
        assert self.confidence is not None
        rows, k = shortlist.rows, len(assessment.rows)
        log_posterior = self.confidence.temperature * candidates.scores
        probability_now = float(assessment.probability[0]) if k else np.nan
        filtered = belief.update(rows, log_posterior, motion, probability_now)
        if not k:
            return replace(assessment, accepted=False)
        order = rows[np.argsort(-filtered.log_posterior, kind="stable")]
        best = np.concatenate([[filtered.best], order[order != filtered.best]])[:k].astype(np.intp)
        mass = dict(zip(rows.tolist(), np.exp(filtered.log_posterior).tolist(), strict=True))
        probability = np.array([mass.get(int(row), 0.0) for row in best])
        probability[0] = filtered.probability
        same_answer = bool(candidates.near[0][rows == filtered.best].any())
        accepted = assessment.accepted and same_answer
        return replace(assessment, rows=best, probability=np.minimum.accumulate(probability), accepted=accepted)

    def _ranking(
        self,
        observation: Observation,
        alive: tuple[str, ...],
        shortlist: Shortlist,
        assessment: Assessment,
        registrations: Registrations,
    ) -> Ranking:
        place_set = assessment.place_set
        return Ranking(
            self._matches(assessment, shortlist, alive, registrations, observation.mountings),
            alive,
            tuple(m for m in self.modalities if m not in observation.embeddings),
            assessment.accepted,
            tuple(self.places.ids[row] for row in place_set),
            observation.stamp_ns,
            self._spread(place_set) > self.same_place,
            self.reference_modalities,
            tuple(observation.stamps_ns.get(m, observation.stamp_ns) for m in alive),
            differences(observation, self.places, shortlist.most_similar),
            assessment.presence,
            self.places.poses[place_set, :3, 3],
        )

    def _matches(
        self,
        assessment: Assessment,
        shortlist: Shortlist,
        alive: tuple[str, ...],
        registrations: Registrations,
        mountings: Mapping[str, Float64],
    ) -> tuple[Match, ...]:
        scores = dict(zip(shortlist.rows.tolist(), shortlist.scores.tolist(), strict=True))
        width, columns = len(self.reference_modalities), self._columns(alive)
        unknown = np.full((len(self.modalities), width), np.nan)
        matches = []
        for row, p in zip(assessment.rows.tolist(), assessment.probability.tolist(), strict=True):
            # Earlier rankings can put a place first that is not in the shortlist.
            score = scores.get(row, float("nan"))
            pairs = shortlist.pair_probability.get(row, unknown)[columns, :width]
            name = self.places.ids[row]
            registration = registrations.get(name, NOT_REGISTERED)
            place, headed = self.places.poses[row], True
            if not registration.converged:
                place, headed = self.views.pose(place, pairs, alive, self.reference_modalities, mountings)
            pose = refined_pose(place, registration)
            errors = NO_POSE_ERRORS if registration.refined else self.calibration.poses  # fitted for images alone
            covariance = errors.of(alive, registration.converged)
            known = (registration.overlap, registration.refined, covariance if headed else without_heading(covariance))
            matches.append(Match(name, p, score, pose, pairs, *known))
        return tuple(matches)

    def _columns(self, modalities: tuple[str, ...]) -> list[int]:
        return [self.modalities.index(m) for m in modalities]

    def _spread(self, rows: Rows) -> float:
        """Return the largest distance of the places `rows` from the first of them, in metres."""
        ground = self.places.poses[rows, :2, 3]
        return float(np.linalg.norm(ground - ground[:1], axis=1).max(initial=0.0))

    # --- the map grows ------------------------------------------------------------------------------------------

    def add(self, places: ObservationSet) -> None:
        """Append references. The next ranking already knows them."""
        places = self.imputer.extend(places)
        self.places = self.places.appended(places)
        self.alignment = self.alignment.of(self.places)
        self.searcher.add(places)

    def prefetch(self, modality: str, vector: Array) -> None:
        """Compare a vector (D,) with the map while the other embeddings of its moment are awaited."""
        self.searcher.prefetch(modality, vector)

    def whole_map_searcher(self) -> WholeMapSearcher:
        """Return a searcher that scores every reference, for calibration and evaluation. A large map builds one now."""
        if isinstance(self.searcher, WholeMapSearcher):
            return self.searcher
        return WholeMapSearcher(self._matrix(), self.fusion)


def bare_retriever(
    places: ObservationSet, fusion: Fusion, alignments: Mapping[Pair, Alignment] | None = None, **fitted: Any
) -> Retriever:
    """Return a retriever of vectors whose encoders are unknown: for experiments, and to rank a drive against itself.

    alignments: by pair of modalities; None: each modality with itself. fitted: other fields of `Calibration`.
    """
    reference = ReferenceMap.bare(places)
    calibration = Calibration(fusion, fitted.pop("confidence", None), reference.fingerprints, alignments=alignments)
    return Retriever(reference, replace(calibration, **fitted))
