"""From which evidence on an answer is accepted: the lowest threshold at which two promises are proven.

Learn-then-test by a fixed sequence: the thresholds are tried from the surest answers downwards, as long as the
Clopper-Pearson bounds at level `risk` hold the precision where the robot is mapped, and the share accepted where it is
unmapped. The sequence ends at the first test that fails, so the other tests need no correction. It begins with as many
answers as can prove the precision if all of them are right.

Neighbouring frames are alike, so the bounds count the independent queries that they are worth (neighbours.py), as Korn
and Graubard, "Confidence intervals for proportions with small expected number of positive counts estimated from survey
data", Survey Methodology 1998.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betaincinv  # scipy.stats.beta.ppf is the same, and takes half a second to import

from any2any_ros.arrays import Flags, Float64, Floats, Rows
from any2any_ros.trust import neighbours

# Share of the answers that the first threshold accepts. With fewer answers, one wrong one would end the sequence.
FIRST = 0.05


@dataclass(frozen=True, eq=False)
class Answers:
    """N answers: their evidence, which of them are right, and the stretch of the drive that each is from, all (N,)."""

    evidence: Float64
    right: Flags
    stretch: Rows

    def take(self, rows: Rows) -> Answers:
        """Return the answers `rows`, in this order."""
        return Answers(self.evidence[rows], self.right[rows], self.stretch[rows])


def threshold(mapped: Answers, unmapped: Answers, *, precision: float, accepted_unmapped: float, risk: float) -> float:
    """Return the lowest evidence at which both promises are proven; +inf where there is none.

    mapped: answers whose place is in the map. unmapped: answers whose place is not, so that none is right.
    """
    order = np.argsort(-mapped.evidence, kind="stable")
    surest, right = mapped.evidence[order], mapped.right[order]
    count = np.arange(1, len(order) + 1)
    # One more answer never makes them worth less.
    worth = np.maximum.accumulate(count / neighbours.effects_of_first(~right, mapped.stretch[order]))
    proven = at_least(np.cumsum(right) / count * worth, worth, risk) >= precision
    proven &= _share_accepted(unmapped, surest, risk) <= accepted_unmapped
    possible = at_least(worth, worth, risk) >= precision
    last_of_equals = np.append(surest[1:] != surest[:-1], True)
    tried = np.flatnonzero(possible & last_of_equals & (count >= int(FIRST * len(order))))
    passed = int(np.argmin(np.append(proven[tried], False)))
    return float(surest[tried[passed - 1]]) if passed else float("inf")


def wanted(stretch: Rows, *, precision: float, accepted_unmapped: float, risk: float) -> int:
    """Return how many answers, in stretches like these (N,), prove both promises if none is wrong."""
    shares = [share for share in (precision, 1 - accepted_unmapped) if share > 0]
    return max(neighbours.wanted(stretch, float(np.log(risk) / np.log(share))) for share in shares)


def _share_accepted(unmapped: Answers, limits: Float64, risk: float) -> Float64:
    """Return the upper bounds (K,) on the share of answers that are accepted, if those from `limits` (K,) on are."""
    order, total = np.argsort(-unmapped.evidence, kind="stable"), len(unmapped.evidence)
    accepted = total - np.searchsorted(unmapped.evidence[order][::-1], limits, side="left")
    effect = neighbours.effects_by_limit(unmapped.stretch[order])[accepted] if total else 1.0
    return 1 - at_least((total - accepted) / effect, np.full(len(limits), total) / effect, risk)


def at_least(successes: Floats, trials: Floats, risk: float) -> Float64:
    """Return the Clopper-Pearson lower bounds on shares (K,); 1 without trials, because nothing speaks against it.

    successes, trials (K,) need not be whole numbers.
    """
    s, t = np.asarray(successes, dtype=np.float64), np.asarray(trials, dtype=np.float64)
    bound = betaincinv(np.where(s > 0, s, 1.0), np.maximum(t - s, 0.0) + 1, risk)
    return np.where(t == 0, 1.0, np.where(s > 0, bound, 0.0))
