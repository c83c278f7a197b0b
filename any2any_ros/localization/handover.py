"""Says when another localizer, such as AMCL, is told where the robot is: once for each relocalization, and never while
it knows that itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Float64
from any2any_ros.config import Settings, setting
from any2any_ros.localization.guard import Localization, State
from any2any_ros.samples import NS


@dataclass(frozen=True)
class HandoverConfig(Settings):
    """When another localizer counts as healthy, and how often it is told at most."""

    healthy: float = setting(
        0.5, "standard deviation of its position up to which it becomes healthy", unit="m", minimum=0.01, maximum=100
    )
    ill: float = setting(
        1.0, "standard deviation of its position from which on it is no longer", unit="m", minimum=0.01, maximum=100
    )
    silent: float = setting(
        10.0, "time after its last pose from which on it is not healthy", unit="s", minimum=0.1, maximum=3600
    )
    rest: float = setting(10.0, "shortest time between two initial poses", unit="s", minimum=0, maximum=3600)


class Handover:
    """Remembers how another localizer is. Times are ns of one clock that never steps back."""

    def __init__(self, config: HandoverConfig = HandoverConfig()) -> None:
        self.config = config
        self._healthy, self._heard_ns = False, 0
        self._due = False  # whether the robot was relocalized, and nobody was told yet
        self._told_ns: int | None = None

    def hear(self, covariance: Float64, now_ns: int) -> None:
        """Take the covariance (6, 6) of a pose of the other localizer."""
        ground = covariance[:2, :2]
        deviation = float("inf")
        if np.isfinite(ground).all():
            deviation = float(np.sqrt(max(np.linalg.eigvalsh((ground + ground.T) / 2)[-1], 0.0)))
        self._healthy = deviation <= (self.config.ill if self._healthy else self.config.healthy)
        self._heard_ns = now_ns

    def healthy(self, now_ns: int) -> bool:
        """Return whether the other localizer knows where it is."""
        return self._healthy and now_ns - self._heard_ns <= self.config.silent * NS

    def tells(self, found: Localization, now_ns: int) -> bool:
        """Return whether the other localizer is told this pose now."""
        if found.state is not State.LOCALIZED:
            self._due = False
            return False
        self._due |= found.relocalized
        rested = self._told_ns is None or now_ns - self._told_ns >= self.config.rest * NS
        if not self._due or not rested or self.healthy(now_ns):
            return False
        self._due, self._told_ns = False, now_ns
        return True
