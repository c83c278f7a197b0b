"""How much of a submap a scan looks through: a beam does not pass a wall.

A robot that was carried away lays its next scan on the submap of where it was, and a good part of its points finds some
wall there. But its beams pass through the other walls.
"""

from __future__ import annotations

import numpy as np

from any2any_ros.submaps.planar import Points

MOST = 2000  # points of the submap that are looked at
WIDE = np.radians(1.5)  # a beam this near to the direction of a point should have seen it
BEFORE, BEHIND = 0.6, 0.5  # m; a point nearer than its beam's end by more was looked through, one farther is hidden


def looked_through(submap: Points, scan: Points) -> float:
    """Return the share of the points of a submap (N,) that a scan (M,) should see, and looks through.

    Both in the frame of the scan's sensor. 0 when it should see none.
    """
    submap = submap[:: max(1, -(-len(submap) // MOST))]
    if len(scan) < 2 or not len(submap):
        return 0.0
    direction = np.angle(scan)
    order = np.argsort(direction)
    direction, ends = direction[order], np.abs(scan)[order]
    angle, distance = np.angle(submap), np.abs(submap)
    right = np.clip(np.searchsorted(direction, angle), 1, len(direction) - 1)
    aside = np.minimum(np.abs(direction[right - 1] - angle), np.abs(direction[right] - angle))
    end = np.minimum(ends[right - 1], ends[right])
    visible = (aside < WIDE) & (distance < end + BEHIND)
    return float((visible & (distance < end - BEFORE)).sum() / max(visible.sum(), 1))
