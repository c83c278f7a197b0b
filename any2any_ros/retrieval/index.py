"""Exact inner-product search over the vectors of one modality."""

from __future__ import annotations

import numpy as np

from any2any_ros.arrays import Array, Int64
from any2any_ros.errors import Any2AnyError


class ExactIndex:
    """Holds vectors in one float32 array that grows. Every result is exact."""

    def __init__(self, dimension: int) -> None:
        self.dimension, self._count = dimension, 0
        self._vectors = np.empty((0, dimension), dtype=np.float32)  # its last rows may be unused

    def __len__(self) -> int:
        return self._count

    def add(self, vectors: Array) -> None:
        """Append vectors (N, S)."""
        rows = fitting_rows(vectors, self.dimension)
        end = self._count + len(rows)
        if end > len(self._vectors):
            # Room for as many again, so that adding places one by one rarely copies. It costs nothing at first: the
            # system provides memory as rows are written.
            grown = np.empty((2 * end, self.dimension), dtype=np.float32)
            grown[: self._count] = self._vectors[: self._count]
            self._vectors = grown
        self._vectors[self._count : end] = rows
        self._count = end

    def similarity(self, queries: Array) -> Array:
        """Return the inner products (Q, R) of queries (Q, S) with all R rows."""
        return np.asarray(fitting_rows(queries, self.dimension) @ self._vectors[: self._count].T)

    def search(self, queries: Array, k: int) -> tuple[Array, Int64]:
        """Return similarities and rows (Q, min(k, R)), best first."""
        import faiss  # here, because importing it takes 0.1 s and 40 MB, and no node needs it

        rows, k = fitting_rows(queries, self.dimension), min(k, self._count)
        if k == 0:
            return np.empty((len(rows), 0), dtype=np.float32), np.empty((len(rows), 0), dtype=np.int64)
        stored = self._vectors[: self._count]
        best: tuple[Array, Int64] = faiss.knn(rows, stored, k, metric=faiss.METRIC_INNER_PRODUCT)
        return best


def fitting_rows(vectors: Array, dimension: int) -> Array:
    """Return vectors as contiguous float32 rows (N, dimension). Raises Any2AnyError for another dimension."""
    rows = np.ascontiguousarray(np.atleast_2d(vectors), dtype=np.float32)
    if rows.shape[1] != dimension:
        raise Any2AnyError(
            "These vectors do not fit the index",
            f"they have {rows.shape[1]} dimensions, the index has {dimension}",
            "Use the encoder that made the map, or build the map again",
        )
    return rows
