"""Alignments (protocols.py): each makes the vectors of two encoders comparable by their inner product."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

import numpy as np

from any2any_ros.arrays import Array, Float64, Floats, unit
from any2any_ros.declared import SHARE
from any2any_ros.errors import Any2AnyError
from any2any_ros.protocols import Alignment

Pair = tuple[str, str]  # query modality, reference modality
SHORTEST = 1e-12  # a projected vector that is not longer has no direction


@dataclass(frozen=True, eq=False)
class FunctionAlignment:
    """An alignment made of two functions.

    query: vectors (N, Dq) of the query modality -> (N, S). reference: vectors (N, Dr) of the reference modality ->
    (N, S).
    """

    query: Callable[[Any], Array]
    reference: Callable[[Any], Array]


@dataclass(frozen=True, eq=False)
class CSA:
    """Canonical similarity analysis, as learning/csa.py fits it: a projection of each side onto canonical directions.

    mean (D,) and projection (D, S) of each side, and the canonical correlations (S,), float64.
    """

    kind: ClassVar[str] = "alignment"
    plug: ClassVar[str] = "csa"

    query_mean: Float64
    query_projection: Float64
    reference_mean: Float64
    reference_projection: Float64
    correlations: Annotated[Float64, SHARE]

    def __post_init__(self) -> None:
        _check_sides(self)
        if self.correlations.shape != self.query_projection.shape[1:]:
            raise ValueError("there is not one correlation for each direction")

    def query(self, x: Floats) -> Array:
        """Return (N, S) for x (N, Dq); all zeros, never NaN, for a vector at the mean."""
        return self._weighted(x, self.query_mean, self.query_projection)

    def reference(self, y: Floats) -> Array:
        """Return (N, S) for y (N, Dr)."""
        return self._weighted(y, self.reference_mean, self.reference_projection)

    def similarity(self, query: Floats, reference: Floats) -> Float64:
        """Return sum_i rho_i u_i v_i (Q, R) for (Q, Dq), (R, Dr); its absolute value is at most rho_1."""
        u = _projected(query, self.query_mean, self.query_projection)
        v = _projected(reference, self.reference_mean, self.reference_projection)
        return np.asarray((u * self.correlations) @ v.T)

    def _weighted(self, values: Floats, mean: Float64, projection: Float64) -> Array:
        # The square root of rho on both sides makes their inner product the similarity itself.
        return (_projected(values, mean, projection) * np.sqrt(self.correlations)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Head:
    """The head of an adopted sensor, as learning/head.py fits it: mean (D,) and projection (D, S) of each side."""

    kind: ClassVar[str] = "alignment"
    plug: ClassVar[str] = "head"

    query_mean: Float64
    query_projection: Float64
    reference_mean: Float64
    reference_projection: Float64

    def __post_init__(self) -> None:
        _check_sides(self)

    def query(self, x: Floats) -> Array:
        """Return (N, S) for the new sensor's vectors (N, Dq); raise Any2AnyError for another dimension."""
        return self._side(x, self.query_mean, self.query_projection)

    def reference(self, y: Floats) -> Array:
        """Return (N, S) for the map's vectors (N, Dr); raise Any2AnyError for another dimension."""
        return self._side(y, self.reference_mean, self.reference_projection)

    @staticmethod
    def _side(values: Floats, mean: Float64, projection: Float64) -> Array:
        if values.shape[-1] != len(mean):
            raise Any2AnyError(
                "These vectors do not fit the head",
                f"they have {values.shape[-1]} dimensions, it takes {len(mean)}",
                "Use the encoder that the head was learnt with",
            )
        return _projected(values, mean, projection).astype(np.float32)


def _projected(values: Floats, mean: Float64, projection: Float64) -> Float64:
    """Return the vectors (N, D) less the mean, projected (N, S) and scaled to length 1."""
    return unit((np.asarray(values, dtype=np.float64) - mean) @ projection, SHORTEST)


def compared(
    alignments: Mapping[Pair, Alignment], columns: Container[str]
) -> tuple[dict[Pair, Alignment], tuple[str, ...], tuple[str, ...]]:
    """Return the alignments to reference modalities in `columns`, and their query and reference modalities, sorted."""
    used = {p: a for p, a in alignments.items() if p[1] in columns}
    return used, tuple(sorted({q for q, _ in used})), tuple(sorted({r for _, r in used}))


def _check_sides(of: CSA | Head) -> None:
    """Raise ValueError unless the projections of both sides fit their means, and each other."""
    sides = (of.query_mean, of.query_projection), (of.reference_mean, of.reference_projection)
    fit = all(mean.ndim == 1 and projection.shape[:-1] == mean.shape for mean, projection in sides)
    if not fit or of.query_projection.shape[1:] != of.reference_projection.shape[1:]:
        raise ValueError("its means (D,) and projections (D, S) do not fit together")
