"""Searchers find the best references of a map for a query. All of them are exact.

`WholeMapSearcher` scores every reference. A map of 50,000 places or more is searched by bounds instead
(`large/searcher.py`), if the fusion scores each reference by itself. The retriever treats both alike.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from any2any_ros.arrays import Array, Flags, Float64, Floats, Rows
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Fusion
from any2any_ros.retrieval.large.bounds import can_be_bounded
from any2any_ros.retrieval.large.search import top_k
from any2any_ros.retrieval.shortlist import Shortlist, most_similar
from any2any_ros.retrieval.similarity import SimilarityMatrix


class Searcher(Protocol):
    """Finds the best references for one query.

    Mq counts `query_modalities`, Mr `reference_modalities`, both sorted by name.
    """

    query_modalities: tuple[str, ...]
    reference_modalities: tuple[str, ...]

    def __len__(self) -> int:
        """Return the number of references."""

    def top_k(self, query: ObservationSet, k: int, explained: int) -> Shortlist:
        """Return the k best references. The first `explained` of them have pair probabilities.

        query: a set of one observation. Raises Any2AnyError when a vector has another dimension than the map's.
        """

    def similarity(self, query: ObservationSet, rows: Rows) -> Floats:
        """Return the similarities (n, Mq, Mr) of one query to the references `rows`; NaN: either side is missing."""

    def add(self, places: ObservationSet) -> None:
        """Append references. A modality that they lack is missing in their rows."""

    def prefetch(self, modality: str, vector: Array) -> None:
        """Compare a vector (D,) ahead of its query, to save time later. A searcher may do nothing here."""


class WholeMapSearcher:
    """A `Searcher` that scores every reference."""

    def __init__(self, matrix: SimilarityMatrix, fusion: Fusion) -> None:
        self.matrix, self.fusion = matrix, fusion
        self.query_modalities, self.reference_modalities = matrix.query_modalities, matrix.reference_modalities

    def __len__(self) -> int:
        return len(self.matrix)

    def top_k(self, query: ObservationSet, k: int, explained: int) -> Shortlist:
        """As `Searcher`."""
        similarity, scores = (batch[0] for batch in self.scores(query))
        rows = top_k(scores, k)
        pairs = dict(zip(rows.tolist(), self.explained(similarity, rows[:explained]), strict=False))
        nearest = most_similar(np.arange(len(similarity)), similarity, self.query_modalities, self.reference_modalities)
        return Shortlist(rows, similarity[rows], scores[rows], pairs, nearest)

    def scores(self, queries: ObservationSet, allowed: Flags | None = None) -> tuple[Array, Float64]:
        """Return similarities (Q, R, Mq, Mr) and scores (Q, R); NaN where nothing can be compared.

        allowed (Q, R): which references may answer. The others are treated as if the map did not have them.
        """
        similarity = self.matrix(queries)
        if allowed is not None:
            similarity[~allowed] = np.nan
        if similarity.size == 0:
            return similarity, np.full(similarity.shape[:2], np.nan)
        return similarity, np.asarray(self.fusion.score(similarity), dtype=np.float64)

    def explained(self, similarity: Array, rows: Rows) -> Float64:
        """Return the pair probabilities (n, Mq, Mr) of the references `rows`. similarity (R, Mq, Mr): of all."""
        if can_be_bounded(self.fusion):  # such a fusion scores each reference by itself
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
