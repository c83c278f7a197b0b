"""The best references for one query, and the features by which the confidence judges them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from any2any_ros.arrays import Array, Flags, Float64, Rows
from any2any_ros.geometry.refiner import Refiner
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.trust.confidence import Candidates, Confidence

NOTHING: Mapping[Any, Any] = MappingProxyType({})  # the default for registrations: none, and read-only


@dataclass(frozen=True, eq=False)
class Shortlist:
    """The S best references for one query, best first.

    rows (S,). similarity (S, Mq, Mr) float32. scores (S,): by the fusion. pair_probability: (Mq, Mr) by row, for the
    first of the rows. most_similar: by modality, the row with the highest similarity of all references compared.
    overlap (S,): how the robot's scan, or image, fits the reference's, NaN where the two were not registered; None
    where none was registered at all. confidence: how far to trust a ranking with these overlaps.
    """

    rows: Rows
    similarity: Array
    scores: Float64
    pair_probability: Mapping[int, Float64] = field(default_factory=dict)
    most_similar: Mapping[str, int] = field(default_factory=dict)
    overlap: Float64 | None = None
    confidence: Confidence | None = None

    def refined(self, refiner: Refiner, overlap: Float64) -> Shortlist:
        """Return the same references, ordered again by scores and overlap (S,); NaN: not registered."""
        if np.isnan(overlap).all():
            return self
        scores = refiner.rescored(self.scores, overlap)
        order = np.argsort(-scores, kind="stable")
        rows, similarity = self.rows[order], self.similarity[order]
        return replace(
            self,
            rows=rows,
            similarity=similarity,
            scores=scores[order],
            overlap=overlap[order],
            confidence=refiner.confidence,
        )

    def candidates(self, places: ObservationSet, columns: list[int], same_place: float, k: int) -> Candidates:
        """Return the features from which the confidence is computed, for the first k references.

        columns: the query modalities of `similarity` that are alive. same_place: references nearer to each other than
        this, in metres, are one place. The confidence takes the overlap for the similarity of one more modality.
        """
        near = _near(places.poses[self.rows, :2, 3], same_place, k)
        # fmax ignores NaN. A query modality that is compared with several reference modalities counts by its best pair.
        alike = np.fmax.reduce(self.similarity, axis=-1, initial=np.nan)[:, columns].astype(np.float64)
        if self.overlap is not None:
            alike = np.column_stack([alike, self.overlap])
        elsewhere = np.where(near[..., None], np.nan, alike)
        rival = np.fmax.reduce(elsewhere, axis=1, initial=np.nan)
        posed = self.overlap is None or not np.isnan(self.overlap[:1]).any()
        return Candidates(self.scores, near, alike[:k], alike[:k] - rival, posed)


def _near(ground: Float64, same_place: float, k: int) -> Flags:
    """Return (k, S): which positions (S, 2) belong to the place of each of the first k, itself included."""
    x, y = ground.T
    apart = np.hypot(x[:k, None] - x, y[:k, None] - y)
    return np.asarray((apart < same_place) | (np.arange(len(ground)) == np.arange(len(apart))[:, None]))


def most_similar(
    rows: Rows, similarity: Array, query_modalities: tuple[str, ...], reference_modalities: tuple[str, ...]
) -> dict[str, int]:
    """Return, for each modality of both sides, the row of the most similar reference.

    rows (S,) of the references, with their similarity (S, Mq, Mr). A modality that no reference has is left out.
    """
    best = {}
    for m in set(query_modalities) & set(reference_modalities):
        alike = similarity[:, query_modalities.index(m), reference_modalities.index(m)]
        if not np.isnan(alike).all():
            best[m] = int(rows[np.nanargmax(alike)])
    return best


def differences(observation: Observation, places: ObservationSet, most_similar: Mapping[str, int]) -> dict[str, Array]:
    """Return, by modality, the query's embedding minus that of its most similar reference (D,)."""
    embeddings = observation.embeddings
    return {m: embeddings[m] - places.embeddings[m][row] for m, row in most_similar.items() if m in embeddings}
