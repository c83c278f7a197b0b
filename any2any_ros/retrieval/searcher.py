"""Searchers: what finds the best references of a map for a query. All of them are exact.

`WholeMapSearcher` compares a query with every reference. A map of 50,000 places and more is searched by bounds instead
(`large/searcher.py`), where the fusion scores each reference by itself. Whoever ranks need not know which one it is.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from any2any_ros.arrays import Array, Flags, Float64, Floats, Rows
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Fusion
from any2any_ros.retrieval.large.bounds import can_be_bounded
from any2any_ros.retrieval.large.search import top_k
from any2any_ros.retrieval.shortlist import Shortlist, most_alike
from any2any_ros.retrieval.similarity import SimilarityMatrix


class Searcher(Protocol):
    """Finds the best references for one query. Rows and columns of the pairs of modalities are `query_modalities` and
    `reference_modalities`, both sorted by name."""

    query_modalities: tuple[str, ...]
    reference_modalities: tuple[str, ...]

    def __len__(self) -> int:
        """Number of references."""

    def top_k(self, query: ObservationSet, k: int, explained: int) -> Shortlist:
        """Return the k best references for a set of one query, the first `explained` with their pair probabilities.

        Raises Any2AnyError when a vector has another dimension than the map's.
        """

    def similarity(self, query: ObservationSet, rows: Rows) -> Floats:
        """Return the similarities (n, Mq, Mr) of one query to the references `rows`; NaN where a side is missing."""

    def add(self, places: ObservationSet) -> None:
        """Append references; a modality that they lack is missing in these rows."""

    def prefetch(self, modality: str, vector: Array) -> None:
        """Compare a vector (D,) already, while others of its moment are awaited; may do nothing."""


class WholeMapSearcher:
    """Compares a query with every reference, and scores them all."""

    def __init__(self, matrix: SimilarityMatrix, fusion: Fusion) -> None:
        self.matrix, self.fusion = matrix, fusion
        self.query_modalities, self.reference_modalities = matrix.query_modalities, matrix.reference_modalities

    def __len__(self) -> int:
        return len(self.matrix)

    def top_k(self, query: ObservationSet, k: int, explained: int) -> Shortlist:
        """As `Searcher`."""
        similarity, scores = (batch[0] for batch in self.scores(query))
        rows = top_k(scores, k)
        pairs = dict(zip(rows.tolist(), self._explained(similarity, rows[:explained]), strict=False))
        nearest = most_alike(np.arange(len(similarity)), similarity, self.query_modalities, self.reference_modalities)
        return Shortlist(rows, similarity[rows], scores[rows], pairs, nearest)

    def scores(self, queries: ObservationSet, allowed: Flags | None = None) -> tuple[Array, Float64]:
        """Return similarities (Q, R, Mq, Mr) and scores (Q, R), NaN where nothing is comparable.

        allowed (Q, R): which references may answer; the others count as absent from the map.
        """
        similarity = self.matrix(queries)
        if allowed is not None:
            similarity[~allowed] = np.nan
        if similarity.size == 0:
            return similarity, np.full(similarity.shape[:2], np.nan)
        return similarity, np.asarray(self.fusion.score(similarity), dtype=np.float64)

    def _explained(self, similarity: Array, rows: Rows) -> Float64:
        """Return what each pair says of the references `rows` (n, Mq, Mr), by the similarities of all (R, Mq, Mr)."""
        if can_be_bounded(self.fusion):  # it looks at each reference by itself
            return np.asarray(self.fusion.pair_probability(similarity[rows]))
        return np.asarray(self.fusion.pair_probability(similarity)[rows])

    def similarity(self, query: ObservationSet, rows: Rows) -> Array:
        """As `Searcher`."""
        similarity: Array = self.matrix(query)[0, rows]
        return similarity

    def add(self, places: ObservationSet) -> None:
        """As `Searcher`."""
        self.matrix.add(places)

    def prefetch(self, modality: str, vector: Array) -> None:
        """As `Searcher`."""
        self.matrix.prefetch(modality, vector)
