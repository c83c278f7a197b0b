"""Scores every reference of a map for many queries: what calibration and evaluation are computed from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from any2any_ros.arrays import Array, Flags, Float64, Rows
from any2any_ros.geometry.refiner import NO_REFINER, Refiner
from any2any_ros.imputers import sensors
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.protocols import Fusion, Imputer
from any2any_ros.retrieval.image_alignment import ImageAlignment, Known
from any2any_ros.retrieval.large.search import top_k
from any2any_ros.retrieval.retriever import SHORTLIST, Retriever
from any2any_ros.retrieval.searcher import WholeMapSearcher
from any2any_ros.retrieval.shortlist import NOTHING, Shortlist, differences, most_similar
from any2any_ros.retrieval.views import Views
from any2any_ros.trust.confidence import Candidates


@dataclass(frozen=True, eq=False)
class Scorer:
    """Scores every reference of a map, by any fusion. Has no confidence, so it needs no calibration.

    places: the references, with the modalities that the imputer adds. same_place: metres within which two references
    are one place. alignment: of bird's-eye images; None: they are not aligned. views: what pictures say of headings.
    """

    places: ObservationSet
    searcher: WholeMapSearcher
    imputer: Imputer
    same_place: float
    refiner: Refiner = NO_REFINER
    alignment: ImageAlignment | None = None
    views: Views = Views()
    _known: Known = field(default_factory=dict, repr=False)  # the same query comes under many patterns

    @classmethod
    def of(cls, retriever: Retriever | Scorer) -> Scorer:
        """Return the scorer of a retriever's map, with the retriever's fusion."""
        if isinstance(retriever, Scorer):
            return retriever
        searcher = retriever.whole_map_searcher()
        described = (retriever.places, searcher, retriever.imputer, retriever.same_place, retriever.refiner)
        return cls(*described, retriever.alignment, retriever.views)

    def using(self, fusion: Fusion, refiner: Refiner = NO_REFINER, alignment: ImageAlignment | None = None) -> Scorer:
        """Return a scorer of the same map with another fusion. Both share the vectors."""
        searcher = WholeMapSearcher(self.searcher.matrix, fusion)
        return Scorer(self.places, searcher, self.imputer, self.same_place, refiner, alignment, self.views)

    def __len__(self) -> int:
        return len(self.searcher)

    @property
    def fusion(self) -> Fusion:
        return self.searcher.fusion

    @property
    def modalities(self) -> tuple[str, ...]:
        """Return the modalities that a query can have."""
        return sensors(self.searcher.query_modalities)

    def scores(self, queries: ObservationSet, allowed: Flags | None = None) -> tuple[Array, Float64]:
        """Return similarities (Q, R, Mq, Mr) and scores (Q, R); NaN where nothing can be compared.

        allowed (Q, R): which references may answer. The others are treated as if the map did not have them.
        """
        return self.searcher.scores(self.imputer.extend(queries), allowed)

    def aligned(self, query: Observation, scores: Float64) -> tuple[Float64, Mapping[int, float]]:
        """Return the scores (R,) of a query after its bird's-eye image was aligned with those of the best references,
        and how it fits them, by row. Without images the scores stay as they are."""
        if self.alignment is None or (modality := self.alignment.modality(query.birds_eye)) is None:
            return scores, NOTHING
        best = top_k(scores, SHORTLIST)
        rows = self.alignment.first_places(best, modality, query.embeddings[modality])
        fits = self.alignment.fits(self.alignment.query(modality, query), rows, self._known)
        overlap = {row: fit.score for row, fit in fits.items() if not np.isnan(scores[row])}
        changed = scores.copy()
        changed[best] = self.alignment.rule.rescored(scores[best], overlaps(overlap, best))
        return changed, overlap

    def candidates(
        self,
        similarity: Array,
        scores: Float64,
        alive: tuple[str, ...],
        overlap: Mapping[int, float] = NOTHING,
        k: int = 1,
    ) -> tuple[Rows, Candidates]:
        """Return the rows of the best references, best first, and the features of the first k for the confidence.

        similarity (R, Mq, Mr) and scores (R,): of one query, by `scores` or by `aligned`. alive: the modalities of the
        query. overlap: of the query with some references, by row; the scores take it into account.
        """
        rows = top_k(scores, SHORTLIST)
        known = overlaps(overlap, rows) if overlap else None
        shortlist = Shortlist(rows, similarity[rows], scores[rows], overlap=known)
        columns = [self.modalities.index(m) for m in alive]
        return shortlist.rows, shortlist.candidates(self.places, columns, self.same_place, k)

    def refined(self, scores: Float64, overlap: Mapping[int, float]) -> Float64:
        """Return the scores (R,) of a query after its scan was registered onto those of some references. overlap: by
        row."""
        rows = top_k(scores, SHORTLIST)
        changed = scores.copy()
        changed[rows] = self.refiner.rescored(scores[rows], overlaps(overlap, rows))
        return changed

    def differences(self, queries: ObservationSet, allowed: Flags | None = None) -> dict[str, Array]:
        """Return, by modality, each query's embedding minus that of its most similar reference (Q, D).

        NaN: either side is missing. allowed (Q, R): which references may answer.
        """
        columns = {m: np.full_like(v, np.nan) for m, v in queries.embeddings.items() if m in self.modalities}
        pairs = self.searcher.query_modalities, self.searcher.reference_modalities
        for i, query in enumerate(queries):
            rows = np.arange(len(self)) if allowed is None else np.flatnonzero(allowed[i])
            nearest = most_similar(rows, self.searcher.similarity(queries.take([i]), rows), *pairs)
            for modality, difference in differences(query, self.places, nearest).items():
                columns[modality][i] = difference
        return columns


def overlaps(overlap: Mapping[int, float], rows: Rows) -> Float64:
    """Return the overlaps (S,) of rows (S,); NaN where a row has none."""
    found = np.full(len(rows), np.nan)
    for row, value in overlap.items():  # a few, of a thousand rows
        found[rows == row] = value
    return found
