"""Fusion by the mean of the raw similarities: what is left to do without calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from any2any_ros.arrays import Flags, Float64, Floats
from any2any_ros.fusion._pairs import mean_observed, unknown_probability


@dataclass(frozen=True)
class RawMean:
    """The mean of the observed pairs' similarities, as if all pairs had the same scale. Nothing is fitted."""

    kind: ClassVar[str] = "fusion"
    plug: ClassVar[str] = "raw_mean"

    @classmethod
    def fit(cls, similarity: Floats, positive: Flags) -> RawMean:
        return cls()

    def score(self, similarity: Floats) -> Float64:
        return mean_observed(np.asarray(similarity, dtype=np.float64))

    pair_probability = staticmethod(unknown_probability)
