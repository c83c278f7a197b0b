"""A map too large to compare with whole: what SimilarityMatrix and a fusion do together, for the k best only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array, Rows
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.protocols import Alignment, Fusion
from any2any_ros.retrieval.large import npz
from any2any_ros.retrieval.large.bounds import PairQuery, bounder
from any2any_ros.retrieval.large.search import Search
from any2any_ros.retrieval.large.shard_cache import IN_MEMORY, Kept
from any2any_ros.retrieval.large.shards import Shards
from any2any_ros.retrieval.similarity import Pair

PORTION = 1 << 14  # places that are aligned at a time


class LargeMap:
    """Holds the aligned references in half precision; finds the k best exactly (docs/scale.md).

    Rows and columns of the pairs are `query_modalities` and `reference_modalities`, both sorted by name. Pairs of one
    reference modality that share an alignment (one object) share its vectors.
    """

    def __init__(
        self,
        reference: ObservationSet,
        alignments: Mapping[Pair, Alignment],
        fusion: Fusion,
        device: str = "cpu",
        kept: Kept = IN_MEMORY,
        threads: int = 1,
    ) -> None:
        """device, threads: as Search's. kept: where shards of just this reference set are kept. Raises Any2AnyError for
        a fusion that has no exact search, and for vectors that half precision cannot hold."""
        self.alignments = {p: a for p, a in alignments.items() if p[1] in reference.embeddings}
        self.query_modalities = tuple(sorted({q for q, _ in self.alignments}))
        self.reference_modalities = tuple(sorted({r for _, r in self.alignments}))
        self._columns: dict[tuple[str, int], Pair] = {}  # (reference modality, alignment) -> the first pair that has it
        for pair, alignment in self.alignments.items():
            self._columns.setdefault((pair[1], id(alignment)), pair)
        aligned_by = {f"{r} for {q}": self.alignments[q, r] for q, r in self._columns.values()}
        bounder(fusion)  # before the shards, which take long: raises for one that has no exact search
        self.shards = kept.shards(aligned_by, lambda: self._made(reference))
        shape = len(self.query_modalities), len(self.reference_modalities)
        self._search = Search(self.shards, fusion, shape, device, threads)

    def __len__(self) -> int:
        return len(self.shards)

    def _made(self, reference: ObservationSet) -> Shards:
        widths = {f"{r} for {q}": self._aligned(reference.take([]), (q, r)).shape[1] for q, r in self._columns.values()}
        self._fill(made := Shards(widths), reference)
        return made

    def add(self, places: ObservationSet) -> None:
        """Append references; a modality that they lack is missing in these rows."""
        self._fill(self.shards, places)

    def _fill(self, shards: Shards, places: ObservationSet) -> None:
        for start in range(0, len(places), PORTION):
            portion = places.take(range(start, min(start + PORTION, len(places))))
            given = {f"{r} for {q}": self._aligned(portion, (q, r)) for q, r in self._columns.values()
                     if r in portion.embeddings}  # fmt: skip
            shards.add(given, len(portion))
            npz.forget(places)  # a map on disk is read portion by portion, and never in memory as a whole

    def _aligned(self, places: ObservationSet, pair: Pair) -> Array:
        here, values = places.present(pair[1])[:, None], places.embeddings[pair[1]]
        rows = self.alignments[pair].reference(np.where(here, values, np.float32(0)))
        return np.where(here, rows, np.float32(np.nan))

    def top_k(self, observation: Observation, k: int) -> tuple[Rows, NDArray[np.float64]]:
        """Return rows and scores (at most k,), best first, ties by row; raises as SimilarityMatrix does."""
        return self._search.top_k(self._pairs(observation), k)

    def similarity(self, observation: Observation, rows: Rows) -> NDArray[np.float64]:
        """Return the similarities (n, Mq, Mr) of `rows`, in any order; NaN where either side is missing."""
        order = np.argsort(rows)
        found = np.empty((len(rows), *self._search.shape))
        found[order] = self._search.similarity(self._pairs(observation), rows[order])
        return found

    def _pairs(self, observation: Observation) -> list[PairQuery]:
        columns = list(self._columns)
        return [
            PairQuery(
                (self.query_modalities.index(q), self.reference_modalities.index(r)),
                columns.index((r, id(alignment))),
                self._query(q, alignment, observation),
            )
            for (q, r), alignment in self.alignments.items()
            if q in observation.embeddings
        ]

    def _query(self, modality: str, alignment: Alignment, observation: Observation) -> Array:
        try:
            return np.asarray(alignment.query(observation.embeddings[modality][None])[0], dtype=np.float32)
        except ValueError as error:
            raise Any2AnyError(
                f"The '{modality}' embedding does not fit the map", str(error), "Use the map's own encoder"
            ) from error
