"""The searcher of a large map: the k best references, exactly, without scoring all of them (docs/scale.md)."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np

from any2any_ros.alignments import Pair, compared
from any2any_ros.arrays import Array, Float64, Rows
from any2any_ros.config import RetrievalConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.protocols import Alignment, Fusion
from any2any_ros.retrieval.large import npz
from any2any_ros.retrieval.large.bounds import PairQuery, bounder
from any2any_ros.retrieval.large.search import Search
from any2any_ros.retrieval.large.shard_cache import IN_MEMORY, ShardCache
from any2any_ros.retrieval.large.shards import Shards
from any2any_ros.retrieval.shortlist import Shortlist, most_similar

PORTION = 1 << 14  # references that are aligned at a time
LOG = logging.getLogger(__name__)


class LargeMapSearcher:
    """A `Searcher` that holds the aligned references in half precision.

    Pairs with the same reference modality and the same alignment (one object) share one column of vectors.
    """

    def __init__(
        self,
        reference: ObservationSet,
        alignments: Mapping[Pair, Alignment],
        fusion: Fusion,
        device: str = "cpu",
        shard_cache: ShardCache = IN_MEMORY,
        threads: int = RetrievalConfig.threads,
    ) -> None:
        """device, threads: as in `Search`. shard_cache: where the shards of exactly these references are stored.

        Raises Any2AnyError for a fusion whose scores cannot be bounded, and for values beyond half precision.
        """
        self.alignments, self.query_modalities, self.reference_modalities = compared(alignments, reference.embeddings)
        self._columns: dict[tuple[str, int], Pair] = {}  # (reference modality, alignment) -> the first pair that has it
        for pair, alignment in self.alignments.items():
            self._columns.setdefault((pair[1], id(alignment)), pair)
        aligned_by = {f"{r} for {q}": self.alignments[q, r] for q, r in self._columns.values()}
        bounder(fusion)  # raises before the shards are made, which takes long
        empty = Shards(self._widths(reference))

        def fit(found: Shards) -> bool:
            return (found.columns, found.dimensions, len(found)) == (empty.columns, empty.dimensions, len(reference))

        self.shards = shard_cache.shards(aligned_by, lambda: self._new_shards(reference), fit)
        shape = len(self.query_modalities), len(self.reference_modalities)
        self._search = Search(self.shards, fusion, shape, device, threads)

    def __len__(self) -> int:
        return len(self.shards)

    def _new_shards(self, reference: ObservationSet) -> Shards:
        return self._fill(Shards(self._widths(reference)), reference)

    def _widths(self, reference: ObservationSet) -> dict[str, int]:
        """Return the dimension of each column."""
        nothing = reference.take([])
        return {f"{r} for {q}": self._aligned(nothing, (q, r)).shape[1] for q, r in self._columns.values()}

    def add(self, places: ObservationSet) -> None:
        """Append references. A modality that they lack is missing in their rows."""
        self._fill(self.shards, places)

    def _fill(self, shards: Shards, places: ObservationSet) -> Shards:
        """Append references to shards. Those of a large map are read here for the first time, and validated."""
        for start in range(0, len(places), PORTION):
            end = min(start + PORTION, len(places))
            portion = places.take(range(start, end))
            portion.validate()
            columns = [(q, r) for q, r in self._columns.values() if r in portion.embeddings]
            shards.add({f"{r} for {q}": self._aligned(portion, (q, r)) for q, r in columns}, len(portion))
            npz.release(places)  # so that a map on disk is never in memory as a whole
            if len(places) > PORTION:
                LOG.info("%d %% of the vectors of %d places are prepared", 100 * end // len(places), len(places))
        return shards

    def _aligned(self, places: ObservationSet, pair: Pair) -> Array:
        """Return the references' vectors (n, S) aligned for a pair; NaN where missing."""
        present, values = places.present(pair[1])[:, None], places.embeddings[pair[1]]
        rows = self.alignments[pair].reference(np.where(present, values, np.float32(0)))
        return np.where(present, rows, np.float32(np.nan))

    def top_k(self, query: ObservationSet, k: int, explained: int) -> Shortlist:
        """As `Searcher`; ties are broken by row."""
        rows, scores = self._search.top_k(self._pairs(query.observation(0)), k)
        similarity = self.similarity(query, rows).astype(np.float32)
        pairs = dict(zip(rows.tolist(), self._search.fusion.pair_probability(similarity[:explained]), strict=False))
        nearest = most_similar(rows, similarity, self.query_modalities, self.reference_modalities)
        return Shortlist(rows, similarity, scores, pairs, nearest)

    def similarity(self, query: ObservationSet, rows: Rows) -> Float64:
        """As `Searcher`; `rows` in any order."""
        order = np.argsort(rows)
        similarity = np.empty((len(rows), *self._search.shape))
        similarity[order] = self._search.similarity(self._pairs(query.observation(0)), rows[order])
        return similarity

    def prefetch(self, modality: str, vector: Array) -> None:
        """Do nothing, because the search needs all vectors of a query at once."""

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
