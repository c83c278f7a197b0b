"""The best references for one query, and what is compared among them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import numpy as np

from any2any_ros.arrays import Array, Flags, Float64, Rows
from any2any_ros.geometry.refiner import Refiner
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.trust.confidence import Candidates

NOTHING: Mapping[Any, Any] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Shortlist:
    """The S best references for one query, best first.

    rows (S,); similarity (S, Mq, Mr) float32; scores (S,), the fusion's. pair_probability: by row, for the first of
    them, what each pair of modalities says (Mq, Mr). most_alike: by sensor, the row that it finds most alike of all
    references compared. overlap (S,): share of the robot's scan that lies on the reference's scan, NaN where it was not
    registered; None where it was registered nowhere.
    """

    rows: Rows
    similarity: Array
    scores: Float64
    pair_probability: Mapping[int, Float64] = field(default_factory=dict)
    most_alike: Mapping[str, int] = field(default_factory=dict)
    overlap: Float64 | None = None

    def refined(self, refiner: Refiner, overlap: Float64) -> Shortlist:
        """Return the same references, ordered by their scores and by overlap (S,), NaN = not registered."""
        if np.isnan(overlap).all():
            return self
        scores = refiner.rescored(self.scores, overlap)
        order = np.argsort(-scores, kind="stable")
        rows, similarity = self.rows[order], self.similarity[order]
        return replace(self, rows=rows, similarity=similarity, scores=scores[order], overlap=overlap[order])

    def candidates(self, places: ObservationSet, columns: list[int], same_place: float, k: int) -> Candidates:
        """Return what the confidence is computed from, for the first k.

        columns: of `similarity`, those of the sensors that are alive. same_place: references nearer to each other than
        this, in metres, are one place. To the confidence, the overlap is one sensor more.
        """
        near = _near(places.poses[self.rows, :2, 3], same_place, k)
        # fmax ignores NaN where it can: of several pairs, a sensor's best one counts
        alike = np.fmax.reduce(self.similarity, axis=-1, initial=np.nan)[:, columns].astype(np.float64)
        if self.overlap is not None:
            alike = np.column_stack([alike, self.overlap])
        elsewhere = np.where(near[..., None], np.nan, alike)
        rival = np.fmax.reduce(elsewhere, axis=1, initial=np.nan)
        return Candidates(self.scores, near, alike[:k], alike[:k] - rival)


def _near(ground: Float64, same_place: float, k: int) -> Flags:
    """Return (k, S): which positions (S, 2) are at the place of each of the first k; each is at its own."""
    apart = np.linalg.norm(ground[:k, None] - ground[None], axis=2)
    return np.asarray((apart < same_place) | (np.arange(len(ground)) == np.arange(len(apart))[:, None]))


def most_alike(
    rows: Rows, similarity: Array, query_modalities: tuple[str, ...], reference_modalities: tuple[str, ...]
) -> dict[str, int]:
    """Return, by sensor on both sides, which of the references `rows` (S,), with similarity (S, Mq, Mr), it finds most
    alike; sensors that were compared with none are left out."""
    found = {}
    for m in set(query_modalities) & set(reference_modalities):
        alike = similarity[:, query_modalities.index(m), reference_modalities.index(m)]
        if not np.isnan(alike).all():
            found[m] = int(rows[np.nanargmax(alike)])
    return found


def differences(observation: Observation, places: ObservationSet, most_alike: Mapping[str, int]) -> dict[str, Array]:
    """Return, by sensor, its embedding minus that of the reference it finds most alike (D,)."""
    embeddings = observation.embeddings
    return {m: embeddings[m] - places.embeddings[m][row] for m, row in most_alike.items() if m in embeddings}
