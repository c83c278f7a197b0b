"""CalMRL's anchor, the direction that the modalities of one thing have in common, and how far it shifts when some of
them are missing (also learning.calmrl.anchor). Paper: docs/calmrl.md."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros.arrays import Float64, Floats
from any2any_ros.errors import Any2AnyError


def anchor(z: Floats) -> Float64:
    """Return the anchor (D,), of length 1, of modalities z (M, D): the leading left singular vector of their columns.

    NaN rows are missing. The sign is that of the modalities' sum; where they cancel, the largest number is positive.
    Raises Any2AnyError when no modality has a direction.
    """
    stacked = np.asarray(z, dtype=np.float64)
    present = stacked[~np.isnan(stacked).any(axis=1)] if stacked.ndim == 2 else stacked[:0]
    if present.size == 0 or not np.isfinite(present).all() or not present.any():
        raise Any2AnyError(
            "There is no anchor", f"of modalities of shape {stacked.shape}, none has a direction",
            "Give (M, D), finite, at least one row of it not missing",
        )  # fmt: skip
    first = np.linalg.svd(present, full_matrices=False)[2][0]
    along = float(first @ present.sum(axis=0))
    agrees = along if abs(along) > 1e-12 * np.abs(present).sum() else first[np.abs(first).argmax()]
    return np.asarray(first if agrees > 0 else -first)


def anchor_shift(full: Floats, observed: ArrayLike) -> float:
    """Return the distance, 0 to 2, from the anchor of the `observed` (M,) modalities to that of all, `full` (M, D).

    With R, the share of the squared leading singular value that the anchor of the observed ones keeps, the distance is
    at least sqrt(2 (1 - sqrt R)); the paper's sqrt(2 (1 - R)) is no bound (docs/calmrl.md). Raises Any2AnyError when
    there is not one bool for each modality, or none observed has a direction.
    """
    full, flags = np.asarray(full), np.asarray(observed)
    if flags.dtype != bool or flags.shape != full.shape[:1]:
        raise Any2AnyError(
            "There is no anchor shift", f"flags of shape {flags.shape} for modalities of {full.shape}",
            "Give one bool for each modality",
        )  # fmt: skip
    return float(np.linalg.norm(anchor(full) - anchor(full[flags])))
