"""Exact inner-product search over one modality's vectors, by Faiss."""

from __future__ import annotations

import faiss
import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array
from any2any_ros.errors import Any2AnyError


class ExactIndex:
    """A flat Faiss index: every answer is exact, one thread, float32."""

    def __init__(self, dimension: int) -> None:
        self._index = faiss.IndexFlatIP(dimension)

    def __len__(self) -> int:
        return int(self._index.ntotal)

    @property
    def dimension(self) -> int:
        return int(self._index.d)

    def add(self, vectors: Array) -> None:
        """Append vectors (N, S)."""
        self._index.add(checked(vectors, self.dimension))

    def similarity(self, queries: Array) -> Array:
        """Return (Q, R) inner products of queries (Q, S) with all R rows."""
        if len(self) == 0:
            return np.empty((len(queries), 0), dtype=np.float32)
        # A view of Faiss's own memory: one matrix product instead of R results sorted and sorted back.
        stored = faiss.rev_swig_ptr(self._index.get_xb(), len(self) * self.dimension)
        return np.asarray(checked(queries, self.dimension) @ stored.reshape(len(self), self.dimension).T)

    def search(self, queries: Array, k: int) -> tuple[Array, NDArray[np.int64]]:
        """Return similarities and rows (Q, min(k, R)), best first."""
        found: tuple[Array, NDArray[np.int64]] = self._index.search(
            checked(queries, self.dimension), max(1, min(k, len(self)))
        )
        return found if len(self) else (found[0][:, :0], found[1][:, :0])


def checked(vectors: Array, dimension: int) -> Array:
    """Return vectors as contiguous float32 rows (N, dimension); raise Any2AnyError when they do not fit."""
    rows = np.ascontiguousarray(np.atleast_2d(vectors), dtype=np.float32)
    if rows.shape[1] != dimension:
        raise Any2AnyError(
            "These vectors do not fit the index",
            f"they have {rows.shape[1]} dimensions, it has {dimension}",
            "Use the encoder that made the map, or build the map again",
        )
    return rows
