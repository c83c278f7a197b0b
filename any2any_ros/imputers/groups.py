"""Rows of an observation set, grouped by their availability pattern: by which modalities were observed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Float64, Rows
from any2any_ros.observation import ObservationSet

Pattern = tuple[str, ...]  # the modalities that were observed, sorted

CHUNK = 2048  # rows that are processed together


@dataclass(frozen=True, eq=False)
class Group:
    """Vectors (k, D) by modality, of rows of one pattern, float64.

    The k rows are `count` observations, or fewer rows with the same second moments. ones (k,): the value of a constant
    feature in every row. It is 1 where a row is an observation; where rows stand for more observations, it is what
    keeps the first moments.
    """

    vectors: dict[str, Float64]
    ones: Float64
    count: int

    @property
    def pattern(self) -> Pattern:
        return tuple(self.vectors)

    @classmethod
    def of(cls, observations: ObservationSet, pattern: Pattern, rows: Rows) -> Group:
        """Return these rows of the observations, unchanged."""
        vectors = {m: observations.embeddings[m][rows].astype(np.float64) for m in pattern}
        return cls(vectors, np.ones(len(rows)), len(rows))

    def minus(self, means: Mapping[str, Float64]) -> Group:
        """Return the group with the mean (D,) of each modality subtracted."""
        centred = {m: v - self.ones[:, None] * means[m] for m, v in self.vectors.items()}
        return Group(centred, self.ones, self.count)


def patterns(observations: ObservationSet, modalities: Sequence[str]) -> Iterator[tuple[Pattern, Rows]]:
    """Yield each availability pattern of these modalities, and the rows that have it."""
    code = np.zeros(len(observations), dtype=np.uint64)
    for bit, m in enumerate(modalities):
        code |= observations.present(m).astype(np.uint64) << np.uint64(bit)
    for value in np.unique(code):
        pattern = tuple(m for bit, m in enumerate(modalities) if int(value) >> bit & 1)
        yield pattern, np.flatnonzero(code == value)
