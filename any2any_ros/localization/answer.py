"""What one ranking says of where the robot is."""

from __future__ import annotations

from dataclasses import dataclass

from any2any_ros.arrays import Float64


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
