"""What several fusions share: the axes of similarities (..., R, Mq, Mr), and the mean over the observed pairs."""

from __future__ import annotations

import numpy as np

from any2any_ros.arrays import Float64, Floats

REFERENCES = -3
PAIRS = (-2, -1)


class FittedPairs:
    """Base of the fusions that were fitted pair by pair. All of their fields are arrays of one shape (Mq, Mr)."""

    def __post_init__(self) -> None:
        shapes = {values.shape for values in vars(self).values()}
        if len(shapes) > 1 or len(self.shape) != 2 or 0 in self.shape:
            raise ValueError(f"its arrays have shapes {sorted(shapes)}, not one shape (Mq, Mr)")

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = next(iter(vars(self).values())).shape
        return shape


def mean_observed(values: Floats) -> Float64:
    """Return the mean (..., R) over the pairs of values (..., R, Mq, Mr); NaN where no pair was observed."""
    observed = ~np.isnan(values)
    total = np.where(observed, values, 0.0).sum(axis=PAIRS)
    count = observed.sum(axis=PAIRS)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def unknown_probability(similarity: Floats) -> Float64:
    """Return NaN (..., R, Mq, Mr): the `pair_probability` of a fusion that knows no probability of a single pair."""
    return np.full(similarity.shape, np.nan)
