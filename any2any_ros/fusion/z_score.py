"""Fusion by the mean of the similarities after standardising them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from any2any_ros.arrays import Flags, Float64, Floats
from any2any_ros.fusion._pairs import REFERENCES, mean_observed, unknown_probability


@dataclass(frozen=True)
class ZScore:
    """The mean after standardising each pair's similarities over the references of one query. Nothing is fitted."""

    kind: ClassVar[str] = "fusion"
    plug: ClassVar[str] = "z_score"

    @classmethod
    def fit(cls, similarity: Floats, positive: Flags) -> ZScore:
        return cls()

    def score(self, similarity: Floats) -> Float64:
        s = np.asarray(similarity, dtype=np.float64)
        observed = ~np.isnan(s)
        count = np.maximum(observed.sum(axis=REFERENCES, keepdims=True), 1)
        mean = np.where(observed, s, 0.0).sum(axis=REFERENCES, keepdims=True) / count
        deviation = np.where(observed, s - mean, 0.0)
        spread = np.sqrt((deviation**2).sum(axis=REFERENCES, keepdims=True) / count)
        return mean_observed((s - mean) / np.where(spread > 0, spread, 1.0))

    pair_probability = staticmethod(unknown_probability)
