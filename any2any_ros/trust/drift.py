"""Drift test: does the calibration still fit what the robot sees? A two-sample test of the newest places, by sensor.

What a sensor sees at a place differs a little from the reference that it finds most alike. On the calibration drive
this difference has a mean and a few directions along which it varies. When the sensor or the world changes, the mean
moves, whichever places the robot visits. So the mean over the last WINDOW places is compared with the mean of the
calibration drive, in units of the usual deviation along each direction: Hotelling's T^2 (Hotelling, "The generalization
of Student's ratio", 1931) on principal components.

Neighbouring places are alike, so no table of T^2 gives the limit. The limit is fitted: windows of the calibration drive
are compared with the rest of that drive, and their distances are taken as gamma distributed with their mean and
variance (Satterthwaite, "An approximate distribution of estimates of variance components", 1946).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from any2any_ros.arrays import Array, Float64, Floats
from any2any_ros.declared import INFINITE, POSITIVE

# Chosen on simulated towns 1 and 2; 60 to 90 places and 16 to 48 directions do about as well.
WINDOW = 80  # places
DIRECTIONS = 32  # principal directions with a deviation of their own; all other directions share one
STEP = 10  # places from one window to the next
WINDOWS = 64  # of the calibration drive, at most
FEWEST = 2 * WINDOW  # calibration places that a sensor needs to be watched
RISK = 0.0003  # of a false alarm in one window: some 5 % for 4 sensors and 1000 places, because windows overlap


@dataclass(frozen=True, eq=False)
class Difference:
    """How the view of one sensor differs from the map's on the calibration drive.

    mean (D,): of the differences query - reference. directions (K, D): principal directions, orthonormal. deviation
    (K + 1,): standard deviation along each direction, and along all others. places: how many differences were fitted.
    limit: a window is usual while its distance stays below.
    """

    kind: ClassVar[str] = "drift"
    plug: ClassVar[str] = "difference"

    mean: Array
    directions: Array
    deviation: Annotated[Float64, POSITIVE]
    places: Annotated[int, POSITIVE]
    limit: Annotated[float, POSITIVE, INFINITE] = np.inf

    def __post_init__(self) -> None:
        k = len(self.directions)
        if self.mean.ndim != 1 or self.directions.shape != (k, self.mean.size) or self.deviation.shape != (k + 1,):
            raise ValueError("its mean, directions and deviations do not fit together")

    @classmethod
    def fit(cls, differences: Floats) -> Difference | None:
        """Fit on query - reference (N, D) in the order of the drive, NaN = missing; None where there are too few."""
        differences = differences[~np.isnan(differences).any(axis=1)]
        if len(differences) < FEWEST:
            return None
        whole = cls._fit_directions(differences)
        limit = _fit_limit([cls._fit_directions(rest).distance(window) for window, rest in _windows(differences)])
        return cls(whole.mean, whole.directions, whole.deviation, whole.places, limit)

    @classmethod
    def _fit_directions(cls, differences: Floats) -> Difference:
        from sklearn.decomposition import PCA

        with np.errstate(invalid="ignore"):  # PCA divides by zero where all differences are the same
            pca = PCA(min(DIRECTIONS, differences.shape[1] - 1), random_state=0).fit(differences)
        along = pca.explained_variance_.astype(np.float64)
        remaining = max(float(differences.var(axis=0, ddof=1).sum() - along.sum()), 0.0)
        others = remaining / (differences.shape[1] - len(along))
        deviation = np.sqrt(np.append(along, others) + np.finfo(np.float32).eps)
        return cls(pca.mean_.astype(np.float32), pca.components_.astype(np.float32), deviation, len(differences))

    def distance(self, differences: Floats) -> float:
        """Return how far the mean of a window (W, D) is from the usual one; about 1 if places were independent."""
        off = np.asarray(differences.mean(axis=0) - self.mean, dtype=np.float64)
        along = self.directions @ off
        beside = max(float(off @ off - along @ along), 0.0) / self.deviation[-1] ** 2
        expected = (1 / len(differences) + 1 / self.places) * len(off)
        return float(((along / self.deviation[:-1]) ** 2).sum() + beside) / expected


def _windows(differences: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Yield (window, rest) of a drive (N, D). The last windows continue at its beginning."""
    for start in range(0, len(differences), max(STEP, len(differences) // WINDOWS)):
        turned = np.roll(differences, -start, axis=0)
        yield turned[:WINDOW], turned[WINDOW:]


def _fit_limit(distances: list[float]) -> float:
    """Return the distance that a window exceeds with probability RISK; at least 1, which independent places have."""
    from scipy.stats import gamma

    mean, variance = np.mean(distances), np.var(distances, ddof=1)
    return float(max(1.0, gamma.ppf(1 - RISK, mean**2 / variance, scale=variance / mean))) if variance > 0 else 1.0


class DriftTest:
    """Watches the sensors of a calibrated map.

    strength: by modality, the distance of its last full window divided by the limit; 0 before the first one.
    """

    def __init__(self, usual: Mapping[str, Difference]) -> None:
        """usual: by modality, how its view differed from the map's on the calibration drive."""
        self._usual = dict(usual)
        self._recent: dict[str, deque[Floats]] = {m: deque(maxlen=WINDOW) for m in usual}
        self._count = dict.fromkeys(usual, 0)
        self.strength = dict.fromkeys(usual, 0.0)

    def update(self, differences: Mapping[str, Floats]) -> None:
        """Take query - reference (D,) of each modality that is alive, NaN = missing.

        Call it once at each place: a robot that stands still must not count one place many times.
        """
        for modality, difference in differences.items():
            if modality in self._usual and not np.isnan(difference).any():
                usual, recent = self._usual[modality], self._recent[modality]
                recent.append(difference)
                self._count[modality] += 1
                if len(recent) == WINDOW and self._count[modality] % STEP == 0:
                    self.strength[modality] = usual.distance(np.stack(recent)) / usual.limit

    @property
    def suspects(self) -> tuple[str, ...]:
        """The modalities that do not see the map as they did on the calibration drive: their strength is above 1.

        Either the sensor has changed, or the world has, or the robot is unmapped.
        """
        return tuple(sorted(m for m, strength in self.strength.items() if strength > 1))
