"""One scan of a full turn, cast from a submap at the robot's place. What a surface hides is left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from any2any_ros.samples import Scan
from any2any_ros.submaps.planar import Points

BEHIND = 0.3  # m; a return without another one so near behind it is a passer-by, or noise
THICK = 0.5  # m; points so far behind the first return of their sector are seen, too


@dataclass(frozen=True, eq=False)
class View:
    """What a submap shows around one place: a scan of a full turn, and all points (M,) that are in sight."""

    scan: Scan
    points: Points


def view(points: Points, sectors: int, confirmed: bool = True) -> View:
    """Return the view from the origin of points (N,).

    Each sector has the nearest return that another one confirms: within `BEHIND` behind it, in the same sector.
    confirmed: False: the nearest return itself, for a submap of so few scans that none has a second one.
    """
    distance = np.abs(points)
    step = 2 * np.pi / sectors
    # 1e-4: a beam on the border of two sectors falls into the same one, however it was rounded.
    sector = np.floor((np.angle(points) + np.pi) / step + 1e-4).astype(np.intp) % sectors
    order = np.lexsort((distance, sector))
    near, of = distance[order], sector[order]
    if confirmed:
        second = (of[1:] == of[:-1]) & (near[1:] - near[:-1] <= BEHIND)
        near, of = near[:-1][second], of[:-1][second]
    filled, first = np.unique(of, return_index=True)
    ranges = np.full(sectors, np.inf)
    ranges[filled] = near[first]
    scan = Scan(ranges.astype(np.float32), -np.pi + step / 2, step, np.inf)
    return View(scan, points[distance <= ranges[sector] + THICK] if len(points) else points)
