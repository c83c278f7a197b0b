"""Upper bounds of a fusion's score of every reference, computed by a fast pass in single precision.

A `Bound` tells the pass what to compute for one query. Each column of reference vectors is multiplied with some query
vectors, the products are looked up in tables, and a constant is added that depends on the reference's pattern (which
columns it has). The result is the reference's key. Whatever the rounding, key + slack is never below the exact key,
and the score is a monotone function of the exact key. So a reference whose key cannot reach the k-th best score found
so far is excluded, and only the others are scored exactly.

- Any2Any: the key is the fused value F. A calibrator is a monotone step function of the similarity. Its table holds an
  upper bound of p for each of 4096 bins of its range (docs/scale.md). Stage 2 is a monotone function of F for each
  pattern of pairs.
- LikelihoodRatio: the key is the score. It is affine in each similarity, so all pairs of one column make one query
  vector, the sum of slope * query vector. The intercepts depend on the pattern alone.
- RawMean: likewise, with slopes of 1 over the number of pairs, which depends on the pattern alone, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache, partial

import numpy as np

from any2any_ros.arrays import Array, Flags, Float64
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion.any2any import Any2Any, Calibrator
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.protocols import Fusion

BINS = 4096
UNIT = 2.0**-23  # twice the relative rounding error of one float32 operation


@dataclass(frozen=True, eq=False)
class PairQuery:
    """The query's side of one pair of modalities.

    cell: (q, r), the pair's indices in the fusion's similarities (Mq, Mr). column: the reference vectors to compare
    with. vector (S,): the query's, aligned.
    """

    cell: tuple[int, int]
    column: int
    vector: Array


@dataclass(frozen=True, eq=False)
class Part:
    """What a bound computes from one column: its products with `vectors` (m, S), plus `offset` (m, 1), looked up in m
    `tables` if there are any."""

    column: int
    vectors: Array
    offset: Array = field(default_factory=lambda: np.zeros((1, 1), dtype=np.float32))
    tables: tuple[Array, ...] = ()


@dataclass(frozen=True, eq=False)
class Bound:
    """key = (sum of the parts' values + constant) * weight.

    constant, weight: by pattern (P,); a constant of -inf: no pair is observed. slack: key + slack is never below the
    exact key. least(pattern, score): no reference of that pattern whose exact key is lower reaches the score. combine:
    "sum"; or "max", the largest of the observed values instead of their sum.
    """

    parts: tuple[Part, ...]
    constant: Array
    weight: Array
    slack: float
    least: Callable[[int, float], float]
    combine: str = "sum"


Coefficient = Callable[[tuple[int, int]], float]
Bounder = Callable[[Sequence[PairQuery], Flags, Float64], Bound]

BOUNDED = (Any2Any, LikelihoodRatio, RawMean)  # fusions that score each reference by itself
SEARCHED = tuple(cls.plug for cls in BOUNDED)


def can_be_bounded(fusion: Fusion) -> bool:
    """Whether the scores of this fusion can be bounded, so that a large map need not be scored as a whole."""
    return isinstance(fusion, BOUNDED)


def bounder(fusion: Fusion) -> Bounder:
    """Return a function (pairs of the query, patterns (P, C), norm of each column's longest vector (C,)) -> Bound.

    Raises Any2AnyError for all other fusions: their score of one reference depends on the other references.
    """
    if isinstance(fusion, Any2Any):
        return ConformalBounder(fusion)
    if isinstance(fusion, LikelihoodRatio):
        return FoldedBounder(fusion.slope.__getitem__, fusion.intercept.__getitem__)
    if isinstance(fusion, RawMean):
        return FoldedBounder(lambda cell: 1.0, lambda cell: 0.0, mean=True)
    raise Any2AnyError(
        f"Fusion '{fusion.plug}' has no exact search at scale",
        f"only {', '.join(SEARCHED)} have one",
        "Score all references (WholeMapSearcher), or calibrate with one of these fusions",
    )


class FoldedBounder:
    """Bounds a score that is affine in each similarity: all pairs of one column are folded into one query vector."""

    def __init__(self, slope: Coefficient, intercept: Coefficient, mean: bool = False) -> None:
        """slope, intercept: by cell. mean: the score is the mean over the pairs, not the sum."""
        self._slope, self._intercept, self._mean = slope, intercept, mean

    def __call__(self, pairs: Sequence[PairQuery], patterns: Flags, longest: Float64) -> Bound:
        folded: dict[int, Float64] = {}
        constant, count, size = np.zeros(len(patterns)), np.zeros(len(patterns)), 0.0
        for pair in pairs:
            weighted = self._slope(pair.cell) * pair.vector.astype(np.float64)
            folded[pair.column] = folded.get(pair.column, 0.0) + weighted
            constant += np.where(patterns[:, pair.column], self._intercept(pair.cell), 0.0)
            count += patterns[:, pair.column]
            size += abs(float(self._intercept(pair.cell))) + float(np.linalg.norm(weighted)) * longest[pair.column]
        if not size < 1e30:
            raise Any2AnyError(
                "Cannot search with this calibration",
                f"its likelihood ratios reach {size:.3g}, beyond what single precision can hold",
                "Calibrate again, with a drive whose similarities differ from each other",
            )
        parts = tuple(Part(column, v.astype(np.float32)[None]) for column, v in folded.items())
        terms = max((len(pair.vector) for pair in pairs), default=0) + 2 * len(parts) + 8
        return Bound(
            parts,
            np.where(count > 0, constant, -np.inf).astype(np.float32),
            (1.0 / np.maximum(count, 1) if self._mean else np.ones(len(count))).astype(np.float32),
            terms * UNIT * size + 1e-30,
            lambda pattern, score: score,
        )


class ConformalBounder:
    """Bounds an Any2Any fusion by tables of its calibrators. Each table is computed once for each width of its bins."""

    def __init__(self, fusion: Any2Any) -> None:
        self._fusion = fusion
        self._first = {cell: c for cell in np.ndindex(*fusion.shape) if (c := fusion.pair_calibrator(*cell)).gamma.size}
        self._table = lru_cache(maxsize=4 * len(self._first) + 4)(partial(_make_table, self._first))

    def __call__(self, pairs: Sequence[PairQuery], patterns: Flags, longest: Float64) -> Bound:
        telling = [pair for pair in pairs if pair.cell in self._first]  # an empty calibrator has no p
        count = sum((patterns[:, pair.column].astype(np.int64) for pair in telling), np.zeros(len(patterns), np.int64))
        absent = np.zeros(len(patterns))
        parts = []
        for column in dict.fromkeys(pair.column for pair in telling):
            part = self._part(column, [pair for pair in telling if pair.column == column], float(longest[column]))
            parts.append(part)
            # A missing vector is stored as zeros. The table values of a zero product are known, and subtracted again.
            zero = sum(float(t.take(int(o), mode="clip")) for t, o in zip(part.tables, part.offset[:, 0], strict=True))
            absent += np.where(patterns[:, column], 0.0, zero)
        mean = self._fusion.combine != "max"
        keys = self._keys(pairs, patterns)
        usable = (count > 0) & np.array([self._fusion.fused_calibrator(key).gamma.size > 0 for key in keys], dtype=bool)
        return Bound(
            tuple(parts),
            np.where(usable, -absent if mean else 0.0, -np.inf).astype(np.float32),
            (1.0 / np.maximum(count, 1) if mean else np.ones(len(count))).astype(np.float32),
            (len(telling) + 4) * UNIT * max(1, len(telling)),
            self._least(keys),
            "sum" if mean else "max",
        )

    def _part(self, column: int, pairs: list[PairQuery], longest: float) -> Part:
        vectors, offsets, tables = [], [], []
        for pair in pairs:
            calibrator = self._first[pair.cell]
            vector = pair.vector.astype(np.float64)
            width = _bin_width(calibrator, float(np.linalg.norm(vector)) * max(longest, 1e-3), len(vector))
            vectors.append(vector / width)
            offsets.append(2.0 - calibrator.lo / width)
            tables.append(self._table(pair.cell, width))
        return Part(
            column,
            np.array(vectors, dtype=np.float32),
            np.array(offsets, dtype=np.float32)[:, None],
            tuple(tables),
        )

    def _keys(self, pairs: Sequence[PairQuery], patterns: Flags) -> list[str]:
        """Return the key of the stage-2 calibrator of each pattern."""
        second = self._fusion.stage2_gamma
        if set(second) == {"*"}:
            return ["*"] * len(patterns)
        bits = sum(
            (patterns[:, p.column].astype(object) << (p.cell[0] * self._fusion.shape[1] + p.cell[1]) for p in pairs),
            np.zeros(len(patterns), dtype=object),
        )
        return [str(b) if str(b) in second else "*" for b in bits]

    def _score(self, key: str) -> Callable[[Float64], Float64]:
        second, step = self._fusion.fused_calibrator(key), self._fusion.tie_step
        return lambda fused: np.asarray(second.probability(fused) + step * fused)

    def _least(self, keys: list[str]) -> Callable[[int, float], float]:
        @cache
        def least(key: str, score: float) -> float:
            return _least_argument(self._score(key), score, -1.0, 2.0)

        return lambda pattern, score: least(keys[pattern], score)


def _bin_width(calibrator: Calibrator, largest: float, dimension: int) -> float:
    """Return the width of a bin: 1/4096 of the range, doubled until the rounding error is less than one bin.

    largest: the largest |similarity| possible. A float32 product of S terms is off by at most S * UNIT * largest.
    """
    span = calibrator.hi - calibrator.lo
    # A constant calibrator is one step at lo. Any width is right for it.
    width = max(span if span > 0 else 1.0, 1e-30) / BINS
    while (dimension + 8) * UNIT * (largest + abs(calibrator.lo) + 2 * width) > 0.9 * width:
        width *= 2
    return width


def _least_argument(f: Callable[[Float64], Float64], value: float, low: float, high: float) -> float:
    """Return an argument in [low, high] below which the monotone f stays below `value`.

    inf where f reaches `value` nowhere, -inf where it reaches it everywhere.
    """
    ends = f(np.array([low, high]))
    if not ends[1] >= value:
        return np.inf
    if ends[0] >= value:
        return -np.inf
    for _ in range(6):
        grid = np.linspace(low, high, 33)
        first = max(1, int(np.argmax(f(grid) >= value)))
        low, high = float(grid[first - 1]), float(grid[first])
    return low


def _make_table(calibrators: Mapping[tuple[int, int], Calibrator], cell: tuple[int, int], width: float) -> Array:
    """Return an upper bound of p for each bin.

    Bin b holds values with (value - lo) / width + 2 in [b, b + 1), where the value may be off by one bin. So the exact
    value of a reference in bin b is below lo + b * width. The first bin also holds all lower values.
    """
    calibrator = calibrators[cell]
    bins = int(np.ceil((calibrator.hi - calibrator.lo) / width))
    edges = np.append(calibrator.lo + width * np.arange(bins + 2), np.inf)
    return np.nextafter(calibrator.probability(edges).astype(np.float32), np.float32(2))
