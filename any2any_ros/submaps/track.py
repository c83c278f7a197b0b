"""Whether a sample continues the drive of the samples before it, and how the sensor moved since the last one."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from any2any_ros.arrays import Float64
from any2any_ros.samples import NS

JUMP = 5.0  # m of odometry between two samples: it began anew
PAUSE = 2 * NS  # ns between two samples without odometry: the robot may be anywhere
BACK = NS  # ns; stamps that step back by more are those of another drive


class Move(NamedTuple):
    """What happened since the sample before.

    goes_on: whether the drive is the same. motion: pose (4, 4) of the sensor in its frame of before, by odometry; None:
    unknown. after: ns.
    """

    goes_on: bool
    motion: Float64 | None
    after: int


class Track:
    """Follows the stamps and the odometry of a sensor, and counts the samples that did not fit."""

    def __init__(self, patience: int) -> None:
        """patience: samples in a row that do not fit, after which a new drive begins."""
        self._patience = patience
        self._stamp_ns = 0
        self._odometry: Float64 | None = None
        self.lost = 0  # samples in a row that did not fit

    def advance(self, stamp_ns: int, odometry: Float64 | None) -> Move:
        """Take the next sample. odometry: pose (4, 4) of the sensor; None: unknown."""
        after, motion = stamp_ns - self._stamp_ns, None
        if odometry is not None and self._odometry is not None:
            motion = np.asarray(np.linalg.solve(self._odometry, odometry), dtype=np.float64)
        self._stamp_ns, self._odometry = stamp_ns, odometry
        if after < -BACK or self.lost >= self._patience or not self._is_near(motion, after):
            self.lost = 0
            return Move(False, None, after)
        return Move(True, motion, after)

    def judge(self, fits: bool) -> None:
        """Count whether the newest sample fits those before it."""
        self.lost = 0 if fits else self.lost + 1

    @staticmethod
    def _is_near(motion: Float64 | None, after: int) -> bool:
        return after <= PAUSE if motion is None else bool(np.linalg.norm(motion[:3, 3]) <= JUMP)
