"""Does the calibration still fit what the robot sees? An online test of exchangeability, apart for each sensor.

How alike a sensor finds the best reference of the map should be distributed as it was on the calibration drive. Means
over blocks of consecutive places (neighbours are alike, blocks hardly) are ranked among all blocks before them; under
exchangeability these ranks are independent and uniform, whatever the distribution. A martingale bets that they are
low: its capital exceeds 1 / risk with probability `risk` at most, ever (Ville). A share of the capital is put back
into the bet at every step, so that a drift is seen whenever it begins (Vovk, Gammerman and Shafer, "Algorithmic
Learning in a Random World", 2nd ed., chapter 8).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]

BLOCK = 10  # places; on simulated towns 1 and 2 similarities of frames so far apart hardly depend on each other
POWER = 0.3  # of the bet: POWER * p ** (POWER - 1), a density that is high where p is low
STAKE = 0.5  # share of the capital that is bet at the start
RESTAKE = 0.01  # share that is dealt out anew at every block
RISK = 0.05  # probability of a false alarm, ever, of all sensors together
FEWEST = 8  # calibration blocks of a sensor that is watched


@dataclass(frozen=True, eq=False)
class Familiarity:
    """What calibration knows: by modality, the mean similarity of the best reference over blocks of places."""

    blocks: dict[str, Float64]

    @classmethod
    def fit(cls, similarity: Mapping[str, Float64]) -> Familiarity:
        """Fit on (Q,) a modality, calibration queries in the order of the drive; NaN = missing."""
        found = {m: _means(values[~np.isnan(values)]) for m, values in similarity.items()}
        return cls({m: blocks for m, blocks in found.items() if len(blocks) >= FEWEST})


def _means(values: Float64) -> Float64:
    whole = len(values) // BLOCK * BLOCK
    return np.asarray(values[:whole].reshape(-1, BLOCK).mean(axis=1))


class DriftTest:
    """Watches the sensors of a calibrated map."""

    def __init__(self, familiarity: Familiarity, seed: int = 0) -> None:
        """seed: of the coin that breaks ties."""
        self._coin = np.random.default_rng(seed)
        self._watched = {m: _Watch(blocks.tolist()) for m, blocks in familiarity.blocks.items()}

    def update(self, similarity: Mapping[str, float]) -> None:
        """Take how alike each sensor that is alive finds the best reference, at a place not seen just before."""
        for modality, value in similarity.items():
            if modality in self._watched and not np.isnan(value):
                self._watched[modality].add(float(value), self._coin)

    @property
    def strength(self) -> dict[str, float]:
        """Return the evidence against each sensor: its martingale's capital, 1 where nothing speaks against it."""
        return {m: watch.capital for m, watch in self._watched.items()}

    @property
    def suspects(self) -> tuple[str, ...]:
        """Return the sensors that the calibration fits no longer; once among them, a sensor stays."""
        return tuple(sorted(m for m, watch in self._watched.items() if watch.highest >= len(self._watched) / RISK))


class _Watch:
    """The test of one sensor."""

    def __init__(self, bag: list[float]) -> None:
        self._bag = bag
        self._block: list[float] = []
        self._parts = np.array([1 - STAKE, STAKE])  # capital that is kept, and that is bet
        self.highest = 1.0

    @property
    def capital(self) -> float:
        return float(self._parts.sum())

    def add(self, value: float, coin: np.random.Generator) -> None:
        self._block.append(value)
        if len(self._block) == BLOCK:
            self._bet(float(np.mean(self._block)), coin)
            self._block = []

    def _bet(self, value: float, coin: Any) -> None:
        before = np.array(self._bag)
        # The rank of the newest among all, ties broken by a coin: uniform if they are exchangeable.
        p = ((before < value).sum() + (1 - coin.random()) * ((before == value).sum() + 1)) / (len(before) + 1)
        fresh = self.capital * np.array([1 - STAKE, STAKE])
        self._parts = ((1 - RESTAKE) * self._parts + RESTAKE * fresh) * [1.0, POWER * p ** (POWER - 1)]
        self._bag.append(value)
        self.highest = max(self.highest, self.capital)
