"""The road from an observation to a ranking, on one page."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from any2any_ros.methods.bayes_filter import BayesFilter, Filtered
from any2any_ros.methods.confidence import Candidates, Confidence
from any2any_ros.observation import Array, Match, Observation, ObservationSet, Ranking
from any2any_ros.protocols import Alignment, Fusion, Imputer
from any2any_ros.retrieval.bounds import can_be_bounded
from any2any_ros.retrieval.large_map import LargeMap
from any2any_ros.retrieval.search import top_k
from any2any_ros.retrieval.similarity import Pair, SimilarityMatrix

CANDIDATES = 1000  # references that a probability and a place set look at
LARGE = 50_000  # places from which a map is searched by bounds instead of whole (docs/scale.md)


@dataclass(frozen=True, eq=False)
class Found:
    """The best references for one query, best first: rows (S,), similarities (S, Mq, Mr) and fused scores (S,); what
    each pair says of the first K (K, Mq, Mr), and by how much each sensor differs from its best reference (D,)."""

    rows: NDArray[np.intp]
    similarity: NDArray[np.float32]
    scores: NDArray[np.float64]
    explained: NDArray[np.float64]
    differences: dict[str, Array]


class Retriever:
    """Ranks the references against whatever was observed."""

    def __init__(
        self,
        reference: ObservationSet,
        alignments: Mapping[Pair, Alignment],
        fusion: Fusion,
        imputer: Imputer | None = None,
        confidence: Confidence | None = None,
        same_place: float = 5.0,
    ) -> None:
        """same_place: references of a place set farther apart than this, in metres, are distinct places."""
        self.reference = reference
        self._alignments = alignments
        self.fusion, self.imputer, self.confidence = fusion, imputer, confidence
        self.same_place = same_place
        # Whether a reference is scored, and explained, by itself; others (mixture) weigh each against all.
        self._alone = can_be_bounded(fusion)
        large = self._alone and len(reference) >= LARGE
        self._large = LargeMap(reference, alignments, fusion) if large else None
        self._matrix = None if large else SimilarityMatrix(reference, alignments)
        searched = self.similarity if self._large is None else self._large
        self.modalities = searched.query_modalities  # what can be asked for
        self.reference_modalities = searched.reference_modalities  # what the map has to compare it with

    def using(self, fusion: Fusion) -> Retriever:
        """Return the same map with another fusion and no confidence, every reference scored; vectors are shared."""
        other = copy.copy(self)
        other._matrix, other._large, other._alone = self.similarity, None, can_be_bounded(fusion)
        other.fusion, other.confidence = fusion, None
        return other

    @property
    def similarity(self) -> SimilarityMatrix:
        """Return what compares queries with every reference; of a large map it is built only when asked for."""
        if self._matrix is None:
            self._matrix = SimilarityMatrix(self.reference, self._alignments)
        return self._matrix

    def add(self, places: ObservationSet) -> None:
        """Append references; they are found from the next ranking on."""
        self.reference = ObservationSet.concatenate([self.reference, places])
        for index in (self._large, self._matrix):
            if index is not None:
                index.add(places)

    def scores(
        self, queries: ObservationSet, allowed: NDArray[np.bool_] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Return the similarities (Q, R, Mq, Mr) and the fused scores (Q, R), NaN where nothing is comparable.

        allowed (Q, R): which references may answer; the others are as if the map lacked them.
        """
        if self.imputer is not None:
            queries = self.imputer.impute(queries)
        similarity = self.similarity(queries)
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
    ) -> Ranking:
        """Return the k best references; none when nothing of the observation can be compared.

        belief: what the rankings before say, where the map is calibrated; it takes this one's evidence. motion (4, 4):
        since then, in the robot's frame, where it is known. Raises Any2AnyError when a vector has another dimension
        than the map's.
        """
        seen = tuple(m for m in self.modalities if m in observation.embeddings)
        missing = tuple(m for m in self.modalities if m not in observation.embeddings)
        found = self._look(observation, k)
        rows, candidates = found.rows, self._compared(found.rows, found.similarity, found.scores, seen, k)
        best = rows[:k]
        probability, accepted, inside = np.full(len(best), np.nan), False, rows[:0]
        if self.confidence is not None and len(best):
            probability = self.confidence.probability(candidates, seen)
            accepted = self.confidence.accepts(candidates, seen)
            inside = rows[: self.confidence.place_set(candidates, seen)]
        if belief is not None and self.confidence is not None:
            log_posterior = self.confidence.temperature * candidates.scores
            followed = belief.update(rows, log_posterior, motion, float(probability[0]) if len(best) else np.nan)
            best, probability, agrees = self._followed(followed, rows, candidates, k)
            accepted = accepted and agrees
        return Ranking(
            self._matches(best, probability, found, seen),
            seen,
            missing,
            accepted,
            tuple(self.reference.ids[i] for i in inside),
            observation.stamp_ns,
            self._spread(inside) > self.same_place,
            self.reference_modalities,
            tuple(observation.stamps_ns.get(m, observation.stamp_ns) for m in seen),
            found.differences,
        )

    def _look(self, observation: Observation, k: int) -> Found:
        """Find the references that a ranking, its probability and its place set look at."""
        wanted = max(k, CANDIDATES)
        if self._large is None:
            every, scores = (batch[0] for batch in self.scores(observation.as_set()))
            rows = top_k(scores, wanted)
            explained = self._explained(every[rows[:k]]) if self._alone else self._explained(every)[rows[:k]]
            whole = np.arange(len(every))
            return Found(rows, every[rows], scores[rows], explained, self.differences(observation, whole, every))
        if self.imputer is not None:
            observation = self.imputer.impute(observation.as_set()).observation(0)
        rows, best = self._large.top_k(observation, wanted)
        similarity = self._large.similarity(observation, rows).astype(np.float32)
        differences = self.differences(observation, rows, similarity)
        return Found(rows, similarity, best, self._explained(similarity[:k]), differences)

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
        self, similarity: NDArray[np.float32], scores: NDArray[np.float64], seen: tuple[str, ...], k: int
    ) -> tuple[NDArray[np.intp], Candidates]:
        """Return the rows of the best references, best first, and what the confidence needs of them.

        similarity (R, Mq, Mr) and scores (R,) of one query, as `scores` gives them; seen: its modalities.
        """
        rows = top_k(scores, max(k, CANDIDATES))
        return rows, self._compared(rows, similarity[rows], scores[rows], seen, k)

    def _compared(
        self,
        rows: NDArray[np.intp],
        similarity: NDArray[np.float32],
        scores: NDArray[np.float64],
        seen: tuple[str, ...],
        k: int,
    ) -> Candidates:
        """Return what the confidence needs of these rows, best first, with their similarities and scores."""
        ground = self.reference.poses[rows, :2, 3]
        apart = np.linalg.norm(ground[:k, None] - ground[None], axis=2)
        near = (apart < self.same_place) | (np.arange(len(rows)) == np.arange(len(rows[:k]))[:, None])
        # fmax ignores NaN where it can: of several pairs, a sensor's best one counts
        every = np.fmax.reduce(similarity, axis=-1, initial=np.nan)[:, self._columns(seen)].astype(np.float64)
        alike, rival = every[:k], np.fmax.reduce(np.where(near[..., None], np.nan, every), axis=1, initial=np.nan)
        return Candidates(scores, near, alike, alike - rival)

    def _columns(self, seen: tuple[str, ...]) -> list[int]:
        return [self.modalities.index(m) for m in seen]

    def _matches(
        self, rows: NDArray[np.intp], probability: NDArray[np.float64], found: Found, seen: tuple[str, ...]
    ) -> tuple[Match, ...]:
        ids, poses, at = self.reference.ids, self.reference.poses, {int(r): i for i, r in enumerate(found.rows)}
        pairs = found.explained[:, self._columns(seen)]
        unknown = np.full((len(seen), len(self.reference_modalities)), np.nan)
        matches = []
        for row, p in zip(rows.tolist(), probability.tolist(), strict=True):
            i = at.get(row, len(found.rows))  # the past can name a place that the present does not
            score = float(found.scores[i]) if i < len(found.rows) else float("nan")
            matches.append(Match(ids[row], p, score, poses[row], pairs[i] if i < len(pairs) else unknown))
        return tuple(matches)

    def _explained(self, similarity: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return what each pair says about each reference (..., Mq, Mr), where the fusion can tell."""
        explain = getattr(self.fusion, "pair_probability", None)
        return np.full(similarity.shape, np.nan) if explain is None else np.asarray(explain(similarity))

    def _spread(self, rows: NDArray[np.intp]) -> float:
        """Return how far the places `rows` lie from the first of them, at most, in metres."""
        ground = self.reference.poses[rows, :2, 3]
        return float(np.linalg.norm(ground - ground[:1], axis=1).max(initial=0.0))
