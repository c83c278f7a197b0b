"""How well the modalities of one thing agree: the direction that they have in common, and how far it moves when some of
them are missing (CalMRL's anchor and its shift; reached as methods.calmrl.anchor). METHODS: docs/calmrl.md."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros.arrays import Float64, Floats
from any2any_ros.errors import Any2AnyError


def anchor(z: Floats) -> Float64:
    """Return the direction (D,), of length 1, that the modalities z (M, D) have in common most: the leading left
    singular vector of their columns. Rows of NaN are missing.

    Its sign is that of the modalities' sum, or, where they cancel, makes its largest number positive.
    """
    stacked = np.asarray(z, dtype=np.float64)
    seen = stacked[~np.isnan(stacked).any(axis=1)] if stacked.ndim == 2 else stacked[:0]
    if seen.size == 0 or not np.isfinite(seen).all() or not seen.any():
        raise Any2AnyError(
            "There is no anchor", f"of modalities of shape {stacked.shape}, none has a direction",
            "Give (M, D), finite, at least one row of it not missing",
        )  # fmt: skip
    first = np.linalg.svd(seen, full_matrices=False)[2][0]
    along = float(first @ seen.sum(axis=0))
    agrees = along if abs(along) > 1e-12 * np.abs(seen).sum() else first[np.abs(first).argmax()]
    return np.asarray(first if agrees > 0 else -first)


def anchor_shift(full: Floats, observed: ArrayLike) -> float:
    """Return how far the anchor of the `observed` (M,) modalities lies from that of all, `full` (M, D): 0 to 2.

    With R the share of the leading singular value's square that the observed ones' anchor keeps, it is at least
    sqrt(2 (1 - sqrt R)); the paper's sqrt(2 (1 - R)) is no bound (docs/calmrl.md).
    """
    full, flags = np.asarray(full), np.asarray(observed)
    if flags.dtype != bool or flags.shape != full.shape[:1]:
        raise Any2AnyError(
            "There is no anchor shift", f"flags of shape {flags.shape} for modalities of {full.shape}",
            "Give one bool for each modality",
        )  # fmt: skip
    return float(np.linalg.norm(anchor(full) - anchor(full[flags])))
