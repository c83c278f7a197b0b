"""Guards a robot against single wrong answers: it is localized when several answers agree along its way.

    unknown     no answer that counts yet, or none that several others confirm
    ambiguous   two places or more explain the answers about as well
    localized   one place explains them, and `agreeing` accepted answers in a row agree with it
    lost        it was localized, and then answers contradicted, or none agreed for too long a way

Answers of a robot that stands still make the same errors. So one counts only `stride` metres after the last that did.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from any2any_ros.arrays import Float64
from any2any_ros.config import Settings, setting
from any2any_ros.localization import planar
from any2any_ros.localization.answer import Answer
from any2any_ros.localization.hypotheses import FollowConfig, Hypotheses, Hypothesis

RIVAL = 0.1  # probability from which a second hypothesis makes an answer ambiguous
ROUNDING = 1e-6  # of a stride
NOWHERE = -1  # number of no hypothesis
LEAP = 50.0  # m between two poses of the odometry: it began anew


class State(IntEnum):
    """As in the message Localization."""

    UNKNOWN = 0
    AMBIGUOUS = 1
    LOCALIZED = 2
    LOST = 3


@dataclass(frozen=True)
class GuardConfig(Settings):
    """When a robot counts as localized."""

    agreeing: int = setting(2, "accepted answers in a row that must agree", minimum=1, maximum=100)
    stride: float = setting(1.0, "driving between two answers that count", unit="m", minimum=0, maximum=100)
    sure: float = setting(0.99, "probability of one place from which on the robot is localized", minimum=0.5, maximum=1)
    unsure: float = setting(0.5, "probability of it below which the robot is lost", minimum=0, maximum=0.95)
    widest: float = setting(
        5.0, "standard deviation of the position beyond which the robot is lost", unit="m", minimum=0.1, maximum=1000
    )


@dataclass(frozen=True, eq=False)
class Localization:
    """Where the robot is, and how that is known.

    pose (4, 4): of the robot in the map's frame, upright; covariance (3, 3): of x, y (metres) and yaw (radians), in the
    robot's frame; from_odometry (4, 4): pose of the odometry's frame in the map's; all None in states other than
    LOCALIZED. probability: of the likeliest place. relocalized: whether this answer has made it LOCALIZED, or has moved
    it to another place. why: one line. places: ids of the likeliest places, best first: several when AMBIGUOUS.
    """

    state: State
    why: str
    stamp_ns: int = 0
    pose: Float64 | None = None
    covariance: Float64 | None = None
    from_odometry: Float64 | None = None
    probability: float = 0.0
    relocalized: bool = False
    places: tuple[str, ...] = ()


class Guard:
    """Follows where the robot may be over its answers. It knows no clock: call `reset` when the clock jumps."""

    def __init__(self, config: GuardConfig = GuardConfig(), follow: FollowConfig = FollowConfig()) -> None:
        self.config, self._follow = config, follow
        self.reset()

    def reset(self) -> None:
        """Forget everything."""
        self._known = Hypotheses()
        self._state, self._number = State.UNKNOWN, NOWHERE  # of the hypothesis by which the robot is localized
        self._odometry: Float64 | None = None  # (3,) at the last answer
        self._driven = float("inf")  # m since the last answer that counted

    def take(self, answer: Answer) -> Localization:
        """Take the next answer, and return where the robot is. One without odometry is UNKNOWN, and changes nothing."""
        if answer.odometry is None:
            why = "odometry is unknown: answers cannot be held against the way driven"
            return Localization(State.UNKNOWN, why, answer.stamp_ns)
        odometry = planar.of(answer.odometry)
        self._drive(odometry)
        counted = bool(answer.candidates) and self._driven >= self.config.stride * (1 - ROUNDING)
        if counted:
            self._known, self._driven = self._known.told(answer, self._follow), 0.0
        before, (self._state, why) = self._number, self._judged()
        self._number = self._known.followed[0].number if self._state is State.LOCALIZED else NOWHERE
        return self._localization(answer, odometry, why, self._number not in (before, NOWHERE))

    def _drive(self, odometry: Float64) -> None:
        """Move all hypotheses along the way since the last answer."""
        motion = np.zeros(3) if self._odometry is None else planar.between(self._odometry, odometry)
        driven = float(np.hypot(*motion[:2]))
        if driven > LEAP:
            self.reset()
        self._odometry = odometry
        self._driven += driven
        self._known = self._known.moved(motion)

    def _judged(self) -> tuple[State, str]:
        """Return the state by what is known now, and why."""
        was = self._state in (State.LOCALIZED, State.LOST)
        if not self._known.followed:
            return (State.LOST if was else State.UNKNOWN), "no answer names a place"
        best, *others = self._known.followed
        wide = float(np.sqrt(np.linalg.eigvalsh(best.expected(self._follow)[:2, :2])[-1]))
        stays = best.number == self._number and best.weight >= self.config.unsure
        if self._state is State.LOCALIZED and stays and wide <= self.config.widest:
            return State.LOCALIZED, f"the last {best.agreeing} answers in a row agree"
        agreed = best.agreeing >= self.config.agreeing
        if best.weight >= self.config.sure and agreed and wide <= self.config.widest:
            return State.LOCALIZED, f"{best.agreeing} answers in a row agree along the way"
        if self._state is State.LOCALIZED:
            far = f"no answer has agreed for so long that the position is known to {wide:.1f} m only"
            return State.LOST, far if stays else "answers contradict where it was"
        waiting = State.LOST if self._state is State.LOST else State.UNKNOWN
        if others and others[0].weight >= RIVAL:
            return (waiting if was else State.AMBIGUOUS), f"the answers fit {1 + len(others)} places"
        return waiting, f"{best.agreeing} of {self.config.agreeing} answers in a row agree"

    def _localization(self, answer: Answer, odometry: Float64, why: str, again: bool) -> Localization:
        known = self._known.followed
        places = tuple(h.id for h in known if h.weight >= RIVAL)
        if self._state is not State.LOCALIZED:
            return Localization(
                self._state, why, answer.stamp_ns, places=places, probability=known[0].weight if known else 0.0
            )
        best = known[0]
        return Localization(
            self._state,
            why,
            answer.stamp_ns,
            planar.matrix(best.robot(odometry), best.height),
            best.expected(self._follow),
            self._map_from_odometry(best, answer),
            best.weight,
            again,
            places,
        )

    @staticmethod
    def _map_from_odometry(best: Hypothesis, answer: Answer) -> Float64:
        assert answer.odometry is not None
        return planar.matrix(best.from_odometry, best.height - float(answer.odometry[2, 3]))
