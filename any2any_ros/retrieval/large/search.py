"""Exact top-k over shards: a pass in single precision that bounds every score, and the few that matter made exact.

1. One pass over the half-precision vectors gives each reference a key that its exact one cannot exceed by more than
   a known slack (bounds.py), block by block while a block is in the cache.
2. The references with the best keys are scored exactly. Their k-th score is one that the answer reaches, at least.
3. Every reference whose key allows that score is scored exactly, by the fusion's own `score` of float64
   similarities; the best k of these are the answer. Nobody else can be in it, nor tie with it.

Exact means: the rows, order and scores of ranking all references by `fusion.score` of float64 similarities of the
stored vectors with the query's, ties by row. docs/scale.md says why and what it costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array, Float64, Rows
from any2any_ros.errors import Any2AnyError
from any2any_ros.protocols import Fusion
from any2any_ros.retrieval.large.bounds import Bound, PairQuery, Part, bounder
from any2any_ros.retrieval.large.gpu import GpuKeys
from any2any_ros.retrieval.large.shards import Block, Shards

SEEDS = 64  # references scored beyond k to find the score to reach
CHUNK = 4096  # references scored at a time: memory stays bounded where whole maps tie


class Search:
    """Finds the k best references for a fusion whose scores can be bounded."""

    def __init__(
        self, shards: Shards, fusion: Fusion, shape: tuple[int, int], device: str = "cpu", threads: int = 1
    ) -> None:
        """shape: (Mq, Mr) of the fusion's similarities. device: where the first pass is made, "cpu" or "cuda", and by
        how many of the CPU's threads; the answers are the same. Raises Any2AnyError for a fusion without a bound."""
        self.shards, self.fusion, self.shape = shards, fusion, shape
        self._bound, self._threads = bounder(fusion), threads
        self.keys: Callable[[Bound], Array] = self._keys if device == "cpu" else GpuKeys(shards, device)

    def top_k(self, pairs: Sequence[PairQuery], k: int) -> tuple[Rows, Float64]:
        """Return rows and scores (at most k,), best first, ties by row; none where nothing is observed.

        pairs: the pairs whose query side is there. Raises Any2AnyError when they do not fit the shards.
        """
        self._check(pairs)
        if k < 1 or not pairs or not len(self.shards):
            return np.empty(0, dtype=np.intp), np.empty(0)
        bound = self._bound(pairs, self.shards.patterns, self.shards.longest)
        keys = self.keys(bound)
        seeds = largest(keys, k + SEEDS)
        scores = self.exact(pairs, seeds)
        reached = best_first(seeds, scores, k)[1]
        reach = float(reached[-1]) if len(reached) == k else -np.inf
        rest = np.setdiff1d(self._candidates(bound, keys, reach), seeds, assume_unique=True)
        return best_first(np.concatenate([seeds, rest]), np.concatenate([scores, self.exact(pairs, rest)]), k)

    def similarity(self, pairs: Sequence[PairQuery], rows: Rows) -> Float64:
        """Return float64 similarities (n, Mq, Mr) of ascending rows, NaN where either side is missing."""
        found = np.full((len(rows), *self.shape), np.nan)
        for column in dict.fromkeys(pair.column for pair in pairs):
            vectors = self.shards.take(column, rows)
            for pair in (p for p in pairs if p.column == column):
                # Summed row by row: equal vectors have equal similarities, wherever they stand.
                found[:, pair.cell[0], pair.cell[1]] = (vectors * pair.vector.astype(np.float64)).sum(axis=1)
        return found

    def exact(self, pairs: Sequence[PairQuery], rows: Rows) -> Float64:
        """Return the fusion's scores (n,) of ascending rows."""
        parts = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
        return np.concatenate([np.empty(0), *(self.fusion.score(self.similarity(pairs, part)) for part in parts)])

    def _keys(self, bound: Bound) -> Array:
        """Return the key (N,) of every reference; -inf where nothing is observed."""
        keys = np.zeros(len(self.shards), dtype=np.float32)
        shares = [self.shards.blocks(i, self._threads) for i in range(self._threads)]
        if len(shares) == 1:
            self._fill(keys, bound, shares[0])
            return keys
        with ThreadPoolExecutor(len(shares)) as pool:  # NumPy and OpenCV work without Python's lock
            list(pool.map(lambda blocks: self._fill(keys, bound, blocks), shares))
        return keys

    def _fill(self, keys: Array, bound: Bound, blocks: Iterable[Block]) -> None:
        """Write the keys of the places of these blocks."""
        add, scratch = _add if bound.combine == "sum" else _raise, _Scratch()
        for block in blocks:
            here = keys[block.start : block.stop]
            pattern = self.shards.pattern[block.start : block.stop]
            for part in bound.parts:
                values = scratch.values(part, block)
                add(here, values, self.shards.patterns[:, part.column], pattern)
            here += bound.constant.take(pattern, mode="clip")
            here *= bound.weight.take(pattern, mode="clip")

    def _candidates(self, bound: Bound, keys: Array, reach: float) -> Rows:
        """Return the rows whose key allows the score `reach`, ascending."""
        least = np.array([bound.least(p, reach) - bound.slack for p in range(len(bound.constant))])
        # Rounded down, for the keys are float32; and what has nothing to say has the key -inf.
        floor = np.maximum(np.nextafter(least.astype(np.float32), np.float32(-np.inf)), np.finfo(np.float32).min)
        edge = floor[0] if (floor == floor[0]).all() else floor[self.shards.pattern]
        return np.flatnonzero(keys >= edge)

    def _check(self, pairs: Sequence[PairQuery]) -> None:
        if len({pair.cell for pair in pairs}) < len(pairs):
            raise Any2AnyError("The query does not fit together", "a pair stands twice", "Give each pair once")
        for pair in pairs:
            q, r = pair.cell
            if not (0 <= q < self.shape[0] and 0 <= r < self.shape[1] and 0 <= pair.column < len(self.shards.columns)):
                raise Any2AnyError(
                    f"Pair {pair.cell} of column {pair.column} does not fit the map",
                    f"there are {self.shape} pairs and {len(self.shards.columns)} columns",
                    "Calibrate again with the modalities in use now",
                )
            width = self.shards.dimensions[pair.column]
            if pair.vector.shape != (width,) or not np.isfinite(pair.vector).all():
                raise Any2AnyError(
                    f"The query's vector for '{self.shards.columns[pair.column]}' does not fit the map",
                    f"its shape is {pair.vector.shape}, not {(width,)}, or it is not finite",
                    "Use the map's own encoder",
                )


class _Scratch:
    """Arrays that are used again for every block, so that they stay in the cache."""

    def __init__(self) -> None:
        self._arrays: dict[tuple[int, int], tuple[Array, NDArray[np.intp]]] = {}

    def values(self, part: Part, block: Block) -> Array:
        """Return the part's values (m, n) for a block: products, looked up where there are tables."""
        shape = len(part.vectors), block.stop - block.start
        if shape not in self._arrays:
            self._arrays[shape] = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.intp)
        values, bins = self._arrays[shape]
        block.multiply(part.column, part.vectors, values)
        if part.tables:
            values += part.offset
            np.copyto(bins, values, casting="unsafe")
            for table, at, found in zip(part.tables, bins, values, strict=True):
                table.take(at, out=found, mode="clip")
        return values


def _add(total: Array, values: Array, present: NDArray[np.bool_], pattern: Rows) -> None:
    """Add to the total; a missing vector's share is part of the bound's constant."""
    for row in values:
        total += row


def _raise(total: Array, values: Array, present: NDArray[np.bool_], pattern: Rows) -> None:
    """Raise the total to the largest observed value; values are not negative."""
    np.maximum(total, np.where(present[pattern], values.max(axis=0), np.float32(0)), out=total)


def largest(keys: Array, count: int) -> Rows:
    """Return the rows of the `count` largest keys, ascending, without -inf."""
    if count < len(keys):
        rows = np.sort(np.argpartition(keys, len(keys) - count)[len(keys) - count :])
    else:
        rows = np.arange(len(keys))
    return np.asarray(rows[keys[rows] > -np.inf])


def best_first(rows: Rows, scores: Float64, k: int) -> tuple[Rows, Float64]:
    """Return the k best of rows, in any order, and their scores (n,), best first, ties by row; NaN never."""
    order = np.argsort(rows)
    best = order[top_k(scores[order], k)]
    return rows[best], scores[best]


def top_k(scores: Float64, k: int) -> Rows:
    """Return the rows of the k highest scores (R,), best first, ties by row; NaN never."""
    known = np.flatnonzero(~np.isnan(scores))
    if len(known) > k:
        # Everything at least as good as the k-th, so that ties at the edge are broken by row too.
        edge = np.partition(scores[known], len(known) - k)[len(known) - k]
        known = known[scores[known] >= edge]
    return np.asarray(known[np.argsort(-scores[known], kind="stable")][:k])
