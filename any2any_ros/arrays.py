"""Array types that all files share, vectors of length 1, and arrays that grow without being copied."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float32]  # e.g. embeddings
Floats = NDArray[np.floating[Any]]  # of any precision
Float64 = NDArray[np.float64]
Halves = NDArray[np.float16]
Flags = NDArray[np.bool_]
Rows = NDArray[np.intp]  # indices of rows
Int64 = NDArray[np.int64]  # stamps, ns
Names = NDArray[np.str_]


def unit(values: ArrayLike, shortest: float = 0.0) -> NDArray[Any]:
    """Return vectors (..., D) divided by their lengths, in their own precision.

    A vector whose length is not above `shortest` becomes zeros.
    """
    x = np.asarray(values)
    length = np.linalg.norm(x, axis=-1, keepdims=True)
    return np.asarray(np.divide(x, length, out=np.zeros_like(x), where=length > shortest))


class Stacked:
    """Several arrays (n, ...) one below the other, which NumPy accepts as one array (N, ...).

    Indexing copies only the rows it returns. np.asarray copies the whole.
    """

    def __init__(self, parts: tuple[NDArray[Any], ...]) -> None:
        self.parts = parts
        self._starts = np.cumsum([0, *(len(part) for part in parts)])
        self.shape: tuple[int, ...] = (int(self._starts[-1]), *parts[0].shape[1:])
        self.dtype = parts[0].dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        if copy is False:
            raise ValueError("a stacked array cannot be converted without a copy")
        return np.concatenate(self.parts).astype(dtype or self.dtype, copy=False)

    def __getitem__(self, index: Any) -> NDArray[Any]:
        """Index as NumPy does: by a row, a slice, rows (n,) or flags (N,), with or without indices of further axes."""
        first, *rest = index if isinstance(index, tuple) else (index,)
        rows = self._rows(first)
        which = np.searchsorted(self._starts, rows, side="right") - 1
        if rows.ndim == 0:
            return np.asarray(self.parts[which][(rows - self._starts[which], *rest)])
        values = np.empty((len(rows), *self.parts[-1][(slice(0), *rest)].shape[1:]), dtype=self.dtype)
        for part in np.unique(which):
            of_part = which == part
            values[of_part] = self.parts[part][(rows[of_part] - self._starts[part], *rest)]
        return values

    def _rows(self, index: Any) -> NDArray[np.intp]:
        """Return the rows of an index, counted from the start. Raises IndexError for a row that does not exist."""
        if isinstance(index, slice):
            return np.arange(len(self))[index]
        rows = np.asarray(index)
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.intp)
        rows = np.where(rows < 0, rows + len(self), rows)
        if ((rows < 0) | (rows >= len(self))).any():
            raise IndexError(f"there are {len(self)} rows")
        return rows


def stacked(above: Any, below: Any) -> Any:
    """Return two arrays (n, ...), or results of this function, one below the other.

    Parts are merged like the digits of a binary counter: a part is copied only when the part below it has become as
    long. So of n rows added one by one, each is copied log2(n) times at most, and a large array not before its length
    has doubled.
    """
    parts = [part for side in (above, below) for part in (side.parts if isinstance(side, Stacked) else (side,))]
    while len(parts) > 1 and len(parts[-1]) >= len(parts[-2]):
        parts[-2:] = [np.concatenate(parts[-2:])]
    return parts[0] if len(parts) == 1 else Stacked(tuple(parts))
