"""Fusion by the mean of the similarities after min-max scaling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from any2any_ros.arrays import Flags, Float64, Floats
from any2any_ros.fusion._pairs import REFERENCES, mean_observed, unknown_probability


@dataclass(frozen=True)
class MinMax:
    """The mean after scaling each pair's similarities to the references of one query to [0, 1]. Nothing is fitted."""

    kind: ClassVar[str] = "fusion"
    plug: ClassVar[str] = "min_max"

    @classmethod
    def fit(cls, similarity: Floats, positive: Flags) -> MinMax:
        return cls()

    def score(self, similarity: Floats) -> Float64:
        s = np.asarray(similarity, dtype=np.float64)
        observed = ~np.isnan(s)
        lowest = np.where(observed, s, np.inf).min(axis=REFERENCES, keepdims=True, initial=np.inf)
        highest = np.where(observed, s, -np.inf).max(axis=REFERENCES, keepdims=True, initial=-np.inf)
        span = np.where(highest > lowest, highest - lowest, 1.0)
        return mean_observed((s - lowest) / span)

    pair_probability = staticmethod(unknown_probability)
