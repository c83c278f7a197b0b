"""Where is the robot now? Answers are collected until two in a row are sure of one place, or the time is up.

The robot may stand or drive. With odometry, answers are held against the way driven, as by the guard. Without, it is
taken to stand.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Any

import numpy as np

from any2any_ros.arrays import Float64
from any2any_ros.localization import planar
from any2any_ros.localization.answer import Answer, Candidate
from any2any_ros.localization.guard import RIVAL, Guard, GuardConfig, Localization, State
from any2any_ros.localization.region import EVERYWHERE, Region
from any2any_ros.ranking import Ranking

EVERY_ANSWER = GuardConfig(stride=0.0)  # one that stands has no way to drive
ABSENT = 0.5  # median presence of the place below which it is taken for unmapped


class Code(IntEnum):
    """As in the action Localize."""

    LOCALIZED = 0
    AMBIGUOUS = 1
    UNMAPPED = 2
    NO_SENSOR = 3
    TIMED_OUT = 4


@dataclass(frozen=True, eq=False)
class Verdict:
    """The end of a search.

    why: one line. pose (4, 4): of the robot in the map's frame, and covariance (3, 3) of x, y (metres) and yaw
    (radians), in the robot's frame; None unless LOCALIZED. probability: that the first of `places` is right. places:
    ids, best first.
    """

    code: Code
    why: str
    stamp_ns: int = 0
    pose: Float64 | None = None
    covariance: Float64 | None = None
    probability: float = 0.0
    places: tuple[str, ...] = ()


class OneShot:
    """Collects answers. seen: modalities that they used."""

    def __init__(self, sensors: tuple[str, ...] = (), region: Region = EVERYWHERE) -> None:
        """sensors: that may be used, for the explanation; empty: all. region: where the robot is. The rankings hold no
        place outside."""
        self._sensors, self._region = sensors, region
        self._guard = Guard(EVERY_ANSWER)
        self._odometry: Float64 | None = None
        self._presences: list[float] = []
        self._last: tuple[Candidate, ...] = ()
        self._stamp_ns = 0
        self.seen: tuple[str, ...] = ()

    @property
    def best(self) -> tuple[str, float]:
        """Return the likeliest place of the last answer and its probability; ("", 0.0) when there is none."""
        return (self._last[0].id, self._last[0].probability) if self._last else ("", 0.0)

    def take(self, ranking: Ranking, odometry: Float64 | None) -> Verdict | None:
        """Take the next ranking; return the verdict LOCALIZED when it is sure, None before.

        odometry (4, 4): pose of the robot in the frame of its odometry; None: unknown.
        """
        if not ranking.modalities:
            return None
        self.seen = tuple(sorted({*self.seen, *ranking.modalities}))
        self._presences += [] if np.isnan(ranking.presence) else [ranking.presence]
        answer = self._facing(Answer.of(ranking, self._moved(odometry)))
        self._last, self._stamp_ns = answer.candidates, answer.stamp_ns
        found = self._guard.take(answer)
        return self._localized(found, answer) if found.state is State.LOCALIZED and answer.accepted else None

    def give_up(self) -> Verdict:
        """Return the verdict when the time is up."""
        rivals = [one for one in self._last if one.probability >= RIVAL]
        places = tuple(one.id for one in rivals)
        known: dict[str, Any] = {"stamp_ns": self._stamp_ns, "probability": self.best[1], "places": places}
        if not self.seen:
            wanted = f"of {', '.join(self._sensors)} " if self._sensors else ""
            return Verdict(Code.NO_SENSOR, f"no answer {wanted}came: check the encoders and their sensors")
        if self._presences and np.median(self._presences) < ABSENT:
            why = f"what {', '.join(self.seen)} measured is probably in no place of the map"
            return Verdict(Code.UNMAPPED, why if self._region.everywhere else f"{why} in the region", **known)
        if len(rivals) > 1:
            return Verdict(Code.AMBIGUOUS, f"it may be in {len(rivals)} places; drive on, or give a region", **known)
        return Verdict(Code.TIMED_OUT, "no two answers in a row were sure of one place", **known)

    def _moved(self, odometry: Float64 | None) -> Float64:
        """Return odometry, or where it was last. The first that comes says nothing of the way before it."""
        if odometry is None:
            return np.eye(4) if self._odometry is None else self._odometry
        if self._odometry is None:
            self._guard.reset()
        self._odometry = odometry
        return odometry

    def _facing(self, answer: Answer) -> Answer:
        """Return an answer without the candidates that face elsewhere than the robot does."""
        facing = tuple(one for one in answer.candidates if self._region.faces(one))
        first = bool(facing) and facing[0] is answer.candidates[0]
        return replace(answer, candidates=facing, accepted=answer.accepted and first)

    def _localized(self, found: Localization, answer: Answer) -> Verdict | None:
        """Return the verdict, by the answer's own probability of that place: answers that follow each other make the
        same errors. None when the answer names another one first."""
        assert found.pose is not None and found.covariance is not None
        best = answer.candidates[0]
        if best.id != found.places[0]:
            return None
        near = planar.between(planar.of(found.pose), planar.of(best.pose))
        why = f"two answers in a row accept {best.id}, {np.hypot(*near[:2]):.1f} m from where the robot is"
        return Verdict(Code.LOCALIZED, why, found.stamp_ns, found.pose, found.covariance, best.probability, (best.id,))
