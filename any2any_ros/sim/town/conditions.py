"""Light, season and weather of a lap."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

RGB = tuple[float, float, float]


@dataclass(frozen=True)
class Condition:
    """The conditions of one lap. Angles in degrees (azimuth from east, counter-clockwise), colours in [0, 1]."""

    sun_azimuth: float
    sun_elevation: float
    sunlight: float
    ambient: float
    exposure: float
    balance: RGB
    zenith: RGB
    horizon: RGB
    fog: float  # m, distance at which 63 % of the light comes from the fog
    leaf: RGB
    leaf_density: float  # share of leaves that the trees still have
    wet: float  # 0 dry .. 1 rain: LiDAR returns are lost or false, roads are dark
    shut: float  # share of shops that are closed
    works: float  # construction fences per 100 m
    wind: float  # dB, compared with a still day
    air: float  # temperature in °C

    @property
    def to_sun(self) -> NDArray[np.float32]:
        """Direction (3,) to the sun, of length 1, in the world frame."""
        a, e = np.radians([self.sun_azimuth, self.sun_elevation])
        return np.array([np.cos(a) * np.cos(e), np.sin(a) * np.cos(e), np.sin(e)], dtype=np.float32)


PRESETS = {
    "summer": Condition(
        200, 48, 1.15, 0.62, 1.0, (1.02, 1.0, 0.96), (0.26, 0.46, 0.82), (0.72, 0.82, 0.92),
        900, (0.16, 0.32, 0.07), 0.95, 0.0, 0.05, 0.0, 0, 24,
    ),
    "autumn rain": Condition(
        320, 25, 0.12, 0.68, 0.85, (0.93, 0.98, 1.08), (0.50, 0.54, 0.58), (0.66, 0.69, 0.72),
        160, (0.42, 0.24, 0.05), 0.45, 1.0, 0.4, 1.2, 6, 9,
    ),
    "winter evening": Condition(
        15, 9, 0.75, 0.30, 1.15, (1.18, 0.98, 0.80), (0.20, 0.28, 0.48), (0.85, 0.58, 0.38),
        400, (0.20, 0.15, 0.08), 0.18, 0.1, 0.6, 0.8, 3, 1,
    ),
    "foggy morning": Condition(
        90, 18, 0.10, 0.80, 1.05, (0.98, 1.0, 1.03), (0.74, 0.76, 0.78), (0.78, 0.79, 0.80),
        45, (0.20, 0.28, 0.09), 0.85, 0.4, 0.7, 0.5, 0, 7,
    ),
}  # fmt: skip
CONDITIONS = tuple(PRESETS)


def shade(colour: RGB, factor: float) -> RGB:
    """Return the colour made darker (factor < 1) or lighter."""
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def condition(first: str, second: str, change: float) -> Condition:
    """Return a mixture of two presets: `first`, moved by the share `change` towards `second`."""
    a, b = PRESETS[first], PRESETS[second]
    blended: dict[str, Any] = {}
    for f in fields(Condition):
        x = np.asarray(getattr(a, f.name), dtype=float)
        mixed = x + change * (np.asarray(getattr(b, f.name)) - x)
        blended[f.name] = tuple(mixed.tolist()) if mixed.ndim else float(mixed)
    return Condition(**blended)
