"""Fits a head for a sensor that a map lacks: a linear map from its vectors to those of a sensor that the map has.

The fit is a ridge regression from the new vectors X to the known vectors Y of the same moments,
W = a E + argmin_D |Y - X (a E + D)|^2 + r |D|^2. E compares dimension with dimension, for descriptors of one layout
(for example oriented edges of a thermal and of a colour picture). a is its least-squares gain; a = 0 starts from
nothing. Both sides are then projected onto the principal directions of the map's own vectors, partly whitened, and
compared by the cosine.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from any2any_ros.alignments import Head
from any2any_ros.arrays import Float64, Floats
from any2any_ros.errors import Any2AnyError

__all__ = ["RECIPES", "Head", "Recipe", "Space", "fit"]

DIRECTIONS = 256  # principal axes, at most
NEEDED = "Give at least 2 complete moments, and 2 places of the map"


@dataclass(frozen=True)
class Recipe:
    """How a head is fitted.

    same_layout: start from comparing dimension with dimension. ridge: relative to the mean eigenvalue of the new
    vectors' kernel. softness: added to the variance of a direction when it is whitened, relative to the mean variance.
    """

    same_layout: bool
    ridge: float
    softness: float


RECIPES = tuple(Recipe(*r) for r in product((False, True), (1.0, 10.0, 100.0), (1.0, 10.0)))


@dataclass(frozen=True, eq=False)
class Space:
    """Where the map's vectors lie: mean (D,), principal axes (D, S) and the variance along each axis (S,)."""

    mean: Float64
    axes: Float64
    variance: Float64

    @classmethod
    def of(cls, references: Floats) -> Space:
        """Return the space of the vectors (R, D) of at least two places; raise Any2AnyError for fewer."""
        y = np.asarray(references, dtype=np.float64)
        if y.ndim != 2 or len(y) < 2 or not np.isfinite(y).all():
            raise Any2AnyError("Cannot learn a head", f"the map's vectors {y.shape} are too few or not finite", NEEDED)
        mean = y.mean(axis=0)
        _, s, vt = np.linalg.svd((y - mean) / np.sqrt(len(y)), full_matrices=False)
        varies = np.flatnonzero(s > 1e-6 * s[0])[:DIRECTIONS]
        return cls(mean, vt[varies].T, s[varies] ** 2)

    def whitened(self, softness: float) -> Float64:
        """Return the axes (D, S), scaled so that the vectors vary about as much along each; see Recipe.softness."""
        return np.asarray(self.axes / np.sqrt(self.variance + softness * self.variance.mean()))


def fit(x: Floats, y: Floats, space: Space, recipe: Recipe) -> Head:
    """Fit on the moments at which both sensors were alive: x (N, Dq) of the new one, y (N, Dr) of the known one.

    space: where the map's vectors of the known sensor lie. Raises Any2AnyError when the rows are not paired, not
    finite, fewer than two, or of another dimension than the map's.
    """
    new, known = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    _check(new, known, space)
    directions = space.whitened(recipe.softness)
    centred, target = new - new.mean(axis=0), known - known.mean(axis=0)
    start = np.zeros((new.shape[1], directions.shape[1]))
    if recipe.same_layout:
        shared = min(len(start), len(directions))
        start[:shared] = _gain(centred[:, :shared], target[:, :shared]) * directions[:shared]
    kernel = centred @ centred.T
    ridge = max(recipe.ridge * np.trace(kernel) / len(new), np.finfo(np.float64).tiny)
    # With fewer moments than dimensions, the dual problem is the smaller one.
    dual = np.linalg.solve(kernel + ridge * np.eye(len(new)), target @ directions - centred @ start)
    return Head(new.mean(axis=0), start + centred.T @ dual, space.mean, directions)


def _gain(x: Float64, y: Float64) -> float:
    """Return the factor by which x (N, D) comes nearest to y (N, D)."""
    energy = float((x**2).sum())
    return float((x * y).sum()) / energy if energy > 0 else 0.0


def _check(x: Float64, y: Float64, space: Space) -> None:
    why = ""
    if x.ndim != 2 or y.ndim != 2 or len(x) != len(y) or len(x) < 2:
        why = f"the sides have shapes {x.shape} and {y.shape}, which are not at least 2 paired rows"
    elif len(space.mean) != y.shape[1]:
        why = f"the drive's vectors have {y.shape[1]} dimensions, the map's {len(space.mean)}"
    elif not (np.isfinite(x).all() and np.isfinite(y).all()):
        why = "a value is not finite"
    if why:
        raise Any2AnyError("Cannot learn a head", why, NEEDED)
