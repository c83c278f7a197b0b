"""Sequence evidence: a Bayes filter over consecutive rankings, with a state for a robot that is lost.

States are the R reference places and one more, "lost": not in the map. Every `step` of driving,

    remembered ~ moved * ratio ** temper + jumped * ratio        with the ratio of the view that is left behind
    moved      = (1 - kidnap) * motion(remembered)
    jumped     = kidnap * anywhere                               anywhere: the map evenly, or lost

and every query, on the way too, is answered by (moved + jumped) * ratio: the present counts fully, once.
`ratio` is how much likelier the evidence is at a place than at an even draw from the map: R times the posterior of
that one query, mixed with 1 because the sensors may have lapsed. What is remembered is tempered: frames in a row err
alike. Who was kidnapped just now has no past, and its first evidence counts fully. docs/sequence.md gives the reasons.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros.arrays import Float64, Rows
from any2any_ros.config import Settings, setting
from any2any_ros.errors import Any2AnyError
from any2any_ros.trust.ground import Ground

PAIRS = 20_000  # moves looked at in one update; the places with least mass go without, and spread over the map
CUT = 3.0  # standard deviations; a move farther off is none


@dataclass(frozen=True)
class FilterConfig(Settings):
    """How the past speaks in a ranking. Lengths are shares of same_place, so that they fit roads and rooms."""

    kidnap: float = setting(0.05, "share of the belief that jumps anywhere at every step", minimum=1e-4, maximum=0.5)
    comeback: float = setting(
        0.15, "share of being lost that jumps at every step of driving; at least kidnap", minimum=0, maximum=0.5
    )
    unmapped: float = setting(
        0.2, "how likely the robot is out of the map, before any evidence", minimum=1e-3, maximum=0.9
    )
    lapse: float = setting(0.05, "share of queries whose evidence says nothing", minimum=1e-3, maximum=0.9)
    temper: float = setting(0.4, "weight of remembered evidence: frames in a row err alike", minimum=0, maximum=1)
    step: float = setting(
        0.2, "driving between two remembered queries, in same_place; never less than the map's spacing", minimum=0
    )
    blur: float = setting(
        0.3, "distance of the robot from its reference, in same_place; at least half the map's spacing", minimum=0.01
    )
    drift: float = setting(0.1, "error of the odometry, per distance", minimum=0, maximum=1)
    reach: float = setting(1.0, "farthest drive between two queries without odometry, in same_place", minimum=0)
    patience: int = setting(
        10, "queries without a step of driving after which a share `kidnap` jumps all the same", minimum=1
    )
    support: int = setting(256, "places whose moves are followed; the rest spread over the map", minimum=1)


@dataclass(frozen=True, eq=False)
class Filtered:
    """The answer: log_posterior (S,) of the rows asked about; the likeliest row of the whole map (-1: the map is
    empty), the probability that the robot is at its place, and that it is lost."""

    log_posterior: Float64
    best: int
    probability: float
    unmapped: float


@dataclass(frozen=True, eq=False)
class _Evidence:
    """Likelihood ratios against an even draw from the map: (S,) of `rows`, of all other places, of being lost."""

    rows: Rows
    listed: Float64
    others: float
    unmapped: float

    def weights(self, places: int, temper: float) -> Float64:
        """Return (places + 1,), lost last."""
        weights = np.full(places + 1, self.others**temper)
        weights[self.rows] = self.listed**temper
        weights[-1] = self.unmapped**temper
        return weights


class BayesFilter:
    """Follows the robot over consecutive queries. poses: (R, 4, 4) of the map, metres; same_place: metres.

    Knows no clock: whoever does calls reset() when it jumps.
    """

    _moved: Float64  # (R + 1,), of who has a past: the belief before the present evidence
    _jumped: Float64  # (R + 1,), of who was kidnapped just now
    _motion: Float64 | None  # since the view to be remembered next; None: unknown
    _waited: int  # queries since anything was expected anew
    _evidence: _Evidence | None  # of that view, to be remembered when the robot has left it

    def __init__(self, poses: ArrayLike, same_place: float, config: FilterConfig = FilterConfig()) -> None:
        self.config, self.same_place = config, same_place
        self._ground = Ground(_grounds(poses))
        self._lay_out()
        self.reset()

    def __len__(self) -> int:
        return len(self._ground)

    @property
    def belief(self) -> Float64:
        """Return the probability of every place and, last, of being lost (R + 1,), by the last answer."""
        return self._posterior.copy()

    def reset(self) -> None:
        """Forget everything: the clock jumped, or the map was changed."""
        self._posterior = self._anywhere
        # Whoever has no past came from anywhere just now.
        self._expect(np.zeros_like(self._anywhere), self._anywhere)
        self._evidence, self._motion = None, np.eye(4)

    def add(self, poses: ArrayLike) -> None:
        """Append places (N, 4, 4) to the map; they have no mass until the robot may have come there."""
        more = _grounds(poses)
        self._ground.add(more)
        self._lay_out()
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
        """Take one query's evidence and return what it and its past say together.

        rows (S,), log_posterior (S,): its best references, any constant off; none when no sensor is alive. motion
        (4, 4): the robot's pose now in its frame at the last update; None or NaN without odometry. probability: that
        the likeliest row is right, by a calibration that knows queries from outside of the map; NaN: the posterior's
        own mass. Raises Any2AnyError on unusable input, and then nothing has changed.
        """
        evidence = self._read(*_checked_evidence(rows, log_posterior, len(self)), _checked_share(probability))
        self._move(_checked_motion(motion))
        if self._evidence is None or self._driven() >= self._step:
            if self._evidence is not None:
                self._expect(*self._predicted(self._remembered(self._evidence)))
            self._evidence, self._motion = evidence, np.eye(4)
        elif self._waited >= self.config.patience:
            self._expect(*self._faded(self._moved + self._jumped, 0.0))
        # Short of a step, this view stands for the last one, which is not remembered before the robot has left it.
        self._posterior = _normalised((self._moved + self._jumped) * evidence.weights(len(self), 1.0))
        return self._answer(self._posterior, evidence.rows)

    def _lay_out(self) -> None:
        """Take the measures of the map as it is now."""
        spacing, c = self._ground.spacing, self.config
        self._step = max(c.step * self.same_place, spacing)
        self._blur = max(c.blur * self.same_place, spacing / 2)
        unmapped = c.unmapped if len(self) else 1.0
        self._anywhere = np.append(np.full(len(self), (1 - unmapped) / max(len(self), 1)), unmapped)

    def _expect(self, moved: Float64, jumped: Float64) -> None:
        """Take the belief before the present evidence: of who has a past, and of who was kidnapped just now."""
        self._moved, self._jumped, self._waited = moved, jumped, 0

    def _move(self, motion: Float64 | None) -> None:
        self._motion = None if motion is None or self._motion is None else self._motion @ motion
        self._waited += 1

    def _driven(self) -> float:
        """Return how far the robot is from the view to be remembered next, in metres; inf when unknown."""
        return float("inf") if self._motion is None else float(np.linalg.norm(self._motion[:2, 3]))

    def _read(self, rows: Rows, log_posterior: Float64, probability: float) -> _Evidence:
        if len(rows) == 0:
            return _Evidence(rows, log_posterior, 1.0, 1.0)
        p = np.exp(log_posterior - log_posterior.max())
        # Who is not listed may be as good as the last who is: flat evidence over a large map stays flat.
        other = p.min() if len(rows) < len(self) else 0.0
        total = p.sum() + (len(self) - len(rows)) * other
        p, other = p / total, float(other / total)
        best = int(p.argmax())
        apart = self._apart(rows, rows[best])
        mass = float(p[(apart < self.same_place) | (np.arange(len(rows)) == best)].sum())
        right = mass if np.isnan(probability) else min(probability, mass)
        # So much of the evidence speaks that the mass at its best place is what was found to be right.
        informed = (1 - self.config.lapse) * right / mass
        lapsed = 1 - informed
        # Of queries in the map, a share like this is no surer than the present one; out of it, all are.
        usual = self.config.lapse + (1 - self.config.lapse) * min(right, 1.0)
        return _Evidence(rows, informed * len(self) * p + lapsed, informed * len(self) * other + lapsed, 1 / usual)

    def _remembered(self, seen: _Evidence) -> Float64:
        """Return the belief (R + 1,) with evidence of the past; who has no past before it counts it fully."""
        tempered, fully = (seen.weights(len(self), temper) for temper in (self.config.temper, 1.0))
        return _normalised(self._moved * tempered + self._jumped * fully)

    def _faded(self, belief: Float64, comeback: float) -> tuple[Float64, Float64]:
        """Return who stays and who jumps (R + 1,); nobody comes back into the map without driving."""
        jumping = self.config.kidnap * belief
        jumping[-1] = max(self.config.kidnap, comeback) * belief[-1]
        return belief - jumping, jumping.sum() * self._anywhere

    def _predicted(self, belief: Float64) -> tuple[Float64, Float64]:
        """Return what the motion makes of a belief: of who moved and who jumped, (R + 1,) each."""
        places, unmapped = belief[:-1], belief[-1]
        near, far, blur = self._ring()
        followed = self._followed(places, far + CUT * blur)
        origin, target, weight = self._moves(followed, near, far, blur)
        # As if one more place stood at the edge of what is possible: where there is no other, the robot left the map.
        reached = np.bincount(origin, weight, minlength=len(followed)) + np.exp(-(CUT**2) / 2)
        share = weight * (places[followed] / reached)[origin]
        moved = np.zeros(len(places)) + np.bincount(target, share, minlength=len(places))
        mass = places[followed].sum()
        moved += (places.sum() - mass) / max(len(places), 1)
        return self._faded(np.append(moved, unmapped + mass - share.sum()), self.config.comeback)

    def _followed(self, places: Float64, radius: float) -> Rows:
        """Return the places worth following, most mass first; an even rest stays even wherever it moves."""
        known = self._ground.known
        rows = np.flatnonzero(known & (places > 2 * places.min(where=known, initial=1.0)))
        if len(rows) > self.config.support:
            rows = rows[np.argpartition(-places[rows], self.config.support)[: self.config.support]]
        rows = rows[np.argsort(-places[rows], kind="stable")]
        moves = self._ground.counts(self._ground.positions[rows], radius)
        return np.asarray(rows[np.cumsum(moves) <= PAIRS])

    def _moves(self, followed: Rows, near: float, far: float, blur: float) -> tuple[Rows, Rows, Float64]:
        """Return the moves that are possible: index into followed, row of the map, how well it fits (P,)."""
        origin, target = self._ground.within(self._ground.positions[followed], far + CUT * blur)
        apart = self._apart(target, followed[origin])
        off = np.maximum(np.maximum(near - apart, apart - far), 0.0) / blur
        possible = np.flatnonzero(off <= CUT)
        return origin[possible], target[possible], np.exp(-(off[possible] ** 2) / 2)

    def _apart(self, rows: Rows, others: Rows | np.intp) -> Float64:
        """Return the distance of each place from another, or from one, in metres; NaN where unknown."""
        return np.asarray(np.linalg.norm(self._ground.positions[rows] - self._ground.positions[others], axis=1))

    def _ring(self) -> tuple[float, float, float]:
        """Return between which distances the robot now is from where it was, and their standard deviation."""
        if self._motion is None:
            return 0.0, self.config.reach * self.same_place, self._blur
        driven = self._driven()
        return driven, driven, float(np.hypot(self._blur, self.config.drift * driven))

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


def _grounds(poses: ArrayLike) -> Float64:
    """Return the positions on the ground (R, 2)."""
    found = np.asarray(poses, dtype=np.float64)
    if found.ndim != 3 or found.shape[1:] != (4, 4):
        raise Any2AnyError("The map's poses cannot be used", f"their shape is {found.shape}", "Give (R, 4, 4)")
    return found[:, :2, 3].copy()


def _checked_motion(motion: ArrayLike | None) -> Float64 | None:
    """Return the motion (4, 4), or None where it is unknown."""
    if motion is None:
        return None
    found = np.asarray(motion, dtype=np.float64)
    if found.shape != (4, 4) or np.isinf(found).any():
        raise Any2AnyError(
            "The motion cannot be used",
            f"its shape is {found.shape}" if found.shape != (4, 4) else "it is infinite",
            "Give the relative pose (4, 4) since the last update, or None without odometry",
        )
    return None if np.isnan(found).any() else found


def _checked_share(probability: float) -> float:
    if probability < 0 or probability > 1:
        raise Any2AnyError("The probability cannot be used", f"it is {probability}", "Give 0 to 1, or NaN")
    return float(probability)


def _checked_evidence(rows: ArrayLike, log_posterior: ArrayLike, places: int) -> tuple[Rows, Float64]:
    what, remedy = "The evidence cannot be used", "Give rows of this map, each once, and a finite log posterior"
    found, log_p = np.asarray(rows), np.asarray(log_posterior, dtype=np.float64)
    if found.size == 0 and log_p.size == 0:
        return np.empty(0, dtype=np.intp), np.empty(0)
    if found.ndim != 1 or found.shape != log_p.shape or not np.issubdtype(found.dtype, np.integer):
        raise Any2AnyError(what, f"{found.dtype} rows {found.shape} and log posterior {log_p.shape}", remedy)
    if found.min() < 0 or found.max() >= places or len(np.unique(found)) != len(found):
        raise Any2AnyError(what, f"a row stands twice or is outside of the {places} places", remedy)
    if np.isnan(log_p).any() or not np.isfinite(log_p.max()):
        raise Any2AnyError(what, "its log posterior is NaN, infinite, or nowhere above minus infinity", remedy)
    return found.astype(np.intp), log_p
