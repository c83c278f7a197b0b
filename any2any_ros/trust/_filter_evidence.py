"""The evidence of one query for the Bayes filter: likelihood ratios against an even draw from the map."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Float64, Rows
from any2any_ros.trust.ground import Ground


@dataclass(frozen=True, eq=False)
class QueryEvidence:
    """Likelihood ratios: listed (S,) of the places `rows` (S,), others of any other place, and of being unmapped."""

    rows: Rows
    listed: Float64
    others: float
    unmapped: float

    @classmethod
    def of(
        cls,
        rows: Rows,
        log_posterior: Float64,
        probability: float,
        ground: Ground,
        same_place: float,
        lapse: float,
    ) -> QueryEvidence:
        """Take the log posterior (S,) of rows (S,); probability: that the likeliest row is right, NaN = unknown; lapse:
        share of queries whose evidence says nothing."""
        if len(rows) == 0:
            return cls(rows, log_posterior, 1.0, 1.0)
        places = len(ground)
        p = np.exp(log_posterior - log_posterior.max())
        # A place that is not listed may be as good as the last one listed: flat evidence over a large map stays flat.
        other = p.min() if len(rows) < places else 0.0
        total = p.sum() + (places - len(rows)) * other
        p, other = p / total, float(other / total)
        best = int(p.argmax())
        same = (ground.distance(rows, rows[best]) < same_place) | (np.arange(len(rows)) == best)
        mass = float(p[same].sum())
        right = mass if np.isnan(probability) else min(probability, mass)
        # The evidence counts so much that the mass at its best place becomes the probability that this place is right.
        informed = (1 - lapse) * right / mass
        lapsed = 1 - informed
        # How common is evidence that is at most as sure as this? Where the robot is mapped, about this share of the
        # queries has it; where it is unmapped, all of them have. So the ratio of "unmapped" is 1 / common.
        common = lapse + (1 - lapse) * min(right, 1.0)
        return cls(rows, informed * places * p + lapsed, informed * places * other + lapsed, 1 / common)

    def weights(self, places: int, temper: float) -> Float64:
        """Return the ratios to the power of `temper` as weights (places + 1,) of all states, "unmapped" last."""
        weights = np.full(places + 1, self.others**temper)
        weights[self.rows] = self.listed**temper
        weights[-1] = self.unmapped**temper
        return weights
