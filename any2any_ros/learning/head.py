"""A head for a sensor that a map lacks: a linear map from its vectors to those of a sensor that the map has.

Ridge regression from the new vectors to the known ones of the same moments, W = a·E + argmin |Y - X(a·E + D)|² + r|D|²,
where E compares dimension with dimension for descriptors of one layout (oriented edges of a thermal and of a colour
picture, say) and a is its least-squares gain; a = 0 starts from nothing. Both sides are then seen along the principal
directions of the map's own vectors, partly whitened, and compared by the cosine.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Float64, Floats
from any2any_ros.errors import Any2AnyError

DIRECTIONS = 256  # principal axes, at most
WHOLE = "Give at least 2 complete moments, and 2 places of the map"


@dataclass(frozen=True)
class Recipe:
    """How a head is learnt. same_layout: start from comparing dimension with dimension. ridge: relative to the mean
    eigenvalue of the new vectors' kernel. softness: added to the variance of a direction, relative to the mean one."""

    same_layout: bool
    ridge: float
    softness: float


RECIPES = tuple(Recipe(*r) for r in product((False, True), (1.0, 10.0, 100.0), (1.0, 10.0)))


@dataclass(frozen=True, eq=False)
class Head:
    """The fitted alignment: mean (D,) and projection (D, S) of each side."""

    kind: ClassVar[str] = "alignment"
    plug: ClassVar[str] = "head"

    query_mean: Float64
    query_projection: Float64
    reference_mean: Float64
    reference_projection: Float64

    def query(self, x: Floats) -> NDArray[np.float32]:
        """Return (N, S) for the new sensor's vectors (N, Dq); raises Any2AnyError on another dimension."""
        return _unit(x, self.query_mean, self.query_projection)

    def reference(self, y: Floats) -> NDArray[np.float32]:
        """Return (N, S) for the map's vectors (N, Dr)."""
        return _unit(y, self.reference_mean, self.reference_projection)


@dataclass(frozen=True, eq=False)
class Space:
    """Where the map's vectors lie: mean (D,), principal axes (D, S) and the variance along them (S,)."""

    mean: Float64
    axes: Float64
    variance: Float64

    @classmethod
    def of(cls, references: Floats) -> Space:
        """Return that of the vectors (R, D) of at least two places."""
        y = np.asarray(references, dtype=np.float64)
        if y.ndim != 2 or len(y) < 2 or not np.isfinite(y).all():
            raise Any2AnyError("Cannot learn a head", f"the map's vectors {y.shape} are too few or not finite", WHOLE)
        middle = y.mean(axis=0)
        _, s, vt = np.linalg.svd((y - middle) / np.sqrt(len(y)), full_matrices=False)
        kept = np.flatnonzero(s > 1e-6 * s[0])[:DIRECTIONS]
        return cls(middle, vt[kept].T, s[kept] ** 2)

    def whitened(self, softness: float) -> Float64:
        """Return the axes (D, S), each as long as makes what is seen along it about as large as along the others."""
        return np.asarray(self.axes / np.sqrt(self.variance + softness * self.variance.mean()))


def fit(x: Floats, y: Floats, space: Space, recipe: Recipe) -> Head:
    """Fit on moments with both sensors, x (N, Dq) and y (N, Dr), for a map whose vectors lie in `space`."""
    new, known = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    _check(new, known, space)
    directions = space.whitened(recipe.softness)
    centred, wanted = new - new.mean(axis=0), known - known.mean(axis=0)
    start = np.zeros((new.shape[1], directions.shape[1]))
    if recipe.same_layout:
        shared = min(len(start), len(directions))
        start[:shared] = _gain(centred[:, :shared], wanted[:, :shared]) * directions[:shared]
    kernel = centred @ centred.T
    ridge = max(recipe.ridge * np.trace(kernel) / len(new), np.finfo(np.float64).tiny)
    # Fewer moments than dimensions: the dual problem is the smaller one.
    dual = np.linalg.solve(kernel + ridge * np.eye(len(new)), wanted @ directions - centred @ start)
    return Head(new.mean(axis=0), start + centred.T @ dual, space.mean, directions)


def _gain(x: Float64, y: Float64) -> float:
    """Return by what x (N, D) is to be multiplied to come nearest to y (N, D)."""
    energy = float((x**2).sum())
    return float((x * y).sum()) / energy if energy > 0 else 0.0


def _unit(values: Floats, mean: Float64, projection: Float64) -> NDArray[np.float32]:
    if values.shape[-1] != len(mean):
        raise Any2AnyError(
            "These vectors do not fit the head", f"they have {values.shape[-1]} dimensions, it takes {len(mean)}",
            "Use the encoder that the head was learnt with",
        )  # fmt: skip
    z = (np.asarray(values, dtype=np.float64) - mean) @ projection
    length = np.linalg.norm(z, axis=-1, keepdims=True)
    return np.asarray(np.divide(z, length, out=np.zeros_like(z), where=length > 1e-12), dtype=np.float32)


def _check(x: Float64, y: Float64, space: Space) -> None:
    why = ""
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or len(x) < 2:
        why = f"the sides have shapes {x.shape} and {y.shape}, which are not at least 2 paired rows"
    elif len(space.mean) != y.shape[1]:
        why = f"the drive's vectors have {y.shape[1]} dimensions, the map's {len(space.mean)}"
    elif not (np.isfinite(x).all() and np.isfinite(y).all()):
        why = "a value is not finite"
    if why:
        raise Any2AnyError("Cannot learn a head", why, WHOLE)
