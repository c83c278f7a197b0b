"""Canonical similarity analysis (CSA): compare two modalities that have no joint encoder, from paired examples.

Whitening both sides and an SVD of their cross-covariance give canonical directions with correlations
rho_1 >= rho_2 >= ...; the similarity weighs each direction by its correlation. METHODS: docs/methods.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Float64, Floats
from any2any_ros.errors import Any2AnyError


@dataclass(frozen=True, eq=False)
class CSA:
    """The fitted alignment: mean (D,) and projection (D, S) of each side, correlations (S,), float64."""

    kind: ClassVar[str] = "alignment"
    plug: ClassVar[str] = "csa"

    query_mean: Float64
    query_projection: Float64
    reference_mean: Float64
    reference_projection: Float64
    correlations: Float64

    def query(self, x: Floats) -> NDArray[np.float32]:
        """Return (N, S) for x (N, Dq); a vector at the mean is all zero, never NaN."""
        return self._side(x, self.query_mean, self.query_projection)

    def reference(self, y: Floats) -> NDArray[np.float32]:
        """Return (N, S) for y (N, Dr)."""
        return self._side(y, self.reference_mean, self.reference_projection)

    def similarity(self, query: Floats, reference: Floats) -> Float64:
        """Return sum_i rho_i u_i v_i (Q, R) for (Q, Dq), (R, Dr); its absolute value is at most rho_1."""
        u = self._unit(query, self.query_mean, self.query_projection)
        v = self._unit(reference, self.reference_mean, self.reference_projection)
        return np.asarray((u * self.correlations) @ v.T)

    def _side(self, values: Floats, mean: Float64, projection: Float64) -> NDArray[np.float32]:
        # The square root of rho on both sides makes their inner product the similarity itself.
        weighted = self._unit(values, mean, projection) * np.sqrt(self.correlations)
        return weighted.astype(np.float32)

    @staticmethod
    def _unit(values: Floats, mean: Float64, projection: Float64) -> Float64:
        z = (np.asarray(values, dtype=np.float64) - mean) @ projection
        length = np.linalg.norm(z, axis=-1, keepdims=True)
        return np.asarray(np.divide(z, length, out=np.zeros_like(z), where=length > 1e-12))


def _whiten(centred: Float64, ridge: float) -> Float64:
    """Return W (D, rank) with W^T C W = I for the covariance C of (N, D) centred rows; null directions go.

    By SVD of the data, not by inverting C: half the digits are lost otherwise. The ridge is relative to the
    mean variance, so that scaling a modality changes nothing.
    """
    _, s, vt = np.linalg.svd(centred / np.sqrt(max(len(centred) - 1, 1)), full_matrices=False)
    if s.size == 0 or s[0] == 0:
        return np.zeros((centred.shape[1], 0))
    kept = s > s[0] * max(centred.shape) * np.finfo(np.float64).eps
    variance = s[kept] ** 2
    return np.asarray(vt[kept].T / np.sqrt(variance + ridge * variance.mean()))


def fit(a: Floats, b: Floats, *, dim: int | None = None, ridge: float = 1e-5) -> CSA:
    """Fit on paired rows a (N, Da) and b (N, Db); keep the `dim` strongest canonical directions (None: all).

    ridge: added to each variance, relative to the mean one. Raises Any2AnyError on unpaired, non-finite or
    too few rows.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    _check(a, b, dim)
    mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)
    centred_a, centred_b = a - mean_a, b - mean_b
    white_a, white_b = _whiten(centred_a, ridge), _whiten(centred_b, ridge)
    cross = (centred_a @ white_a).T @ (centred_b @ white_b) / (len(a) - 1)
    u, rho, vt = np.linalg.svd(cross, full_matrices=False)
    keep = slice(0, dim)
    return CSA(
        mean_a, white_a @ u[:, keep], mean_b, white_b @ vt[keep].T, np.clip(rho[keep], 0.0, 1.0)
    )  # fmt: skip


def fit_by_validation(a: Floats, b: Floats, *, ridge: float = 1e-2, folds: int = 5, seed: int = 0) -> CSA:
    """Fit with the number of directions that ranks held-out partners best (mean reciprocal rank over folds).

    Folds are contiguous runs of rows, so that neighbouring places do not stand on both sides.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    _check(a, b, None)
    if len(a) < 2 * folds:
        return fit(a, b, ridge=ridge)
    most = min(a.shape[1], b.shape[1], len(a) - len(a) // folds - 1)
    candidates = sorted({min(most, 2**i) for i in range(most.bit_length() + 1)})
    quality = dict.fromkeys(candidates, 0.0)
    for held_out in np.array_split(np.arange(len(a)), folds):
        kept = np.setdiff1d(np.arange(len(a)), held_out)
        whole = fit(a[kept], b[kept], ridge=ridge)
        for dim in candidates:
            similarity = _first(whole, dim).similarity(a[held_out], b[held_out])
            rank = 1 + (similarity > np.diag(similarity)[:, None]).sum(axis=1)
            quality[dim] += float((1 / rank).mean())
    return fit(a, b, dim=max(candidates, key=lambda dim: quality[dim]), ridge=ridge)


def _first(csa: CSA, dim: int) -> CSA:
    """Keep the `dim` strongest directions; the length is normalised after truncation, at every call."""
    return CSA(
        csa.query_mean, csa.query_projection[:, :dim],
        csa.reference_mean, csa.reference_projection[:, :dim], csa.correlations[:dim],
    )  # fmt: skip


def _check(a: Floats, b: Floats, dim: int | None) -> None:
    why = ""
    if a.ndim != 2 or b.ndim != 2 or len(a) != len(b):
        why = f"the sides have shapes {a.shape} and {b.shape}, which are not paired rows"
    elif len(a) < 2:
        why = f"{len(a)} paired rows say nothing about correlation"
    elif not (np.isfinite(a).all() and np.isfinite(b).all()):
        why = "a value is not finite"
    elif dim is not None and dim < 1:
        why = f"dim is {dim}"
    if why:
        raise Any2AnyError("Cannot align the two modalities", why, "Give at least 2 complete paired rows")
