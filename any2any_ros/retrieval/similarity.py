"""Similarities of queries to every reference, for every pair of modalities that can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from any2any_ros.alignments import Pair, compared
from any2any_ros.arrays import Array, Flags, unit
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Alignment
from any2any_ros.retrieval.index import ExactIndex
from any2any_ros.retrieval.large.gpu import GpuIndex


@dataclass(frozen=True)
class SameSpace:
    """The alignment of two modalities whose vectors already lie in one space: the similarity is the cosine."""

    kind: ClassVar[str] = "alignment"
    plug: ClassVar[str] = "same_space"

    def query(self, x: Array) -> Array:
        return unit(x)

    def reference(self, y: Array) -> Array:
        return unit(y)


def same_modality(modalities: tuple[str, ...]) -> dict[Pair, Alignment]:
    """Return an alignment of each modality with itself."""
    return {(m, m): SameSpace() for m in modalities}


def one_space(pairs: Iterable[Pair]) -> dict[Pair, Alignment]:
    """Return an alignment of each pair of modalities that share a space."""
    return dict.fromkeys(pairs, SameSpace())  # one object for all: a large map then holds each modality once


class SimilarityMatrix:
    """Holds the aligned references, and returns the similarities (Q, R, Mq, Mr) of queries to them.

    Mq counts `query_modalities`, Mr `reference_modalities`, both sorted by name. NaN: either side is missing.
    """

    def __init__(self, reference: ObservationSet, alignments: Mapping[Pair, Alignment], device: str = "cpu") -> None:
        """alignments: by pair. device: where vectors are compared, "cpu" or "cuda"."""
        self.alignments, self.query_modalities, self.reference_modalities = compared(alignments, reference.embeddings)
        self._present: dict[str, Flags] = {r: np.empty(0, dtype=bool) for r in self.reference_modalities}
        self._device, self._indexes = device, dict[Pair, ExactIndex | GpuIndex]()
        self._recent: dict[Pair, tuple[Array, Array]] = {}  # the last query (1, S) and its similarities (1, R)
        self._count = 0
        self.add(reference)

    def __len__(self) -> int:
        return self._count

    def add(self, places: ObservationSet) -> None:
        """Append references. A modality that they lack is missing in their rows."""
        self._count += len(places)
        self._recent.clear()
        for r in self.reference_modalities:
            self._present[r] = np.concatenate([self._present[r], places.present(r)])
        for pair, alignment in self.alignments.items():
            rows = self._aligned(pair[1], alignment, places)
            index = self._indexes.get(pair) or self._index(rows.shape[1])
            index.add(rows)
            self._indexes[pair] = index

    def _index(self, dimension: int) -> ExactIndex | GpuIndex:
        return ExactIndex(dimension) if self._device == "cpu" else GpuIndex(dimension, self._device)

    def _aligned(self, modality: str, alignment: Alignment, places: ObservationSet) -> Array:
        if modality not in places.embeddings:
            # Only when places are added to a map that has this modality.
            width = next(i.dimension for p, i in self._indexes.items() if p[1] == modality)
            return np.zeros((len(places), width), dtype=np.float32)
        # A missing vector is stored as zeros, and every similarity to it is replaced by NaN.
        return alignment.reference(np.nan_to_num(places.embeddings[modality], nan=0.0))

    def __call__(self, queries: ObservationSet) -> Array:
        """Return the similarities (Q, R, Mq, Mr) float32. Modalities that the map lacks are ignored.

        Raises Any2AnyError when a vector has another dimension than the map's.
        """
        shape = (len(queries), len(self), len(self.query_modalities), len(self.reference_modalities))
        matrix = np.full(shape, np.nan, dtype=np.float32)
        for (q, r), alignment in self.alignments.items():
            present = queries.present(q)
            if not present.any():
                continue
            try:
                values = self._similarity((q, r), alignment.query(queries.embeddings[q][present]))
            except ValueError as error:
                raise Any2AnyError(
                    f"The '{q}' embedding does not fit the map", str(error), "Use the map's own encoder"
                ) from error
            matrix[present, :, self.query_modalities.index(q), self.reference_modalities.index(r)] = values
        return matrix

    def prefetch(self, modality: str, vector: Array) -> None:
        """Compare a vector (D,) with every reference now. The next call with the same vector reuses the result.

        So the first embedding of a moment is compared while slower sensors still encode.
        """
        for (q, r), alignment in self.alignments.items():
            if q == modality:
                self._similarity((q, r), alignment.query(vector[None]))

    def _similarity(self, pair: Pair, queries: Array) -> Array:
        """Return the similarities (Q, R) of aligned queries (Q, S), NaN where the reference is missing."""
        recent = self._recent.get(pair)
        if recent is not None and np.array_equal(recent[0], queries):
            return recent[1]
        values = self._indexes[pair].similarity(queries)
        values[:, ~self._present[pair[1]]] = np.nan
        if len(queries) == 1:
            self._recent[pair] = queries, values
        return values
