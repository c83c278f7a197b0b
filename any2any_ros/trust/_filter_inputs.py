"""Validates what the Bayes filter is given. Every function raises Any2AnyError for unusable input."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros.arrays import Float64, Rows
from any2any_ros.errors import Any2AnyError


def valid_positions(poses: ArrayLike) -> Float64:
    """Return the positions on the ground (R, 2) of poses (R, 4, 4)."""
    array = np.asarray(poses, dtype=np.float64)
    if array.ndim != 3 or array.shape[1:] != (4, 4):
        raise Any2AnyError("The map's poses cannot be used", f"their shape is {array.shape}", "Give (R, 4, 4)")
    return array[:, :2, 3].copy()


def valid_motion(motion: ArrayLike | None) -> Float64 | None:
    """Return the motion (4, 4), or None where it is unknown (None or NaN)."""
    if motion is None:
        return None
    array = np.asarray(motion, dtype=np.float64)
    if array.shape != (4, 4) or np.isinf(array).any():
        raise Any2AnyError(
            "The motion cannot be used",
            f"its shape is {array.shape}" if array.shape != (4, 4) else "it is infinite",
            "Give the relative pose (4, 4) since the last update, or None without odometry",
        )
    return None if np.isnan(array).any() else array


def valid_probability(probability: float) -> float:
    """Return the probability, from 0 to 1 or NaN."""
    if probability < 0 or probability > 1:
        raise Any2AnyError("The probability cannot be used", f"it is {probability}", "Give 0 to 1, or NaN")
    return float(probability)


def valid_posterior(rows: ArrayLike, log_posterior: ArrayLike, places: int) -> tuple[Rows, Float64]:
    """Return rows (S,) of a map with so many places, each at most once, and their log posterior (S,)."""
    what, remedy = "The evidence cannot be used", "Give rows of this map, each once, and a finite log posterior"
    r, log_p = np.asarray(rows), np.asarray(log_posterior, dtype=np.float64)
    if r.size == 0 and log_p.size == 0:
        return np.empty(0, dtype=np.intp), np.empty(0)
    if r.ndim != 1 or r.shape != log_p.shape or not np.issubdtype(r.dtype, np.integer):
        raise Any2AnyError(what, f"{r.dtype} rows {r.shape} and log posterior {log_p.shape}", remedy)
    if r.min() < 0 or r.max() >= places or len(np.unique(r)) != len(r):
        raise Any2AnyError(what, f"a row stands twice or is outside of the {places} places", remedy)
    if np.isnan(log_p).any() or not np.isfinite(log_p.max()):
        raise Any2AnyError(what, "its log posterior is NaN, infinite, or nowhere above minus infinity", remedy)
    return r.astype(np.intp), log_p
