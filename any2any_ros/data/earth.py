"""Positions on Earth as metres of a map: a plane that touches the Earth at the map's origin.

pymap3d computes it, in 200 kB of pure Python. Seen from the origin it is exact, without the scale and the zones of UTM:
x points east, y north and z up.
"""

from __future__ import annotations

import numpy as np
from pymap3d import geodetic2enu
from scipy.spatial.transform import Rotation

from any2any_ros.arrays import Float64
from any2any_ros.data.drive import STEP, spaced

Origin = tuple[float, float, float]  # latitude and longitude in degrees, height in metres (WGS 84)


def fault(latitude: float, longitude: float) -> str:
    """Return why a receiver's position cannot be used; "" when it can."""
    if not (abs(latitude) < 90 and abs(longitude) <= 360):  # False for NaN
        return f"latitude {latitude}, longitude {longitude} is no place on Earth"
    return "latitude and longitude are 0: the receiver knows no position" if latitude == longitude == 0 else ""


def metres(fixes: Float64, origin: Origin) -> Float64:
    """Return positions (N, 3) east, north and up of the origin, of fixes (N, 3): degrees, degrees, metres.

    A fix of unknown height (NaN) has the height of the origin.
    """
    latitude, longitude, height = fixes.T
    height = np.where(np.isfinite(height), height, origin[2])
    return np.stack(geodetic2enu(latitude, longitude, height, *origin), axis=1)


def poses(fixes: Float64, origin: Origin) -> Float64:
    """Return the poses (N, 4, 4) of fixes (N, 3) in order of time. A receiver does not know where it looks: x points
    where it drives, over at least a metre, and east before it has driven at all."""
    out = np.tile(np.eye(4), (len(fixes), 1, 1))
    if len(fixes):
        out[:, :3, 3] = metres(fixes, origin)
        out[:, :3, :3] = Rotation.from_euler("z", _headings(out[:, :2, 3])[:, None]).as_matrix()
    return out


def _headings(ground: Float64) -> Float64:
    """Return the direction (N,) in radians from the corner before each point (N, 2) to the corner after it."""
    corners = spaced(ground, STEP)
    if len(corners) < 2:
        return np.zeros(len(ground))
    steps = np.diff(ground[corners], axis=0)
    stretch = np.searchsorted(corners, np.arange(len(ground)), side="right") - 1
    return np.asarray(np.arctan2(steps[:, 1], steps[:, 0])[np.minimum(stretch, len(steps) - 1)])
