"""Exact inner-product search over one modality's vectors."""

from __future__ import annotations

import numpy as np

from any2any_ros.arrays import Array, Int64
from any2any_ros.errors import Any2AnyError


class ExactIndex:
    """Vectors in one float32 array that grows. Every result is exact."""

    def __init__(self, dimension: int) -> None:
        self.dimension, self._count = dimension, 0
        self._vectors = np.empty((0, dimension), dtype=np.float32)  # with room for more rows

    def __len__(self) -> int:
        return self._count

    def add(self, vectors: Array) -> None:
        """Append vectors (N, S)."""
        rows = fitting_rows(vectors, self.dimension)
        end = self._count + len(rows)
        if end > len(self._vectors):
            # The first rows take just their own room; twice as much later, so that adding one by one copies little.
            grown = np.empty((max(end, 2 * len(self._vectors)), self.dimension), dtype=np.float32)
            grown[: self._count] = self._vectors[: self._count]
            self._vectors = grown
        self._vectors[self._count : end] = rows
        self._count = end

    def similarity(self, queries: Array) -> Array:
        """Return the inner products (Q, R) of queries (Q, S) with all R rows."""
        return np.asarray(fitting_rows(queries, self.dimension) @ self._vectors[: self._count].T)

    def search(self, queries: Array, k: int) -> tuple[Array, Int64]:
        """Return similarities and rows (Q, min(k, R)), best first."""
        import faiss  # takes a tenth of a second and 40 MB: no node needs it

        rows, k = fitting_rows(queries, self.dimension), min(k, self._count)
        if k == 0:
            return np.empty((len(rows), 0), dtype=np.float32), np.empty((len(rows), 0), dtype=np.int64)
        found: tuple[Array, Int64] = faiss.knn(rows, self._vectors[: self._count], k, metric=faiss.METRIC_INNER_PRODUCT)
        return found


def fitting_rows(vectors: Array, dimension: int) -> Array:
    """Return vectors as contiguous float32 rows (N, dimension); raise Any2AnyError when they do not fit."""
    rows = np.ascontiguousarray(np.atleast_2d(vectors), dtype=np.float32)
    if rows.shape[1] != dimension:
        raise Any2AnyError(
            "These vectors do not fit the index",
            f"they have {rows.shape[1]} dimensions, it has {dimension}",
            "Use the encoder that made the map, or build the map again",
        )
    return rows
