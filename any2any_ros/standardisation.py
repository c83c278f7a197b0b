"""Features in standard deviations of the data that something was fitted on."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Float64, Floats

FARTHEST = 5.0  # standard deviations: a feature that hardly varied in fitting must not drown the others
CONSTANT = 1e-6  # a spread below this share of the mean is rounding error: the feature is constant


def statistics(x: Floats) -> tuple[Float64, Float64]:
    """Return mean and spread (standard deviation), each (D,), of x (N, D); the spread of a constant feature is 1."""
    mean, spread = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    return mean, np.where(spread <= CONSTANT * np.abs(mean), 1.0, spread)


def standardised(x: Floats, mean: Floats, spread: Floats) -> NDArray[Any]:
    """Return x (N, D) less the mean (D,), divided by the spread (D,), and clipped at FARTHEST; NaN stays NaN.

    The precision is that of the arguments.
    """
    return np.asarray(np.clip((x - mean) / spread, -FARTHEST, FARTHEST))
