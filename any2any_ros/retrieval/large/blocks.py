"""A block of places of a large map: multiplies their vectors, which are in half precision, with queries."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Array, Halves

CACHED = 1 << 17  # float32 values multiplied at a time: 0.5 MB, which fits into a core's own cache
Multiply = Callable[[int, Array, Array], None]


@dataclass(frozen=True)
class Block:
    """The places `start` to `stop`. multiply(column, queries (m, S), out (m, n)): writes inner products, float32."""

    start: int
    stop: int
    multiply: Multiply


def multiplier(block: list[Halves], scratch: Array) -> Multiply:
    """Return a function that multiplies the columns (n, S) of a block with queries. scratch: room for a row or more."""
    import cv2  # its half-to-single conversion takes 0.15 ns a value; NumPy's and Faiss's take 1.0-1.4

    def multiply(column: int, queries: Array, out: Array) -> None:
        bits = block[column].view(np.int16)
        rows = len(scratch) // bits.shape[1]
        # Several queries: with this layout BLAS takes half as long as with queries one after the other. For one query
        # it is the other way round.
        columns = np.ascontiguousarray(queries.T)
        for at in range(0, len(bits), rows):
            part = bits[at : at + rows]
            single = scratch[: part.size].reshape(part.shape)
            cv2.convertFp16(part, single)
            if len(queries) == 1:
                np.matmul(single, queries[0], out=out[0, at : at + rows])
            else:
                out[:, at : at + rows] = np.matmul(single, columns).T

    return multiply
