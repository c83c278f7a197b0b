"""The sufficient statistics that CalMRL is fitted on: per availability pattern, the second moments of its rows.

EM needs no more of the rows than these moments. So the data is read once, and the cost of an EM step does not depend on
the number of rows. Equations and paper: docs/calmrl.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from scipy.linalg import cholesky

from any2any_ros.arrays import Float64, Rows
from any2any_ros.errors import Any2AnyError
from any2any_ros.imputers.groups import CHUNK, Group, Pattern, patterns
from any2any_ros.observation import ObservationSet

NOISE_FLOOR = 1e-6  # least noise, as a share of a modality's variance: without it the likelihood has no maximum
CONSTANT_NOISE_FLOOR = 1e-12  # the same for a modality that never changes, as a share of its mean square
JITTER = 1e-10  # share of a modality's variance added to the moments, so that linearly dependent features have a root


@dataclass(frozen=True, eq=False)
class SufficientStatistics:
    """All that EM needs of the data, by modality where a dict.

    groups: the rows of each availability pattern without the means, or fewer rows with the same second moments. means
    (D,). rows: how many observations have the modality. variance: mean over its features.
    """

    groups: tuple[Group, ...]
    means: dict[str, Float64]
    rows: dict[str, int]
    variance: dict[str, float]

    @classmethod
    def of(cls, train: ObservationSet) -> SufficientStatistics:
        """Raises Any2AnyError when no modality was observed twice; those observed once or never are left out."""
        rows = {m: int(train.present(m).sum()) for m in train.modalities}
        rows = {m: n for m, n in rows.items() if n >= 2}
        if not rows:
            raise Any2AnyError(
                "The imputer cannot be fitted",
                f"of {len(train)} rows, none of the modalities ({', '.join(train.modalities) or 'none'}) has two",
                "Give observations of what is to be imputed",
            )
        means = {m: train.embeddings[m][train.present(m)].mean(axis=0, dtype=np.float64) for m in rows}
        observed = ((pattern, which) for pattern, which in patterns(train, tuple(rows)) if pattern)
        groups = tuple(_condensed(train, pattern, which, means) for pattern, which in observed)
        squares = {m: sum(float(np.vdot(g.vectors[m], g.vectors[m])) for g in groups if m in g.vectors) for m in rows}
        return cls(groups, means, rows, {m: squares[m] / (n * len(means[m])) for m, n in rows.items()})

    @property
    def numbers(self) -> int:
        """Return how many numbers were observed: rows times dimensions, over all modalities."""
        return sum(n * len(self.means[m]) for m, n in self.rows.items())

    def least_noise(self, modality: str) -> float:
        """Return the smallest noise variance that the model may have for a modality."""
        power = self.variance[modality] + float(np.mean(np.square(self.means[modality])))
        return max(NOISE_FLOOR * self.variance[modality], CONSTANT_NOISE_FLOOR * power) or 1.0


def _condensed(train: ObservationSet, pattern: Pattern, rows: Rows, means: Mapping[str, Float64]) -> Group:
    """Return the group of these rows without the means, as no more rows than a row has numbers.

    Where there are more, the Cholesky root of their second moments takes their place.
    """
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
        block = np.einsum("ii->i", moment)[start:end]  # a view of the diagonal
        block += JITTER * (float(block.mean()) or 1.0)
    root = cholesky(moment, overwrite_a=True, check_finite=False)
    first, *columns = np.split(root, ends[:-1], axis=1)
    return Group(dict(zip(pattern, columns, strict=True)), first[:, 0], len(rows))
