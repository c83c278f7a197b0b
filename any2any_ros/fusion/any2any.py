"""Any2Any (two-stage conformal fusion): similarities of any subset of modality pairs on one common scale.

Stage 1 turns the similarity of each pair of modalities into a conformal probability (Eq. 4-6), which is
comparable across pairs; the mean (or maximum) over the observed pairs fuses them; stage 2 calibrates the
fused value the same way. See docs/methods.md for the choices made where the paper is open.

These probabilities bound how often a *wrong* reference reaches a value: P(label 0 and p >= 1-eps) <= eps over
exchangeable pairs. They do not say how likely the top match is right; `confidence.py` does.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from any2any_ros.arrays import Float64, Floats
from any2any_ros.errors import Any2AnyError

SAME_SET_FROM = 1000  # "auto": below this many pairs one calibration set for both stages under-covers


def conformal_quantile(scores: ArrayLike, epsilon: float) -> float:
    """Return alpha(eps), the k-th smallest score with k = ceil((n+1)(1-eps)); +inf when k > n (Eq. 5)."""
    ordered = np.sort(np.asarray(scores, dtype=np.float64), axis=None)
    exact = (ordered.size + 1) * (1 - epsilon)
    # (9 + 1) * 0.9 is 9.000000000000002 in floats: a plain ceiling would take one score too many.
    k = max(math.ceil(exact - 1e-9 * max(1.0, exact)), 0)
    if k > ordered.size:
        return math.inf
    return float(ordered[k - 1]) if k else -math.inf


@dataclass(frozen=True, eq=False)
class Calibrator:
    """Eq. 4-6 for one stream of values: range [lo, hi] and the sorted calibration scores gamma (n,), float64."""

    lo: float
    hi: float
    gamma: Float64
    inverse: str = "exclusion"

    @classmethod
    def fit(cls, value: ArrayLike, positive: ArrayLike, inverse: str = "exclusion") -> Calibrator:
        """Fit on values (P,), NaN = missing, with labels (P,) bool: is this pair a true match?"""
        theta, label = np.asarray(value, dtype=np.float64), np.asarray(positive, dtype=bool)
        seen = np.isfinite(theta)
        theta, label = theta[seen], label[seen]
        if theta.size == 0:
            return cls(0.0, 0.0, theta, inverse)
        lo, hi = float(theta.min()), float(theta.max())
        gamma = np.abs(label - _scale(theta, lo, hi))  # Eq. 4
        return cls(lo, hi, np.sort(gamma), inverse)

    def probability(self, value: ArrayLike) -> Float64:
        """Return p (...,) for values (...,): the largest 1-eps at which label 0 is excluded; NaN stays NaN.

        Without a single calibration value nothing is known, and all is NaN.
        """
        theta = np.asarray(value, dtype=np.float64)
        if self.gamma.size == 0:
            return np.full(theta.shape, np.nan)
        s = _scale(theta, self.lo, self.hi)
        below = np.searchsorted(self.gamma, s, side="left")  # strictly smaller scores
        if self.inverse == "literal":
            # Eq. 6 as printed: the band must equal {1}, so some score has to lie in [1-s, s).
            below = np.where(below > np.searchsorted(self.gamma, 1 - s, side="left"), below, 0)
        return np.where(np.isnan(theta), np.nan, below / (self.gamma.size + 1))


def _scale(value: Floats, lo: float, hi: float) -> Float64:
    """Map [lo, hi] to [0, 1], clipped; a constant stream maps to 0 (and 1 above it)."""
    if hi <= lo:
        return np.where(value > hi, 1.0, 0.0)
    return np.clip((value - lo) / (hi - lo), 0.0, 1.0)


def _leave_one_out(value: Floats, positive: NDArray[np.bool_], inverse: str) -> Float64:
    """Return each calibration value's own p (P,) from a calibrator that never saw it."""
    p = np.full(value.shape, np.nan)
    seen = np.flatnonzero(np.isfinite(value))
    if seen.size < 2:
        return p
    whole = Calibrator.fit(value, positive, inverse)
    v, y = value[seen], positive[seen]
    s = _scale(v, whole.lo, whole.hi)
    own = np.abs(y - s)
    below = np.searchsorted(whole.gamma, s, side="left") - (own < s)
    if inverse == "literal":
        below_mirror = np.searchsorted(whole.gamma, 1 - s, side="left") - (own < 1 - s)
        below = np.where(below > below_mirror, below, 0)
    p[seen] = below / seen.size
    # Without a lone extreme value the range itself changes: refit for those few.
    for edge in (whole.lo, whole.hi):
        at_edge = seen[v == edge]
        if at_edge.size == 1:
            rest = seen[seen != at_edge[0]]
            refit = Calibrator.fit(value[rest], positive[rest], inverse)
            p[at_edge] = refit.probability(value[at_edge])
    return p


def _combine(p: Floats, how: str) -> Float64:
    """Fuse p (..., Mq, Mr) over the observed pairs by "mean" or "max"; NaN where there is none."""
    seen = ~np.isnan(p)
    count = seen.sum(axis=(-2, -1))
    if how == "max":
        fused = np.where(seen, p, -np.inf).max(axis=(-2, -1), initial=-np.inf)
    else:
        fused = np.where(seen, p, 0.0).sum(axis=(-2, -1)) / np.maximum(count, 1)
    return np.where(count > 0, fused, np.nan)


def _pattern(similarity: Floats) -> NDArray[np.int64]:
    """Return which pairs are observed (..., Mq, Mr) as one integer (...,)."""
    *rows, queries, references = similarity.shape
    seen = ~np.isnan(similarity.reshape(*rows, queries * references))
    return np.asarray(seen @ (1 << np.arange(seen.shape[-1], dtype=np.int64)))


@dataclass(frozen=True, eq=False)
class Any2Any:
    """The fitted fusion; make it with `calibrate`.

    gamma, stage2_gamma: calibration scores by "query,reference" column (or availability pattern), each sorted;
    lo_hi, stage2_lo_hi: their value ranges (2,).
    """

    kind: ClassVar[str] = "fusion"
    plug: ClassVar[str] = "any2any"

    shape: tuple[int, int]
    gamma: dict[str, Float64]
    lo_hi: dict[str, Float64]
    stage2_gamma: dict[str, Float64]
    stage2_lo_hi: dict[str, Float64]
    combine: str = "mean"
    inverse: str = "exclusion"

    @classmethod
    def fit(cls, similarity: Floats, positive: NDArray[np.bool_]) -> Any2Any:
        """Fit with the defaults on (..., Mq, Mr) with labels (...,), as every fusion is (protocols.Fusion)."""
        return calibrate(similarity.reshape(-1, *similarity.shape[-2:]), positive.reshape(-1))

    def _calibrator(self, pair: str) -> Calibrator:
        lo, hi = self.lo_hi[pair]
        return Calibrator(float(lo), float(hi), self.gamma[pair], self.inverse)

    def _second(self, pattern: str) -> Calibrator:
        key = pattern if pattern in self.stage2_gamma else "*"
        lo, hi = self.stage2_lo_hi[key]
        return Calibrator(float(lo), float(hi), self.stage2_gamma[key], self.inverse)

    def pair_probability(self, similarity: Floats) -> Float64:
        """Return stage 1's p (..., Mq, Mr) in [0, 1) for similarities (..., Mq, Mr); NaN = missing stays NaN."""
        similarity = np.asarray(similarity)
        _check_shape(similarity, self.shape)
        p = np.full(similarity.shape, np.nan)
        for q, r in np.ndindex(*self.shape):
            p[..., q, r] = self._calibrator(f"{q},{r}").probability(similarity[..., q, r])
        return p

    def fused(self, similarity: Floats) -> Float64:
        """Return F (...,): the mean (or maximum) of p over the observed pairs; NaN where nothing is observed."""
        return _combine(self.pair_probability(similarity), self.combine)

    def probability(self, similarity: Floats) -> Float64:
        """Return stage 2's p (...,) of the fused value."""
        return self._stage2(np.asarray(similarity), self.fused(similarity))

    def score(self, similarity: Floats) -> Float64:
        """Return what to rank by (...,): stage 2's p, ties broken by F (stage 2 alone only creates ties)."""
        similarity = np.asarray(similarity)
        fused = self.fused(similarity)
        return np.asarray(self._stage2(similarity, fused) + self._tie_step * fused)

    def _stage2(self, similarity: Floats, fused: Float64) -> Float64:
        if set(self.stage2_gamma) == {"*"}:
            return self._second("*").probability(fused)
        p = np.full(fused.shape, np.nan)
        patterns = _pattern(similarity)
        for pattern in np.unique(patterns):
            here = patterns == pattern
            p[here] = self._second(str(pattern)).probability(fused[here])
        return p

    @property
    def _tie_step(self) -> float:
        # Two different p of stage 2 are at least 1/(n+1)^2 apart, also across availability patterns.
        return 0.5 / (1 + max(gamma.size for gamma in self.stage2_gamma.values())) ** 2


def calibrate(
    similarity: Floats,
    positive: NDArray[np.bool_],
    *,
    combine: str = "mean",
    inverse: str = "exclusion",
    by_availability: bool = False,
    stage2: str = "auto",
) -> Any2Any:
    """Fit both stages on calibration pairs.

    similarity (P, Mq, Mr), NaN = missing; positive (P,) bool: is the reference right for the query?
    combine: "mean" (the paper's) or "max" over the observed pairs.
    inverse: "exclusion" (label 0 is excluded) or "literal" (the band equals {1}; every s <= 0.5 ties at 0), Eq. 6.
    by_availability: stage 2 apart for each pattern of observed pairs that has at least 100 pairs.
    stage2: what stage 2 is fitted on: "same" pairs as stage 1 (under-covers when few), their "leave_one_out"
    values, a "split" (every other pair for each stage), or "auto": "same" from 1000 pairs on, else "leave_one_out".
    Raises Any2AnyError on shapes or choices that do not fit.
    """
    similarity, positive = np.asarray(similarity, dtype=np.float64), np.asarray(positive, dtype=bool)
    _check(similarity, positive, combine, inverse, stage2)
    if stage2 == "auto":
        stage2 = "same" if len(positive) >= SAME_SET_FROM else "leave_one_out"
    first = np.ones(len(positive), dtype=bool)
    if stage2 == "split":
        first = _alternate(positive)
    second = ~first if stage2 == "split" else first

    stage1 = {
        (q, r): Calibrator.fit(similarity[first, q, r], positive[first], inverse)
        for q, r in np.ndindex(*similarity.shape[1:])
    }
    p = np.full(similarity[second].shape, np.nan)
    for (q, r), calibrator in stage1.items():
        values = similarity[second, q, r]
        if stage2 == "leave_one_out":
            p[:, q, r] = _leave_one_out(values, positive[second], inverse)
        else:
            p[:, q, r] = calibrator.probability(values)
    fused = _combine(p, combine)
    groups = dict(_groups(similarity[second], by_availability))
    stage_two = {key: Calibrator.fit(fused[g], positive[second][g], inverse) for key, g in groups.items()}
    rows, columns = similarity.shape[1:]
    return Any2Any(
        (rows, columns),
        {f"{q},{r}": c.gamma for (q, r), c in stage1.items()},
        {f"{q},{r}": np.array([c.lo, c.hi]) for (q, r), c in stage1.items()},
        {key: c.gamma for key, c in stage_two.items()},
        {key: np.array([c.lo, c.hi]) for key, c in stage_two.items()},
        combine,
        inverse,
    )


def _groups(similarity: Floats, by_availability: bool) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Yield (pattern, rows): all of them as "*", then each availability pattern with enough pairs."""
    yield "*", np.ones(len(similarity), dtype=bool)
    if by_availability:
        patterns = _pattern(similarity)
        for pattern, count in zip(*np.unique(patterns, return_counts=True), strict=True):
            if count >= 100:
                yield str(pattern), patterns == pattern


def _alternate(positive: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Take every other positive and every other negative, so that both halves hold both labels."""
    first = np.zeros(len(positive), dtype=bool)
    for label in (True, False):
        first[np.flatnonzero(positive == label)[::2]] = True
    return first


def _check_shape(similarity: Floats, shape: tuple[int, int]) -> None:
    if similarity.shape[-2:] != tuple(shape):
        raise Any2AnyError(
            "These similarities do not fit the calibration",
            f"they are of {similarity.shape[-2:]} pairs of modalities, the calibration of {tuple(shape)}",
            "Calibrate again with the modalities in use now",
        )


def _check(similarity: Floats, positive: NDArray[np.bool_], combine: str, inverse: str, stage2: str) -> None:
    if similarity.ndim != 3 or positive.shape != similarity.shape[:1] or len(positive) == 0:
        raise Any2AnyError(
            "Cannot calibrate",
            f"similarity has shape {similarity.shape} and positive {positive.shape}",
            "Give (P, Mq, Mr) similarities with (P,) labels, P > 0",
        )
    choices = {
        "combine": (combine, ("mean", "max")),
        "inverse": (inverse, ("exclusion", "literal")),
        "stage2": (stage2, ("auto", "same", "leave_one_out", "split")),
    }
    for name, (value, allowed) in choices.items():
        if value not in allowed:
            raise Any2AnyError(f"Cannot calibrate with {name}={value!r}", f"it knows {allowed}", "Choose one")
