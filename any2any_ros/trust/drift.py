"""Does the calibration still fit what the robot sees? A two-sample test of the newest places, apart for each sensor.

A sensor sees a place a little otherwise than the reference it finds most alike. On the calibration drive this
difference has a mean, and a few directions along which it varies. A sensor that changes, or a world that does, moves
the mean, whatever places the robot comes by. So the mean over the last WINDOW places is compared with the
calibration's, in units of what is usual along each direction (Hotelling's T^2; Hotelling, "The generalization of
Student's ratio", 1931, on principal components). What is far is learnt, too, because neighbouring places are alike
and no table of T^2 holds: from how far windows of the calibration drive are from the rest of it, distributed about
as a gamma variable of their mean and variance (Satterthwaite, "An approximate distribution of estimates of variance
components", 1946).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Floats

# Chosen on simulated towns 1 and 2; 60 to 90 places and 16 to 48 directions do about as well.
WINDOW = 80  # places
DIRECTIONS = 32  # that have a spread of their own; the others share one
STEP = 10  # places from one window to the next
WINDOWS = 64  # of the calibration drive, at most
FEWEST = 2 * WINDOW  # calibration places of a sensor that is watched
RISK = 0.0003  # of a false alarm, a window: some 5 % where 4 sensors are watched over 1000 places (windows overlap)


@dataclass(frozen=True, eq=False)
class Difference:
    """How one sensor's view differs from the map's, over so many `places`.

    mean (D,), directions (K, D), orthonormal, and the deviation (K + 1,) along each of them and along all others;
    limit: what the distance of a window stays below.
    """

    kind: ClassVar[str] = "drift"
    plug: ClassVar[str] = "difference"

    mean: NDArray[np.float32]
    directions: NDArray[np.float32]
    deviation: NDArray[np.float64]
    places: int
    limit: float = np.inf

    @classmethod
    def fit(cls, differences: Floats) -> Difference | None:
        """Fit on query - reference (N, D) of a calibration drive, in its order, NaN = missing; None from too few."""
        differences = differences[~np.isnan(differences).any(axis=1)]
        if len(differences) < FEWEST:
            return None
        usual = cls._of(differences)
        limit = _quantile([cls._of(rest).distance(window) for window, rest in _windows(differences)])
        return cls(usual.mean, usual.directions, usual.deviation, usual.places, limit)

    @classmethod
    def _of(cls, differences: Floats) -> Difference:
        from sklearn.decomposition import PCA

        with np.errstate(invalid="ignore"):  # of views that never differ it divides by zero
            found = PCA(min(DIRECTIONS, differences.shape[1] - 1), random_state=0).fit(differences)
        along = found.explained_variance_.astype(np.float64)
        left = max(float(differences.var(axis=0, ddof=1).sum() - along.sum()), 0.0)
        others = left / (differences.shape[1] - len(along))
        deviation = np.sqrt(np.append(along, others) + np.finfo(np.float32).eps)
        return cls(found.mean_.astype(np.float32), found.components_.astype(np.float32), deviation, len(differences))

    def distance(self, differences: Floats) -> float:
        """Return how far off the mean of a window (W, D) is: about 1 if places did not depend on their neighbours."""
        off = np.asarray(differences.mean(axis=0) - self.mean, dtype=np.float64)
        along = self.directions @ off
        beside = max(float(off @ off - along @ along), 0.0) / self.deviation[-1] ** 2
        expected = (1 / len(differences) + 1 / self.places) * len(off)
        return float(((along / self.deviation[:-1]) ** 2).sum() + beside) / expected


def _windows(differences: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Yield each window of a drive and all the rest; the last ones go on at its beginning."""
    for start in range(0, len(differences), max(STEP, len(differences) // WINDOWS)):
        turned = np.roll(differences, -start, axis=0)
        yield turned[:WINDOW], turned[WINDOW:]


def _quantile(distances: list[float]) -> float:
    """Return what a window's distance exceeds with probability RISK; at least 1, what independent places have."""
    from scipy.stats import gamma

    mean, variance = np.mean(distances), np.var(distances, ddof=1)
    return float(max(1.0, gamma.ppf(1 - RISK, mean**2 / variance, scale=variance / mean))) if variance > 0 else 1.0


class DriftTest:
    """Watches the sensors of a calibrated map."""

    def __init__(self, usual: Mapping[str, Difference]) -> None:
        self._usual = dict(usual)
        self._recent: dict[str, deque[Floats]] = {m: deque(maxlen=WINDOW) for m in usual}
        self._heard = dict.fromkeys(usual, 0)
        self.strength = dict.fromkeys(usual, 0.0)

    def update(self, differences: Mapping[str, Floats]) -> None:
        """Take query - reference (D,) of each sensor that is alive, at a place not seen just before; NaN = missing."""
        for modality, difference in differences.items():
            if modality in self._usual and not np.isnan(difference).any():
                usual, recent = self._usual[modality], self._recent[modality]
                recent.append(difference)
                self._heard[modality] += 1
                if len(recent) == WINDOW and self._heard[modality] % STEP == 0:
                    self.strength[modality] = usual.distance(np.stack(recent)) / usual.limit

    @property
    def suspects(self) -> tuple[str, ...]:
        """Return the sensors that do not see the map as they did: `strength`, the distance over its limit, is over 1.

        Either they or the world have changed, or the robot is where the map has nothing.
        """
        return tuple(sorted(m for m, strength in self.strength.items() if strength > 1))
