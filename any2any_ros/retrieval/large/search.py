"""Exact top-k over shards: a pass in single precision bounds every score, and only the promising ones are made exact.

1. One pass over the half-precision vectors computes a key for each reference. Its exact key cannot be higher by more
   than a known slack (bounds.py). The pass works block by block, while a block is in the cache.
2. The references with the best keys are scored exactly. The k-th best of these scores is a lower limit: the answer
   contains only references that reach it.
3. Every reference whose key allows that score is scored exactly, by the fusion's own `score` of float64
   similarities. The best k of these are the answer. No other reference can be among them or tie with them.

Exact means: the same rows, order and scores as scoring all references by `fusion.score` of the float64 similarities
of the stored vectors, ties by row. docs/scale.md explains the method and its cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from any2any_ros.arrays import Array, Flags, Float64, Rows
from any2any_ros.config import RetrievalConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.protocols import Fusion
from any2any_ros.retrieval.large.blocks import Block
from any2any_ros.retrieval.large.bounds import Bound, PairQuery, Part, bounder
from any2any_ros.retrieval.large.gpu import GpuKeys
from any2any_ros.retrieval.large.shards import Shards

SEEDS = 64  # references scored beyond k in step 2
CHUNK = 4096  # references scored at a time, so that memory stays bounded even if all references of a map tie


class Search:
    """Finds the k best references for a fusion whose scores can be bounded."""

    def __init__(
        self,
        shards: Shards,
        fusion: Fusion,
        shape: tuple[int, int],
        device: str = "cpu",
        threads: int = RetrievalConfig.threads,
    ) -> None:
        """shape: (Mq, Mr) of the fusion's similarities. device: where the first pass runs, "cpu" or "cuda". threads: of
        the CPU, for the first pass. The answers do not depend on either. Raises Any2AnyError for a fusion without a
        bound."""
        self.shards, self.fusion, self.shape = shards, fusion, shape
        self._bound, self._threads = bounder(fusion), threads
        self.keys: Callable[[Bound], Array] = self._keys if device == "cpu" else GpuKeys(shards, device)

    def top_k(self, pairs: Sequence[PairQuery], k: int) -> tuple[Rows, Float64]:
        """Return rows and scores (at most k,), best first, ties by row; none where no pair is observed.

        pairs: the pairs whose query modality was observed. Raises Any2AnyError when they do not fit the shards.
        """
        self._validate(pairs)
        if k < 1 or not pairs or not len(self.shards):
            return np.empty(0, dtype=np.intp), np.empty(0)
        bound = self._bound(pairs, self.shards.patterns, self.shards.longest)
        keys = self.keys(bound)
        seeds = largest(keys, k + SEEDS)
        scores = self.exact(pairs, seeds)
        best_seeds = best_first(seeds, scores, k)[1]
        lowest = float(best_seeds[-1]) if len(best_seeds) == k else -np.inf
        rest = np.setdiff1d(self._candidates(bound, keys, lowest), seeds, assume_unique=True)
        return best_first(np.concatenate([seeds, rest]), np.concatenate([scores, self.exact(pairs, rest)]), k)

    def similarity(self, pairs: Sequence[PairQuery], rows: Rows) -> Float64:
        """Return the float64 similarities (n, Mq, Mr) to ascending rows; NaN: either side is missing."""
        similarity = np.full((len(rows), *self.shape), np.nan)
        for column in dict.fromkeys(pair.column for pair in pairs):
            vectors = self.shards.take(column, rows)
            for pair in (p for p in pairs if p.column == column):
                # Summed row by row, so that equal vectors have equal similarities whatever their rows.
                products = vectors * pair.vector.astype(np.float64)
                similarity[:, pair.cell[0], pair.cell[1]] = products.sum(axis=1)
        return similarity

    def exact(self, pairs: Sequence[PairQuery], rows: Rows) -> Float64:
        """Return the fusion's scores (n,) of ascending rows."""
        parts = [rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)]
        return np.concatenate([np.empty(0), *(self.fusion.score(self.similarity(pairs, part)) for part in parts)])

    def _keys(self, bound: Bound) -> Array:
        """Return the keys (N,) of all references; -inf where no pair is observed."""
        keys = np.zeros(len(self.shards), dtype=np.float32)
        shares = [self.shards.blocks(i, self._threads) for i in range(self._threads)]
        if len(shares) == 1:
            self._fill(keys, bound, shares[0])
            return keys
        with ThreadPoolExecutor(len(shares)) as pool:  # NumPy and OpenCV work without Python's lock
            list(pool.map(lambda blocks: self._fill(keys, bound, blocks), shares))
        return keys

    def _fill(self, keys: Array, bound: Bound, blocks: Iterable[Block]) -> None:
        """Write the keys of the references of these blocks."""
        combine, scratch = _add if bound.combine == "sum" else _maximum, _Scratch()
        for block in blocks:
            of_block = keys[block.start : block.stop]
            pattern = self.shards.pattern[block.start : block.stop]
            for part in bound.parts:
                values = scratch.values(part, block)
                combine(of_block, values, self.shards.patterns[:, part.column], pattern)
            of_block += bound.constant.take(pattern, mode="clip")
            of_block *= bound.weight.take(pattern, mode="clip")

    def _candidates(self, bound: Bound, keys: Array, score: float) -> Rows:
        """Return the rows whose key allows the score, ascending."""
        least = np.array([bound.least(p, score) - bound.slack for p in range(len(bound.constant))])
        # Rounded down, because the keys are float32. Never as low as -inf, the key where no pair is observed.
        floor = np.maximum(np.nextafter(least.astype(np.float32), np.float32(-np.inf)), np.finfo(np.float32).min)
        edge = floor[0] if (floor == floor[0]).all() else floor[self.shards.pattern]
        return np.flatnonzero(keys >= edge)

    def _validate(self, pairs: Sequence[PairQuery]) -> None:
        if len({pair.cell for pair in pairs}) < len(pairs):
            raise Any2AnyError("The query does not fit together", "it has one pair twice", "Give each pair once")
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
    """Arrays that every block uses again, so that they stay in the cache."""

    def __init__(self) -> None:
        self._arrays: dict[tuple[int, int], tuple[Array, Rows]] = {}

    def values(self, part: Part, block: Block) -> Array:
        """Return the part's values (m, n) for a block: products, looked up in the tables if there are any."""
        shape = len(part.vectors), block.stop - block.start
        if shape not in self._arrays:
            self._arrays[shape] = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.intp)
        values, bins = self._arrays[shape]
        block.multiply(part.column, part.vectors, values)
        if part.tables:
            values += part.offset
            np.copyto(bins, values, casting="unsafe")
            for table, at, bound in zip(part.tables, bins, values, strict=True):
                table.take(at, out=bound, mode="clip")
        return values


def _add(total: Array, values: Array, present: Flags, pattern: Rows) -> None:
    """Add the values to the total. The bound's constant makes up for missing vectors."""
    for row in values:
        total += row


def _maximum(total: Array, values: Array, present: Flags, pattern: Rows) -> None:
    """Replace the total by the largest observed value so far. Values are not negative."""
    np.maximum(total, np.where(present[pattern], values.max(axis=0), np.float32(0)), out=total)


def largest(keys: Array, count: int) -> Rows:
    """Return the rows of the `count` largest keys, ascending, without those of -inf."""
    if count < len(keys):
        rows = np.sort(np.argpartition(keys, len(keys) - count)[len(keys) - count :])
    else:
        rows = np.arange(len(keys))
    return np.asarray(rows[keys[rows] > -np.inf])


def best_first(rows: Rows, scores: Float64, k: int) -> tuple[Rows, Float64]:
    """Return the k best of `rows` (n,), in any order, and their scores, best first, ties by row; none with a NaN."""
    order = np.argsort(rows)
    best = order[top_k(scores[order], k)]
    return rows[best], scores[best]


def top_k(scores: Float64, k: int) -> Rows:
    """Return the rows of the k highest scores (R,), best first, ties by row; never one with a score of NaN."""
    known = np.flatnonzero(~np.isnan(scores))
    if len(known) > k:
        # All that tie with the k-th stay, so that these ties are broken by row, too.
        edge = np.partition(scores[known], len(known) - k)[len(known) - k]
        known = known[scores[known] >= edge]
    return np.asarray(known[np.argsort(-scores[known], kind="stable")][:k])
