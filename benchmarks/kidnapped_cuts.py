"""A robot that was carried away, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, Protocol

import numpy as np

from any2any_ros.arrays import Float64
from any2any_ros.localization import planar
from any2any_ros.localization.answer import Answer
from any2any_ros.localization.guard import Guard, GuardConfig
from any2any_ros.localization.hypotheses import FollowConfig

BEFORE = 20.0  # m driven before a cut
DRIFT = (0.01, 0.01, 0.002)  # m, m and rad a metre, deviations of the odometry that is made up


class Step(NamedTuple):
    """An answer after a cut, the true pose (3,), and the way driven since the cut, m."""

    answer: Answer
    true: Float64
    way: float


@dataclass(frozen=True, eq=False)
class Cut:
    """The answers before a cut, and the steps after it, up to the longest way that is waited for."""

    before: Sequence[Answer]
    after: Iterable[Step]


class Drives(Protocol):
    """A drive that can be cut. near: m from the true place up to which a robot is localized there. follow: how its
    odometry errs."""

    @property
    def name(self) -> str: ...
    @property
    def near(self) -> float: ...
    @property
    def follow(self) -> FollowConfig: ...
    def cuts(self, count: int, seed: int) -> Iterator[Cut]: ...


class Outcome(NamedTuple):
    """ "right", "wrong" or "undecided"; the way driven until then, m; and the answers of it that were accepted."""

    kind: str
    way: float
    accepted: float


def carried(cut: Cut, near: float, config: GuardConfig, follow: FollowConfig) -> Outcome:
    """Play one cut."""
    guard, way, accepted = Guard(config, follow), 0.0, []
    for answer in cut.before:
        guard.take(answer)
    for answer, true, way in cut.after:
        accepted.append(answer.accepted)
        found = guard.take(answer)
        if found.relocalized and found.pose is not None:
            off = float(np.hypot(*(planar.of(found.pose) - true)[:2]))
            return Outcome("right" if off <= near else "wrong", way, float(np.mean(accepted)))
    return Outcome("undecided", way, float(np.mean(accepted)) if accepted else 0.0)


def way_of(true: Float64) -> Float64:
    """Return the way (N,) driven up to each pose (N, 3), m."""
    return np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(true[:, :2], axis=0).T))])


def drifting(true: Float64, draw: np.random.Generator) -> Float64:
    """Return odometry (N, 3) of a drive (N, 3): its motion, with errors that add up."""
    out = [np.zeros(3)]
    for before, now in pairwise(true):
        motion = planar.between(before, now)
        out.append(planar.after(out[-1], motion + draw.normal(size=3) * DRIFT * np.hypot(*motion[:2])))
    return np.array(out)
