"""Bayes filter: what consecutive rankings say together, also about whether the robot is in the map at all.

The states are the R reference places, and one more, "unmapped": the robot is where the map has nothing. A view is what
the sensors say in one query. With every `step` of driving,

    remembered ~ moved * ratio ** temper + jumped * ratio      ratio: of the view that the robot leaves behind
    moved      = (1 - kidnap) * motion(remembered)
    jumped     = kidnap * anywhere                             anywhere: at any place of the map evenly, or unmapped

Every query, also one between two steps, is answered by (moved + jumped) * ratio: the present view counts fully, and
once. `ratio` says how much likelier a view is at a place than at an even draw from the map. It is R times the posterior
of that query alone, mixed with 1 because the sensors may have lapsed. What is remembered has the exponent `temper`,
because consecutive frames make the same errors. A robot that was just kidnapped has no past, so its first view counts
fully. docs/sequence.md gives the reasons.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros.arrays import Float64, Rows
from any2any_ros.config import Settings, setting
from any2any_ros.trust._filter_evidence import QueryEvidence
from any2any_ros.trust._filter_inputs import valid_motion, valid_positions, valid_posterior, valid_probability
from any2any_ros.trust._filter_motion import CUT as CUT
from any2any_ros.trust._filter_motion import Ring, moved
from any2any_ros.trust.ground import Ground


@dataclass(frozen=True)
class FilterConfig(Settings):
    """How the past speaks in a ranking. Lengths are multiples of same_place, so that they fit roads and rooms."""

    kidnap: float = setting(0.05, "share of the belief that jumps anywhere at every step", minimum=1e-4, maximum=0.5)
    comeback: float = setting(
        0.15, "share of `unmapped` that jumps at every step of driving; at least kidnap", minimum=0, maximum=0.5
    )
    unmapped: float = setting(
        0.2, "probability that the robot is unmapped, before any evidence", minimum=1e-3, maximum=0.9
    )
    lapse: float = setting(0.05, "share of queries whose evidence says nothing", minimum=1e-3, maximum=0.9)
    temper: float = setting(
        0.4,
        "weight of remembered evidence; frames in a row make the same errors",
        minimum=0,
        maximum=1,
    )
    step: float = setting(
        0.2, "driving between two remembered queries, in same_place; at least the map's spacing", minimum=0
    )
    blur: float = setting(
        0.3, "distance of the robot from its reference, in same_place; at least half the map's spacing", minimum=0.01
    )
    drift: float = setting(0.1, "error of the odometry, per distance", minimum=0, maximum=1)
    reach: float = setting(1.0, "longest drive between two queries without odometry, in same_place", minimum=0)
    patience: int = setting(
        10, "queries without a step of driving after which a share `kidnap` jumps all the same", minimum=1
    )
    support: int = setting(256, "places whose moves are followed; the mass of others spreads over the map", minimum=1)


@dataclass(frozen=True, eq=False)
class Filtered:
    """The answer to one query.

    log_posterior (S,): of the rows that `update` was called with. best: the likeliest row of the whole map, -1 in an
    empty map.
    probability: that the robot is at the place of `best`. unmapped: probability that the robot is unmapped.
    """

    log_posterior: Float64
    best: int
    probability: float
    unmapped: float


class BayesFilter:
    """Follows the robot over consecutive queries. It knows no clock: call reset() when the clock jumps."""

    _moved: Float64  # (R + 1,), the belief before the present view, of a robot that has a past
    _jumped: Float64  # (R + 1,), the belief before the present view, of a robot that was just kidnapped
    _motion: Float64 | None  # (4, 4), since the view that is remembered next; None = unknown
    _waited: int  # queries since the last prediction
    _evidence: QueryEvidence | None  # of that view; it is remembered when the robot has left it

    def __init__(self, poses: ArrayLike, same_place: float, config: FilterConfig = FilterConfig()) -> None:
        """poses: (R, 4, 4) of the map, metres. same_place: metres within which two references are one place."""
        self.config, self.same_place = config, same_place
        self._ground = Ground(valid_positions(poses))
        self._measure_map()
        self.reset()

    def __len__(self) -> int:
        return len(self._ground)

    @property
    def belief(self) -> Float64:
        """The probability (R + 1,) of every place and, last, of being unmapped, by the last answer."""
        return self._posterior.copy()

    def reset(self) -> None:
        """Forget everything: the clock jumped, or the map was changed."""
        self._posterior = self._anywhere
        # A robot without a past has just come from anywhere.
        self._expect(np.zeros_like(self._anywhere), self._anywhere)
        self._evidence, self._motion = None, np.eye(4)

    def add(self, poses: ArrayLike) -> None:
        """Append places (N, 4, 4) to the map. They have no mass until the robot may have come there."""
        more = valid_positions(poses)
        self._ground.add(more)
        self._measure_map()
        self._moved, self._jumped, self._posterior = (
            np.concatenate([mass[:-1], np.zeros(len(more)), mass[-1:]])
            for mass in (self._moved, self._jumped, self._posterior)
        )

    def update(
        self,
        rows: ArrayLike,
        log_posterior: ArrayLike,
        motion: ArrayLike | None = None,
        probability: float = float("nan"),
    ) -> Filtered:
        """Take the evidence of one query, and return what it and its past say together.

        rows (S,), log_posterior (S,): of the query's best references, up to a constant; empty when no sensor is alive.
        motion (4, 4): the robot's pose now in its frame at the last update; None or NaN without odometry. probability:
        that the likeliest row is right, by a calibration that has seen unmapped queries (`Confidence.probability`);
        NaN: the posterior's own mass at the place of that row.

        Raises Any2AnyError on unusable input, and then nothing has changed.
        """
        rows, log_p = valid_posterior(rows, log_posterior, len(self))
        probability, motion = valid_probability(probability), valid_motion(motion)
        evidence = QueryEvidence.of(rows, log_p, probability, self._ground, self.same_place, self.config.lapse)
        self._move(motion)
        if self._evidence is None or self._driven() >= self._step:
            if self._evidence is not None:
                self._predict(self._remembered(self._evidence))
            self._evidence, self._motion = evidence, np.eye(4)
        elif self._waited >= self.config.patience:
            self._expect(*self._with_jumps(self._moved + self._jumped, 0.0))
        # Before the robot has driven a step, this view replaces the last one, which is remembered only when it is left.
        self._posterior = _normalised((self._moved + self._jumped) * evidence.weights(len(self), 1.0))
        return self._answer(self._posterior, evidence.rows)

    def _measure_map(self) -> None:
        """Set what depends on the map as it is now: lengths in metres, and the belief without any evidence."""
        spacing, c = self._ground.spacing, self.config
        self._step = max(c.step * self.same_place, spacing)
        self._blur = max(c.blur * self.same_place, spacing / 2)
        unmapped = c.unmapped if len(self) else 1.0
        self._anywhere = np.append(np.full(len(self), (1 - unmapped) / max(len(self), 1)), unmapped)

    def _expect(self, moved: Float64, jumped: Float64) -> None:
        """Set the belief before the present view: of a robot with a past, and of one that was just kidnapped."""
        self._moved, self._jumped, self._waited = moved, jumped, 0

    def _move(self, motion: Float64 | None) -> None:
        self._motion = None if motion is None or self._motion is None else self._motion @ motion
        self._waited += 1

    def _driven(self) -> float:
        """Return how far the robot is from the view that is remembered next, in metres; inf where unknown."""
        return float("inf") if self._motion is None else float(np.linalg.norm(self._motion[:2, 3]))

    def _remembered(self, evidence: QueryEvidence) -> Float64:
        """Return the belief (R + 1,) with the evidence of a view that is left; without a past it counts fully."""
        tempered, fully = (evidence.weights(len(self), temper) for temper in (self.config.temper, 1.0))
        return _normalised(self._moved * tempered + self._jumped * fully)

    def _predict(self, belief: Float64) -> None:
        """Expect what the motion since then makes of a belief."""
        after = moved(belief, self._ground, self._ring(), self.config.support)
        self._expect(*self._with_jumps(after, self.config.comeback))

    def _with_jumps(self, belief: Float64, comeback: float) -> tuple[Float64, Float64]:
        """Return a belief (R + 1,) divided into what stays and what jumps. Without driving, comeback is 0."""
        jumping = self.config.kidnap * belief
        jumping[-1] = max(self.config.kidnap, comeback) * belief[-1]
        return belief - jumping, jumping.sum() * self._anywhere

    def _ring(self) -> Ring:
        """Return how far the robot now is from the view that is remembered."""
        if self._motion is None:
            return Ring(0.0, self.config.reach * self.same_place, self._blur)
        driven = self._driven()
        return Ring(driven, driven, float(np.hypot(self._blur, self.config.drift * driven)))

    def _answer(self, posterior: Float64, rows: Rows) -> Filtered:
        with np.errstate(divide="ignore"):
            log_posterior = np.log(posterior[rows])
        if len(self) == 0:
            return Filtered(log_posterior, -1, 0.0, 1.0)
        best = int(posterior[:-1].argmax())
        near = np.array([best])
        if self._ground.known[best]:
            near = self._ground.within(self._ground.positions[[best]], self.same_place)[1]
        return Filtered(log_posterior, best, min(float(posterior[near].sum()), 1.0), float(posterior[-1]))


def _normalised(mass: Float64) -> Float64:
    return np.asarray(mass / mass.sum())
