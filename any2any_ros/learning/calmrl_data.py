"""What CalMRL's EM looks at: rows by what was observed of them, and no more of these than second moments ask for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky

from any2any_ros.arrays import Float64, Rows
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import ObservationSet

Pattern = tuple[str, ...]  # the modalities that were observed, sorted

CHUNK = 2048  # rows looked at together
FLOOR = 1e-6  # of a modality's variance that is noise at least: without it the likelihood has no maximum
CONSTANT = 1e-12  # the same, of the mean square of a modality that never changes
DUST = 1e-10  # of a modality's variance, added so that the second moments of redundant numbers have a root


@dataclass(frozen=True, eq=False)
class Group:
    """Vectors (k, D) by modality, of rows of one pattern, float64: `count` rows, or fewer with the same second moments.

    ones (k,): 1 for every row; of those that stand for more, what the moments with a constant 1 ask for.
    """

    vectors: dict[str, Float64]
    ones: Float64
    count: int

    @property
    def pattern(self) -> Pattern:
        return tuple(self.vectors)

    @classmethod
    def of(cls, observations: ObservationSet, pattern: Pattern, rows: Rows) -> Group:
        """Return the rows as they are."""
        vectors = {m: observations.embeddings[m][rows].astype(np.float64) for m in pattern}
        return cls(vectors, np.ones(len(rows)), len(rows))

    def minus(self, means: Mapping[str, Float64]) -> Group:
        """Return the rows with a mean (D,) by modality taken out."""
        centred = {m: v - self.ones[:, None] * means[m] for m, v in self.vectors.items()}
        return Group(centred, self.ones, self.count)


@dataclass(frozen=True, eq=False)
class Digest:
    """All that EM needs of the data: groups without the means (D,), and how often each modality was observed and how
    much its numbers vary (their mean variance)."""

    groups: tuple[Group, ...]
    means: dict[str, Float64]
    rows: dict[str, int]
    variance: dict[str, float]

    @classmethod
    def of(cls, train: ObservationSet) -> Digest:
        """Raises Any2AnyError when no modality was observed twice."""
        rows = {m: int(train.present(m).sum()) for m in train.modalities}
        rows = {m: n for m, n in rows.items() if n >= 2}
        if not rows:
            raise Any2AnyError(
                "The imputer cannot be fitted",
                f"of {len(train)} rows, none of the modalities ({', '.join(train.modalities) or 'none'}) has two",
                "Give observations of what is to be imputed",
            )
        means = {m: train.embeddings[m][train.present(m)].mean(axis=0, dtype=np.float64) for m in rows}
        found = ((pattern, which) for pattern, which in patterns(train, tuple(rows)) if pattern)
        groups = tuple(_digested(train, pattern, which, means) for pattern, which in found)
        squares = {m: sum(float(np.vdot(g.vectors[m], g.vectors[m])) for g in groups if m in g.vectors) for m in rows}
        return cls(groups, means, rows, {m: squares[m] / (n * len(means[m])) for m, n in rows.items()})

    @property
    def numbers(self) -> int:
        """How many numbers were observed in all."""
        return sum(n * len(self.means[m]) for m, n in self.rows.items())

    def least_noise(self, modality: str) -> float:
        power = self.variance[modality] + float(np.mean(np.square(self.means[modality])))
        return max(FLOOR * self.variance[modality], CONSTANT * power) or 1.0


def _digested(train: ObservationSet, pattern: Pattern, rows: Rows, means: Mapping[str, Float64]) -> Group:
    """Return the group of these rows, without the means: no more rows than numbers in one of them."""
    widths = [1, *(len(means[m]) for m in pattern)]
    if len(rows) <= sum(widths):
        return Group.of(train, pattern, rows).minus(means)
    ends = np.cumsum(widths)
    moment = np.zeros((ends[-1], ends[-1]))
    for start in range(0, len(rows), CHUNK):
        portion = rows[start : start + CHUNK]
        joint = np.ones((len(portion), sum(widths)))
        for m, a, b in zip(pattern, ends, ends[1:], strict=False):
            np.subtract(train.embeddings[m][portion], means[m], out=joint[:, a:b])
        moment += joint.T @ joint
    for start, end in itertools.pairwise(ends):
        block = np.einsum("ii->i", moment)[start:end]  # a view
        block += DUST * (float(block.mean()) or 1.0)
    root = cholesky(moment, overwrite_a=True, check_finite=False)
    first, *columns = np.split(root, ends[:-1], axis=1)
    return Group(dict(zip(pattern, columns, strict=True)), first[:, 0], len(rows))


def patterns(observations: ObservationSet, modalities: Sequence[str]) -> Iterator[tuple[Pattern, Rows]]:
    """Yield each pattern of these modalities, and the rows that have it."""
    code = np.zeros(len(observations), dtype=np.uint64)
    for bit, m in enumerate(modalities):
        code |= observations.present(m).astype(np.uint64) << np.uint64(bit)
    for value in np.unique(code):
        pattern = tuple(m for bit, m in enumerate(modalities) if int(value) >> bit & 1)
        yield pattern, np.flatnonzero(code == value)
