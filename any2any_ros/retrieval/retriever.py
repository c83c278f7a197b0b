"""The road from an observation to a ranking, on one page."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array, Floats
from any2any_ros.geometry.refiner import NO_REFINER, Refiner, Registrations, refined_pose
from any2any_ros.geometry.registration import NOWHERE
from any2any_ros.imputers import sensors
from any2any_ros.imputers.none import NO_IMPUTER
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.protocols import Alignment, Fusion, Imputer
from any2any_ros.ranking import Match, Ranking
from any2any_ros.retrieval.large import npz
from any2any_ros.retrieval.large.bounds import can_be_bounded
from any2any_ros.retrieval.large.gpu import LARGE, chosen
from any2any_ros.retrieval.large.large_map import LargeMap
from any2any_ros.retrieval.large.search import top_k
from any2any_ros.retrieval.large.shard_cache import IN_MEMORY, Kept
from any2any_ros.retrieval.similarity import Pair, SimilarityMatrix
from any2any_ros.trust.bayes_filter import BayesFilter, Filtered
from any2any_ros.trust.confidence import Candidates, Confidence

NOTHING: Mapping[Any, Any] = MappingProxyType({})
CANDIDATES = 1000  # references that a probability and a place set look at


@dataclass(frozen=True, eq=False)
class Found:
    """The best references for one query, best first: rows (S,), similarities (S, Mq, Mr) and fused scores (S,); what
    each pair says of the first few (Mq, Mr), by row; by how much each sensor differs from its best reference (D,); and
    how much of the robot's scan is at each (S,), NaN where that was not laid, None where it was laid nowhere."""

    rows: NDArray[np.intp]
    similarity: NDArray[np.float32]
    scores: NDArray[np.float64]
    explained: Mapping[int, NDArray[np.float64]] = field(default_factory=dict)
    differences: Mapping[str, Array] = field(default_factory=dict)
    overlap: NDArray[np.float64] | None = None

    def rescored(self, refiner: Refiner, overlap: NDArray[np.float64]) -> Found:
        """Return the same references in their order by what the refiner saw of them (S,), NaN = nothing."""
        if np.isnan(overlap).all():
            return self
        scores = refiner.rescored(self.scores, overlap)
        order = np.argsort(-scores, kind="stable")
        rows, similarity = self.rows[order], self.similarity[order]
        return replace(self, rows=rows, similarity=similarity, scores=scores[order], overlap=overlap[order])


class Retriever:
    """Ranks the references against whatever was observed."""

    def __init__(
        self,
        reference: ObservationSet,
        alignments: Mapping[Pair, Alignment],
        fusion: Fusion,
        imputer: Imputer = NO_IMPUTER,
        confidence: Confidence | None = None,
        same_place: float = 5.0,
        refiner: Refiner = NO_REFINER,
        device: str = "auto",
        kept: Kept = IN_MEMORY,
        threads: int = 1,
    ) -> None:
        """imputer: what is added to references and queries before they are compared. same_place: references of a place
        set farther apart than this, in metres, are distinct places. refiner: what lays scans for `refine`, and knows
        what `rank` makes of them. device: where vectors are compared, "cpu", "cuda" or "auto"; raises Any2AnyError when
        it is not to be had. kept: where a large map's vectors are kept; not where the imputer makes others of them.
        threads: of the CPU, that a large map is searched by."""
        self.reference = imputer.extend(reference)
        kept = kept if self.reference is reference else IN_MEMORY
        reference = self.reference
        self._alignments = alignments
        self.fusion, self.imputer, self.confidence = fusion, imputer, confidence
        self.same_place, self.refiner = same_place, refiner
        # Whether a reference is scored, and explained, by itself; others (mixture) weigh each against all.
        self._alone = can_be_bounded(fusion)
        large = self._alone and len(reference) >= LARGE
        self._device = chosen(device, len(reference))
        self._large = LargeMap(reference, alignments, fusion, self._device, kept, threads) if large else None
        self._matrix = None if large else SimilarityMatrix(reference, alignments, self._device)
        searched = self.similarity if self._large is None else self._large
        self.modalities = sensors(searched.query_modalities)  # what can be asked for
        self.reference_modalities = sensors(searched.reference_modalities)  # what the map has to compare it with

    def using(self, fusion: Fusion, refiner: Refiner = NO_REFINER) -> Retriever:
        """Return the same map with another fusion and no confidence, every reference scored; vectors are shared."""
        other = copy.copy(self)
        other._matrix, other._large, other._alone = self.similarity, None, can_be_bounded(fusion)
        other.fusion, other.confidence, other.refiner = fusion, None, refiner
        return other

    @property
    def similarity(self) -> SimilarityMatrix:
        """Return what compares queries with every reference; of a large map it is built only when asked for."""
        if self._matrix is None:
            self._matrix = SimilarityMatrix(self.reference, self._alignments, self._device)
        return self._matrix

    def add(self, places: ObservationSet) -> None:
        """Append references; they are found from the next ranking on."""
        places = self.imputer.extend(places)
        self.reference = self.reference.appended(places)
        for index in (self._large, self._matrix):
            if index is not None:
                index.add(places)

    def hear(self, modality: str, vector: Array) -> None:
        """Compare a vector (D,) with the map already, while others of its moment are awaited."""
        if self._matrix is not None:
            self._matrix.hear(modality, vector)

    def scores(
        self, queries: ObservationSet, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return the similarities (Q, R, Mq, Mr) and the fused scores (Q, R), NaN where nothing is comparable.

        allowed (Q, R): which references may answer; the others are as if the map lacked them.
        """
        similarity = self.similarity(self.imputer.extend(queries))
        if allowed is not None:
            similarity[~allowed] = np.nan
        if similarity.size == 0:
            return similarity, np.full(similarity.shape[:2], np.nan)
        return similarity, np.asarray(self.fusion.score(similarity), dtype=np.float64)

    def rank(
        self,
        observation: Observation,
        k: int = 5,
        belief: BayesFilter | None = None,
        motion: NDArray[np.float64] | None = None,
        registrations: Registrations = NOTHING,
    ) -> Ranking:
        """Return the k best references; none when nothing of the observation can be compared.

        belief: what the rankings before say, where the map is calibrated; it takes this one's evidence. motion (4, 4):
        since then, in the robot's frame, where it is known. registrations: of the candidates, by id.
        Raises Any2AnyError when a vector has another dimension than the map's.
        """
        seen = tuple(m for m in self.modalities if m in observation.embeddings)
        missing = tuple(m for m in self.modalities if m not in observation.embeddings)
        # what is registered may rise from anywhere, and is explained like the others
        found = self._look(observation, k if not registrations else max(k, CANDIDATES))
        if registrations:
            found = found.rescored(self.refiner, self._overlap(found.rows, registrations))
        confidence = self.confidence if found.overlap is None else self.refiner.confidence
        rows, candidates = found.rows, self._compared(found, seen, k)
        best = rows[:k]
        probability, accepted, inside, presence = np.full(len(best), np.nan), False, rows[:0], float("nan")
        if confidence is not None and len(best):
            probability = confidence.probability(candidates, seen)
            accepted = confidence.accepts(candidates, seen)
            inside = rows[: confidence.place_set(candidates, seen)]
            presence = confidence.presence(candidates, seen)
        if belief is not None and confidence is not None:
            log_posterior = confidence.temperature * candidates.scores
            followed = belief.update(rows, log_posterior, motion, float(probability[0]) if len(best) else np.nan)
            best, probability, agrees = self._followed(followed, rows, candidates, k)
            accepted = accepted and agrees
        ranking = Ranking(
            self._matches(best, probability, found, seen, registrations),
            seen,
            missing,
            accepted,
            tuple(self.reference.ids[i] for i in inside),
            observation.stamp_ns,
            self._spread(inside) > self.same_place,
            self.reference_modalities,
            tuple(observation.stamps_ns.get(m, observation.stamp_ns) for m in seen),
            found.differences,
            presence,
            self.reference.poses[inside, :3, 3],
        )
        # A robot that drives for long looks at every place: what lies on disk is not to gather in memory.
        npz.forget(self.reference)
        return ranking

    def refine(self, observation: Observation, points: Floats, k: int = 5) -> Ranking:
        """Rank, lay the robot's scan over those of the best references, and rank again by what is seen there.

        points (N, >= 3): the LiDAR's, in the robot's frame, metres. Some 0.15 s a candidate.
        """
        first = self.rank(observation, max(k, self.refiner.candidates))
        candidates = [match.id for match in first.matches[: self.refiner.candidates]]
        return self.rank(observation, k, registrations=self.refiner.register(points, candidates))

    def _look(self, observation: Observation, k: int) -> Found:
        """Find the references that a ranking, its probability and its place set look at; k of them explained."""
        wanted = max(k, CANDIDATES)
        if self._large is None:
            every, scores = (batch[0] for batch in self.scores(observation.as_set()))
            rows = top_k(scores, wanted)
            explained = self._explained(every[rows[:k]]) if self._alone else self._explained(every)[rows[:k]]
            pairs = dict(zip(rows.tolist(), explained, strict=False))
            differences = self.differences(observation, np.arange(len(every)), every)
            return Found(rows, every[rows], scores[rows], pairs, differences)
        asked = self.imputer.extend(observation.as_set()).observation(0)
        rows, best = self._large.top_k(asked, wanted)
        similarity = self._large.similarity(asked, rows).astype(np.float32)
        pairs = dict(zip(rows.tolist(), self._explained(similarity[:k]), strict=False))
        return Found(rows, similarity, best, pairs, self.differences(observation, rows, similarity))

    def differences(
        self, observation: Observation, rows: NDArray[np.intp], similarity: NDArray[np.float32]
    ) -> dict[str, Array]:
        """Return each sensor's embedding minus that of the reference it finds most alike (D,), by modality, where one
        of these rows (S,), with similarities (S, Mq, Mr), has the same sensor."""
        found = {}
        for m in set(self.modalities) & set(self.reference_modalities) & set(observation.embeddings):
            alike = similarity[:, self.modalities.index(m), self.reference_modalities.index(m)]
            if not np.isnan(alike).all():
                best = rows[np.nanargmax(alike)]
                found[m] = observation.embeddings[m] - self.reference.embeddings[m][best]
        return found

    def _overlap(self, rows: NDArray[np.intp], registrations: Registrations) -> NDArray[np.float64]:
        """Return how much of the robot's scan is at each of the references (S,); NaN where it was not laid."""
        names = (self.reference.ids[row] for row in rows)
        return np.array(
            [registrations[name].overlap if name in registrations else np.nan for name in names], dtype=np.float64
        )

    def _followed(
        self, followed: Filtered, rows: NDArray[np.intp], candidates: Candidates, k: int
    ) -> tuple[NDArray[np.intp], NDArray[np.float64], bool]:
        """Return the matches as the past sees them, their probabilities, and whether the present alone agrees.

        The past can put another place first, but what is accepted, the present alone must have proven.
        """
        if len(rows) == 0:
            return rows, np.empty(0), False
        order = np.argsort(-followed.log_posterior, kind="stable")
        best = np.concatenate([[followed.best], rows[order][rows[order] != followed.best]])[:k].astype(np.intp)
        mass = dict(zip(rows.tolist(), np.exp(followed.log_posterior).tolist(), strict=True))
        probability = np.array([mass.get(int(row), 0.0) for row in best])
        probability[0] = followed.probability
        return best, np.minimum.accumulate(probability), bool(candidates.near[0][rows == followed.best].any())

    def candidates(
        self,
        similarity: NDArray[np.float32],
        scores: NDArray[np.float64],
        seen: tuple[str, ...],
        k: int,
        overlap: Mapping[int, float] = NOTHING,
    ) -> tuple[NDArray[np.intp], Candidates]:
        """Return the rows of the best references, best first, and what the confidence needs of them.

        similarity (R, Mq, Mr) and scores (R,) of one query, as `scores` gives them; seen: its modalities. overlap: what
        the check saw of some of them, by row.
        """
        rows = top_k(scores, max(k, CANDIDATES))
        found = Found(rows, similarity[rows], scores[rows])
        if overlap:
            found = found.rescored(self.refiner, np.array([overlap.get(row, np.nan) for row in rows.tolist()]))
        return found.rows, self._compared(found, seen, k)

    def _compared(self, found: Found, seen: tuple[str, ...], k: int) -> Candidates:
        """Return what the confidence needs of what was found; to it, the overlap is what one sensor more finds."""
        rows = found.rows
        ground = self.reference.poses[rows, :2, 3]
        apart = np.linalg.norm(ground[:k, None] - ground[None], axis=2)
        near = (apart < self.same_place) | (np.arange(len(rows)) == np.arange(len(rows[:k]))[:, None])
        # fmax ignores NaN where it can: of several pairs, a sensor's best one counts
        every = np.fmax.reduce(found.similarity, axis=-1, initial=np.nan)[:, self._columns(seen)].astype(np.float64)
        if found.overlap is not None:
            every = np.column_stack([every, found.overlap])
        alike, rival = every[:k], np.fmax.reduce(np.where(near[..., None], np.nan, every), axis=1, initial=np.nan)
        return Candidates(found.scores, near, alike, alike - rival)

    def _columns(self, seen: tuple[str, ...]) -> list[int]:
        return [self.modalities.index(m) for m in seen]

    def _matches(
        self,
        rows: NDArray[np.intp],
        probability: NDArray[np.float64],
        found: Found,
        seen: tuple[str, ...],
        registrations: Registrations,
    ) -> tuple[Match, ...]:
        scores, columns = dict(zip(found.rows.tolist(), found.scores.tolist(), strict=True)), self._columns(seen)
        known = len(self.reference_modalities)
        unknown = np.full((len(self.modalities), known), np.nan)
        matches = []
        for row, p in zip(rows.tolist(), probability.tolist(), strict=True):
            # the past can name a place that the present does not
            score, pairs = scores.get(row, float("nan")), found.explained.get(row, unknown)[columns, :known]
            name, pose = self.reference.ids[row], self.reference.poses[row]
            there = registrations.get(name, NOWHERE)
            pose, overlap = refined_pose(pose, there), there.overlap
            matches.append(Match(name, p, score, pose, pairs, overlap, there.converged))
        return tuple(matches)

    def _explained(self, similarity: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what each pair says about each reference (..., Mq, Mr), where the fusion can tell."""
        return np.asarray(self.fusion.pair_probability(similarity))

    def _spread(self, rows: NDArray[np.intp]) -> float:
        """Return how far the places `rows` lie from the first of them, at most, in metres."""
        ground = self.reference.poses[rows, :2, 3]
        return float(np.linalg.norm(ground - ground[:1], axis=1).max(initial=0.0))
