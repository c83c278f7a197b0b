"""Where the robot may be, by all answers so far: a few hypotheses, each followed along the robot's way.

A hypothesis is a transform from the frame of the odometry to that of the map. With every answer,

    weight ~ weight * distinct * p     where candidates of probability p lie where the hypothesis expects the robot
             weight * missed           where none does; missed: probability of all places that are no candidates
    a new one for a candidate that none expects: weight of "elsewhere" * p

`distinct` is how many places the map is thought to have: a candidate of probability p says so much more than that the
robot is somewhere. It is far lower than the number of places, because answers in a row make the same errors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from any2any_ros.arrays import Float64
from any2any_ros.config import Settings, setting
from any2any_ros.localization import planar
from any2any_ros.localization.answer import Answer, Candidate

GATE = 11.3  # squared Mahalanobis distance within which 99 % of errors in three dimensions lie
MOST = 12  # hypotheses that are followed
FAINT = 1e-4  # weight below which a hypothesis is forgotten


@dataclass(frozen=True)
class FollowConfig(Settings):
    """How hypotheses of where the robot is are followed."""

    drift: float = setting(0.03, "error of the odometry, per distance", minimum=0.001, maximum=1)
    turn: float = setting(0.1, "error of the odometry's heading", unit="deg/m", minimum=0.001, maximum=45)
    distinct: float = setting(10.0, "how much more a candidate tells than a random place", minimum=2, maximum=1e6)
    doubt: float = setting(
        0.03, "probability that an answer names no right candidate, at least", minimum=0.001, maximum=0.5
    )
    kidnap: float = setting(
        0.01, "probability that the robot was carried away since the last answer", minimum=1e-4, maximum=0.5
    )


@dataclass(frozen=True, eq=False)
class Hypothesis:
    """One place where the robot may be.

    from_odometry (3,): pose of the odometry's frame in the map's. height: metres, of the robot. covariance (3, 3): of
    the robot's pose, in its own frame, without the errors of the odometry since the last candidate that agreed, which
    are in `expected`. since: metres driven since then. weight: probability. agreeing: answers in a row that were
    accepted and agree. id: of the last reference that agreed. number: counts hypotheses from the first on.
    """

    from_odometry: Float64
    height: float
    covariance: Float64
    weight: float
    agreeing: int
    id: str
    number: int
    since: float = 0.0

    def robot(self, odometry: Float64) -> Float64:
        """Return the robot's pose (3,) in the map, from that in the frame of its odometry (3,)."""
        return planar.after(self.from_odometry, odometry)

    def expected(self, config: FollowConfig) -> Float64:
        """Return the covariance (3, 3) of the robot's pose, in its own frame. Errors of an odometry are one-sided, so
        that they grow with the way, not with its root."""
        yaw = np.radians(config.turn) * self.since
        aside = config.drift * self.since + yaw * self.since / 2
        return _bounded(self.covariance + np.diag([aside**2, aside**2, yaw**2]))

    def distance(self, odometry: Float64, candidate: Candidate, config: FollowConfig) -> float:
        """Return the squared Mahalanobis distance of a candidate from where the robot is expected."""
        error = planar.between(self.robot(odometry), planar.of(candidate.pose))
        return float(error @ np.linalg.solve(self.expected(config) + candidate.covariance, error))

    def moved(self, motion: Float64) -> Hypothesis:
        """Return the same after a motion (3,) by odometry."""
        since = self.since + float(np.hypot(*motion[:2]))
        return replace(self, covariance=_bounded(planar.transported(self.covariance, motion)), since=since)

    def corrected(self, odometry: Float64, candidate: Candidate, config: FollowConfig) -> Hypothesis:
        """Return the same with a candidate that agrees."""
        robot = self.robot(odometry)
        gain, covariance = planar.combined(self.expected(config), candidate.covariance)
        better = planar.after(robot, gain @ planar.between(robot, planar.of(candidate.pose)))
        return replace(
            self,
            from_odometry=planar.after(better, planar.inverse(odometry)),
            height=float(candidate.pose[2, 3]),
            covariance=_bounded(covariance),
            id=candidate.id,
            since=0.0,
        )

    @classmethod
    def begun(cls, odometry: Float64, candidate: Candidate, number: int) -> Hypothesis:
        """Return a new one, at a candidate."""
        start = planar.after(planar.of(candidate.pose), planar.inverse(odometry))
        height = float(candidate.pose[2, 3])
        return cls(start, height, _bounded(candidate.covariance), candidate.probability, 0, candidate.id, number)


@dataclass(frozen=True, eq=False)
class Hypotheses:
    """All hypotheses, likeliest first. elsewhere: probability that none of them is right. begun: how many there were
    so far."""

    followed: tuple[Hypothesis, ...] = ()
    elsewhere: float = 1.0
    begun: int = 0

    def moved(self, motion: Float64) -> Hypotheses:
        """Return the same after a motion (3,) by odometry."""
        return replace(self, followed=tuple(one.moved(motion) for one in self.followed))

    def told(self, answer: Answer, config: FollowConfig) -> Hypotheses:
        """Return the same after an answer, which must have odometry."""
        assert answer.odometry is not None
        odometry = planar.of(answer.odometry)
        missed = max(config.doubt, 1.0 - sum(c.probability for c in answer.candidates))
        elsewhere = self.elsewhere + config.kidnap * (1.0 - self.elsewhere)
        known, born = [], set(range(len(answer.candidates)))
        for one in self.followed:
            stayed = replace(one, weight=one.weight * (1.0 - config.kidnap))
            agrees = [i for i, c in enumerate(answer.candidates) if one.distance(odometry, c, config) <= GATE]
            born -= set(agrees)
            known.append(_judged(stayed, answer, odometry, agrees, missed, config))
        for number, i in enumerate(sorted(born), self.begun):
            one = Hypothesis.begun(odometry, answer.candidates[i], number)
            known.append(replace(one, weight=elsewhere * one.weight, agreeing=int(answer.accepted and i == 0)))
        return _normalised(_distinct(known, odometry, config), elsewhere * missed, self.begun + len(born))


def _judged(
    one: Hypothesis, answer: Answer, odometry: Float64, agrees: list[int], missed: float, config: FollowConfig
) -> Hypothesis:
    """Return a hypothesis with its new weight, corrected by the likeliest candidate that agrees with it."""
    if not agrees:
        return replace(one, weight=one.weight * missed, agreeing=0 if answer.accepted else one.agreeing)
    likelihood = config.distinct * sum(answer.candidates[i].probability for i in agrees)
    best = max(agrees, key=lambda i: answer.candidates[i].probability)
    in_a_row = one.agreeing if not answer.accepted else one.agreeing + 1 if 0 in agrees else 0
    corrected = one.corrected(odometry, answer.candidates[best], config)
    return replace(corrected, weight=one.weight * likelihood, agreeing=in_a_row)


def _distinct(known: Iterable[Hypothesis], odometry: Float64, config: FollowConfig) -> list[Hypothesis]:
    """Return hypotheses, likeliest first; those that have come to the same place are one."""
    kept: list[Hypothesis] = []
    for one in sorted(known, key=lambda h: -h.weight):
        twin = next((i for i, other in enumerate(kept) if _same(one, other, odometry, config)), None)
        if twin is None:
            kept.append(one)
        else:
            kept[twin] = replace(
                kept[twin],
                weight=kept[twin].weight + one.weight,
                agreeing=max(kept[twin].agreeing, one.agreeing),
                number=min(kept[twin].number, one.number),
            )
    return kept


def _same(one: Hypothesis, other: Hypothesis, odometry: Float64, config: FollowConfig) -> bool:
    error = planar.between(other.robot(odometry), one.robot(odometry))
    return bool(error @ np.linalg.solve(other.expected(config) + one.expected(config), error) <= 1.0)


def _normalised(known: list[Hypothesis], elsewhere: float, begun: int) -> Hypotheses:
    whole = elsewhere + sum(one.weight for one in known)
    kept = [replace(one, weight=one.weight / whole) for one in known]
    kept = [one for one in kept if one.weight >= FAINT][:MOST]
    return Hypotheses(tuple(kept), 1.0 - sum(one.weight for one in kept), begun)


def _bounded(covariance: Float64) -> Float64:
    """Return a covariance (3, 3) whose heading is no less known than not at all."""
    if covariance[2, 2] <= planar.YAW_OF_A_CIRCLE:
        return covariance
    scale = np.ones(3)
    scale[2] = np.sqrt(planar.YAW_OF_A_CIRCLE / covariance[2, 2])
    return np.asarray(covariance * np.outer(scale, scale))
