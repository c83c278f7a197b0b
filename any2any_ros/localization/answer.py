"""What one ranking says of where the robot is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Float64
from any2any_ros.localization.planar import YAW_OF_A_CIRCLE
from any2any_ros.poses import rigid
from any2any_ros.ranking import Match, Ranking

UNFITTED: Float64 = np.diag([2.5**2, 2.5**2, YAW_OF_A_CIRCLE])  # of a pose of which no calibration says how it errs
SAME_PLACE = 5.0  # m between two matches that are one place


@dataclass(frozen=True, eq=False)
class Candidate:
    """One place where the robot may be.

    id: of the reference. pose (4, 4): of the robot in the map's frame, metres. probability: that it is right.
    covariance (3, 3): of x, y (metres) and yaw (radians), in the robot's frame.
    """

    id: str
    pose: Float64
    probability: float
    covariance: Float64


@dataclass(frozen=True, eq=False)
class Answer:
    """One ranking: when it was measured, the candidates, best first, and whether the first one was accepted.

    odometry (4, 4): pose of the robot in the frame of its odometry at that time; None: unknown.
    """

    stamp_ns: int
    candidates: tuple[Candidate, ...]
    accepted: bool
    odometry: Float64 | None

    @classmethod
    def of(cls, ranking: Ranking, odometry: Float64 | None) -> Answer:
        """Return what a ranking says. Of matches at one place the best counts; those without a pose, or without a
        probability because the map is not calibrated, are left out."""
        chosen: list[Match] = []
        for match in ranking.matches:
            usable = rigid(match.pose[None])[0] and match.probability > 0  # False for NaN
            if usable and all(np.hypot(*(match.pose - one.pose)[:2, 3]) > SAME_PLACE for one in chosen):
                chosen.append(match)
        candidates = tuple(Candidate(m.id, m.pose, min(m.probability, 1.0), _covariance(m)) for m in chosen)
        accepted = ranking.accepted and bool(chosen) and chosen[0] is ranking.matches[0]
        return cls(ranking.stamp_ns, candidates, accepted, odometry)


def _covariance(match: Match) -> Float64:
    return UNFITTED if np.isnan(match.covariance).any() else match.covariance
