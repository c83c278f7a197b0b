"""Any2Any: two-stage conformal fusion. It puts the similarities of any subset of modality pairs on one scale.

Stage 1 turns the similarity of each pair of modalities into a conformal probability (Eq. 4-6). These probabilities are
comparable across pairs, and their mean (or maximum) over the observed pairs is the fused value. Stage 2 calibrates the
fused value in the same way. docs/methods.md lists the choices made where the paper is open.

The probabilities bound how often a *wrong* reference reaches a value: P(label 0 and p >= 1 - eps) <= eps over
exchangeable pairs. They do not say how likely the first match is right. trust/confidence.py says that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from any2any_ros.arrays import Flags, Float64, Floats, Int64
from any2any_ros.declared import SHARE
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion._conformal import Calibrator as Calibrator
from any2any_ros.fusion._conformal import conformal_quantile as conformal_quantile
from any2any_ros.fusion._conformal import leave_one_out
from any2any_ros.fusion._pairs import PAIRS

SAME_SET_FROM = 1000  # "auto": with fewer pairs, one calibration set for both stages covers less than promised
PATTERN_PAIRS = 100  # calibration pairs that an availability pattern needs for a stage 2 of its own
ALL = "*"  # the key of the stage 2 that is fitted on all patterns
CHOICES = {
    "combine": ("mean", "max"),
    "inverse": ("exclusion", "literal"),
    "stage2": ("auto", "same", "leave_one_out", "split"),
}


@dataclass(frozen=True, eq=False)
class Any2Any:
    """The fitted fusion. `calibrate` makes one.

    shape: (Mq, Mr). gamma: calibration scores, sorted, by pair as "query column,reference column". lo_hi: value range
    (2,) by pair. stage2_gamma, stage2_lo_hi: the same by availability pattern, "*" for all patterns.
    """

    kind: ClassVar[str] = "fusion"
    plug: ClassVar[str] = "any2any"

    shape: tuple[int, int]
    gamma: dict[str, Annotated[Float64, SHARE]]
    lo_hi: dict[str, Float64]
    stage2_gamma: dict[str, Annotated[Float64, SHARE]]
    stage2_lo_hi: dict[str, Float64]
    combine: str = "mean"
    inverse: str = "exclusion"

    def __post_init__(self) -> None:
        pairs = {f"{q},{r}" for q, r in np.ndindex(*self.shape)}
        first, second = (self.gamma, self.lo_hi), (self.stage2_gamma, self.stage2_lo_hi)
        if {*map(frozenset, first)} != {frozenset(pairs)} or set(second[0]) != set(second[1]) or ALL not in second[0]:
            raise ValueError("a pair or an availability pattern lacks its scores or its range")
        if self.combine not in CHOICES["combine"] or self.inverse not in CHOICES["inverse"]:
            raise ValueError(f"'{self.combine}' or '{self.inverse}' is no choice")
        for scores in (*self.gamma.values(), *self.stage2_gamma.values()):
            if scores.ndim != 1 or (np.diff(scores) < 0).any():
                raise ValueError("the scores of a pair or a pattern are not sorted")
        if not all(r.shape == (2,) and r[0] <= r[1] for r in (*self.lo_hi.values(), *self.stage2_lo_hi.values())):
            raise ValueError("a range is not two numbers, the lower one first")

    @classmethod
    def fit(cls, similarity: Floats, positive: Flags) -> Any2Any:
        """Fit with the default choices on similarities (..., Mq, Mr) with labels (...,)."""
        return calibrate(similarity.reshape(-1, *similarity.shape[-2:]), positive.reshape(-1))

    def pair_calibrator(self, q: int, r: int) -> Calibrator:
        """Return the calibrator of stage 1 for query column q and reference column r."""
        pair = f"{q},{r}"
        lo, hi = self.lo_hi[pair]
        return Calibrator(float(lo), float(hi), self.gamma[pair], self.inverse)

    def fused_calibrator(self, pattern: str) -> Calibrator:
        """Return the calibrator of stage 2 for an availability pattern: its own, or that of all patterns."""
        key = pattern if pattern in self.stage2_gamma else ALL
        lo, hi = self.stage2_lo_hi[key]
        return Calibrator(float(lo), float(hi), self.stage2_gamma[key], self.inverse)

    @property
    def tie_step(self) -> float:
        """The weight of the fused value in the score: too small to change the order that stage 2 gives."""
        # Two different p of stage 2 are at least 1 / (n + 1)^2 apart, also across availability patterns.
        return 0.5 / (1 + max(gamma.size for gamma in self.stage2_gamma.values())) ** 2

    def pair_probability(self, similarity: Floats) -> Float64:
        """Return stage 1's p (..., Mq, Mr) in [0, 1) for similarities (..., Mq, Mr); NaN = missing stays NaN.

        Raises Any2AnyError when there are more or fewer pairs than the fusion was calibrated on.
        """
        similarity = np.asarray(similarity)
        _validate_pairs(similarity, self.shape)
        p = np.full(similarity.shape, np.nan)
        for q, r in np.ndindex(*self.shape):
            p[..., q, r] = self.pair_calibrator(q, r).probability(similarity[..., q, r])
        return p

    def fused(self, similarity: Floats) -> Float64:
        """Return F (...,): the mean (or maximum) of p over the observed pairs; NaN where no pair was observed."""
        return _combined(self.pair_probability(similarity), self.combine)

    def probability(self, similarity: Floats) -> Float64:
        """Return stage 2's p (...,) of the fused value."""
        return self._stage2(np.asarray(similarity), self.fused(similarity))

    def score(self, similarity: Floats) -> Float64:
        """Return stage 2's p (...,), with ties broken by F. Stage 2 alone keeps the order of F, but makes ties."""
        similarity = np.asarray(similarity)
        fused = self.fused(similarity)
        return np.asarray(self._stage2(similarity, fused) + self.tie_step * fused)

    def _stage2(self, similarity: Floats, fused: Float64) -> Float64:
        if set(self.stage2_gamma) == {ALL}:
            return self.fused_calibrator(ALL).probability(fused)
        p = np.full(fused.shape, np.nan)
        patterns = _patterns(similarity)
        for pattern in np.unique(patterns):
            rows = patterns == pattern
            p[rows] = self.fused_calibrator(str(pattern)).probability(fused[rows])
        return p


def calibrate(
    similarity: Floats,
    positive: Flags,
    *,
    combine: str = "mean",
    inverse: str = "exclusion",
    by_availability: bool = False,
    stage2: str = "auto",
) -> Any2Any:
    """Fit both stages on calibration pairs.

    similarity (P, Mq, Mr), NaN = missing. positive (P,) bool: is the reference right for the query?
    combine: "mean" (the paper's) or "max" over the observed pairs.
    inverse: how Eq. 6 is inverted: "exclusion" (label 0 is excluded) or "literal" (the band equals {1}; then all
    s <= 0.5 tie at 0).
    by_availability: fit another stage 2 for each pattern of observed pairs that has at least 100 calibration pairs.
    stage2: what stage 2 is fitted on. "same": the pairs of stage 1, which covers less than promised when they are few.
    "leave_one_out": for each pair, what stage 1 says when it is fitted on all others. "split": every other pair, and
    stage 1 on the rest. "auto": "same" from 1000 pairs on, "leave_one_out" below.
    Raises Any2AnyError when the shapes do not match or a choice is unknown.
    """
    similarity, positive = np.asarray(similarity, dtype=np.float64), np.asarray(positive, dtype=bool)
    _validate(similarity, positive, {"combine": combine, "inverse": inverse, "stage2": stage2})
    if stage2 == "auto":
        stage2 = "same" if len(positive) >= SAME_SET_FROM else "leave_one_out"
    everything = np.ones(len(positive), dtype=bool)
    first, second = _halves(positive) if stage2 == "split" else (everything, everything)
    queries, references = similarity.shape[1:]
    one = {
        (q, r): Calibrator.fit(similarity[first, q, r], positive[first], inverse)
        for q, r in np.ndindex(queries, references)
    }
    similarity, positive = similarity[second], positive[second]
    fused = _combined(_stage1(one, similarity, positive, stage2 == "leave_one_out"), combine)
    groups = dict(_groups(similarity, by_availability))
    two = {key: Calibrator.fit(fused[rows], positive[rows], inverse) for key, rows in groups.items()}
    return Any2Any(
        (queries, references),
        {f"{q},{r}": c.gamma for (q, r), c in one.items()},
        {f"{q},{r}": np.array([c.lo, c.hi]) for (q, r), c in one.items()},
        {key: c.gamma for key, c in two.items()},
        {key: np.array([c.lo, c.hi]) for key, c in two.items()},
        combine,
        inverse,
    )


def _halves(positive: Flags) -> tuple[Flags, Flags]:
    """Return two halves (P,) of the pairs, with every other positive and every other negative in the first."""
    first = np.zeros(len(positive), dtype=bool)
    for label in (True, False):
        first[np.flatnonzero(positive == label)[::2]] = True
    return first, ~first


def _stage1(
    calibrators: dict[tuple[int, int], Calibrator], similarity: Floats, positive: Flags, held_out: bool
) -> Float64:
    """Return stage 1's p (P, Mq, Mr), on which stage 2 is fitted; held_out: of each pair without its own similarity."""
    p = np.full(similarity.shape, np.nan)
    for (q, r), calibrator in calibrators.items():
        value = similarity[:, q, r]
        p[:, q, r] = leave_one_out(value, positive, calibrator.inverse) if held_out else calibrator.probability(value)
    return p


def _combined(p: Floats, how: str) -> Float64:
    """Return p (..., Mq, Mr) fused over the observed pairs by "mean" or "max"; NaN where no pair was observed."""
    observed = ~np.isnan(p)
    count = observed.sum(axis=PAIRS)
    if how == "max":
        fused = np.where(observed, p, -np.inf).max(axis=PAIRS, initial=-np.inf)
    else:
        fused = np.where(observed, p, 0.0).sum(axis=PAIRS) / np.maximum(count, 1)
    return np.where(count > 0, fused, np.nan)


def _patterns(similarity: Floats) -> Int64:
    """Return which pairs are observed in (..., Mq, Mr), as one integer (...,) with a bit for each pair."""
    *rows, queries, references = similarity.shape
    observed = ~np.isnan(similarity.reshape(*rows, queries * references))
    return np.asarray(observed @ (1 << np.arange(observed.shape[-1], dtype=np.int64)))


def _groups(similarity: Floats, by_availability: bool) -> Iterator[tuple[str, Flags]]:
    """Yield (key, rows (P,)) for stage 2: all pairs, then each availability pattern that has enough of them."""
    yield ALL, np.ones(len(similarity), dtype=bool)
    if by_availability:
        patterns = _patterns(similarity)
        for pattern, count in zip(*np.unique(patterns, return_counts=True), strict=True):
            if count >= PATTERN_PAIRS:
                yield str(pattern), patterns == pattern


def _validate_pairs(similarity: Floats, shape: tuple[int, int]) -> None:
    if similarity.shape[-2:] != tuple(shape):
        raise Any2AnyError(
            "These similarities do not fit the calibration",
            f"they are of {similarity.shape[-2:]} pairs of modalities, the calibration of {tuple(shape)}",
            "Calibrate again with the modalities in use now",
        )


def _validate(similarity: Floats, positive: Flags, choices: dict[str, str]) -> None:
    if similarity.ndim != 3 or positive.shape != similarity.shape[:1] or len(positive) == 0:
        raise Any2AnyError(
            "Cannot calibrate",
            f"similarity has shape {similarity.shape} and positive {positive.shape}",
            "Give (P, Mq, Mr) similarities with (P,) labels, P > 0",
        )
    for name, value in choices.items():
        if value not in CHOICES[name]:
            known = ", ".join(f"'{choice}'" for choice in CHOICES[name])
            raise Any2AnyError(f"Cannot calibrate with {name}={value!r}", f"it knows {known}", "Choose one of these")
