"""How a query is answered: a ranking of matches.

Arrays are float32 unless stated otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from any2any_ros.arrays import Array, Float64, Floats


@dataclass(frozen=True, eq=False)
class Match:
    """One reference that may be the answer.

    id: of the reference. probability: that this match is right, given its score, its rank and the modalities alive;
    NaN before calibration. score: of the fusion, higher is better. pose: (4, 4) float64, of the reference, or of the
    robot where `refined`.
    pair_probability: (Mq, Mr), how strongly each pair speaks for this match; NaN where a modality is missing. Rows are
    `Ranking.modalities`, columns `Ranking.reference_modalities`.
    overlap: share of the robot's scan that the reference's scan shows, too; NaN where no scan was registered.
    covariance: (3, 3) float64, of x, y (metres) and yaw (radians) of `pose`, in the robot's frame; NaN where a
    calibration does not say it.
    refined: whether the pose comes from registering the robot's scan onto the reference's.
    """

    id: str
    probability: float
    score: float
    pose: Float64
    pair_probability: Floats
    overlap: float = float("nan")
    refined: bool = False
    covariance: Float64 = field(default_factory=lambda: np.full((3, 3), np.nan))


@dataclass(frozen=True, eq=False)
class Ranking:
    """The answer to one query.

    matches: from best to worst. modalities, missing: of the query, those used and those of the map that it lacks.
    accepted: whether the answer is sure enough to act on it. ambiguous: whether the place set spreads over more than
    one place. stamp_ns: of the query.
    place_set: ids that hold a right reference with the coverage promised at calibration. place_positions: (n, 3)
    float64, their positions in metres, NaN where unknown.
    reference_modalities: the columns of every match's `pair_probability`. stamps_ns: when each of `modalities` was
    measured.
    differences: by modality, the query's embedding minus that of the most similar reference (D,), where the map has the
    same encoder. presence: probability that the place or object is in the map at all; NaN before calibration.
    """

    matches: tuple[Match, ...]
    modalities: tuple[str, ...]
    missing: tuple[str, ...] = ()
    accepted: bool = False
    place_set: tuple[str, ...] = ()
    stamp_ns: int = 0
    ambiguous: bool = False
    reference_modalities: tuple[str, ...] = ()
    stamps_ns: tuple[int, ...] = ()
    differences: Mapping[str, Array] = field(default_factory=dict)
    presence: float = float("nan")
    place_positions: Float64 = field(default_factory=lambda: np.empty((0, 3)))

    @property
    def probability(self) -> float:
        """Probability that the first match is right; 0 when there is no match."""
        return self.matches[0].probability if self.matches else 0.0
