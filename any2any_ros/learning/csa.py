"""Canonical similarity analysis (CSA): fits an alignment of two modalities without a joint encoder, from paired rows.

Whitening both sides and an SVD of their cross-covariance give canonical directions with correlations
rho_1 >= rho_2 >= ...; the similarity weighs each direction by its correlation. Paper: docs/methods.md.
"""

from __future__ import annotations

import numpy as np

from any2any_ros.alignments import CSA
from any2any_ros.arrays import Float64, Floats
from any2any_ros.errors import Any2AnyError

__all__ = ["CSA", "fit", "fit_by_validation"]


def fit(a: Floats, b: Floats, *, dim: int | None = None, ridge: float = 1e-5) -> CSA:
    """Fit on paired rows a (N, Da) and b (N, Db).

    dim: keep so many of the strongest canonical directions; None: all. ridge: added to each variance, relative to the
    mean variance. Raises Any2AnyError when the rows are not paired, not finite or fewer than two.
    """
    a, b = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    _check(a, b, dim)
    mean_a, mean_b = a.mean(axis=0), b.mean(axis=0)
    centred_a, centred_b = a - mean_a, b - mean_b
    white_a, white_b = _whitening(centred_a, ridge), _whitening(centred_b, ridge)
    cross = (centred_a @ white_a).T @ (centred_b @ white_b) / (len(a) - 1)
    u, rho, vt = np.linalg.svd(cross, full_matrices=False)
    keep = slice(0, dim)
    return CSA(
        mean_a, white_a @ u[:, keep], mean_b, white_b @ vt[keep].T, np.clip(rho[keep], 0.0, 1.0)
    )  # fmt: skip


def fit_by_validation(a: Floats, b: Floats, *, ridge: float = 1e-2, folds: int = 5, seed: int = 0) -> CSA:
    """Fit with the number of directions that ranks held-out partners best, by mean reciprocal rank over the folds.

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
        training = np.setdiff1d(np.arange(len(a)), held_out)
        whole = fit(a[training], b[training], ridge=ridge)
        for dim in candidates:
            similarity = _truncated(whole, dim).similarity(a[held_out], b[held_out])
            rank = 1 + (similarity > np.diag(similarity)[:, None]).sum(axis=1)
            quality[dim] += float((1 / rank).mean())
    return fit(a, b, dim=max(candidates, key=lambda dim: quality[dim]), ridge=ridge)


def _whitening(centred: Float64, ridge: float) -> Float64:
    """Return W (D, rank) with W^T C W = I for the covariance C of centred rows (N, D), without its null directions.

    The SVD of the data is taken instead of inverting C, which would lose half the digits. The ridge is relative to the
    mean variance, so that scaling a modality changes nothing.
    """
    _, s, vt = np.linalg.svd(centred / np.sqrt(max(len(centred) - 1, 1)), full_matrices=False)
    if s.size == 0 or s[0] == 0:
        return np.zeros((centred.shape[1], 0))
    varies = s > s[0] * max(centred.shape) * np.finfo(np.float64).eps
    variance = s[varies] ** 2
    return np.asarray(vt[varies].T / np.sqrt(variance + ridge * variance.mean()))


def _truncated(csa: CSA, dim: int) -> CSA:
    """Return the alignment with the `dim` strongest directions; CSA normalises lengths after the projection."""
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
