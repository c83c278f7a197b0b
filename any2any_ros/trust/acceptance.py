"""From which evidence on an answer is accepted: the lowest threshold at which two promises are proven.

Learn-then-test by a fixed sequence: the thresholds are tried from the surest answers downwards, as long as the
Clopper-Pearson bounds at level `risk` hold the precision where the robot is mapped, and the share accepted where it is
unmapped. The sequence ends at the first test that fails, so the other tests need no correction.
"""

from __future__ import annotations

import numpy as np
from scipy.special import betaincinv  # scipy.stats.beta.ppf is the same, and takes half a second to import

from any2any_ros.arrays import Flags, Float64

# Share of the answers that the first threshold accepts. With fewer answers, one wrong one would end the sequence.
FIRST = 0.05


def threshold(
    mapped: Float64, right: Flags, unmapped: Float64, *, precision: float, accepted_unmapped: float, risk: float
) -> float:
    """Return the lowest evidence at which both promises are proven; +inf where there is none.

    mapped (N,): evidence of answers whose place is in the map, and which of them are right (N,). unmapped (M,):
    evidence of answers whose place is not.
    """
    unmapped = np.sort(unmapped)
    order = np.argsort(-mapped, kind="stable")
    surest, right = mapped[order], right[order]
    lowest = np.inf
    fewest = int(np.ceil(np.log(risk) / np.log(precision)))  # fewer answers prove nothing, even if all are right
    for n in range(max(fewest, int(FIRST * len(surest))), len(surest) + 1):
        if n < len(surest) and surest[n] == surest[n - 1]:
            continue
        wrongly_accepted = len(unmapped) - int(np.searchsorted(unmapped, surest[n - 1], side="left"))
        if (
            at_least(int(right[:n].sum()), n, risk) < precision
            or 1 - at_least(len(unmapped) - wrongly_accepted, len(unmapped), risk) > accepted_unmapped
        ):
            break
        lowest = surest[n - 1]
    return float(lowest)


def at_least(successes: int, trials: int, risk: float) -> float:
    """Return the Clopper-Pearson lower bound on a share; 1 without trials, because nothing speaks against it."""
    if trials == 0:
        return 1.0
    return float(betaincinv(successes, trials - successes + 1, risk)) if successes else 0.0
