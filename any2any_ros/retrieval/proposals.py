"""Where things stand in a depth picture, whatever they are: what rises above something level, and apart from others.

The camera's pose says which way is up. Level layers with many points (a table, a shelf, the floor) are supports; what
rises above one is seen from above on a grid, and everything that hangs together there is one thing. Nothing is known
about classes, so nothing has to be trained; two things that touch are one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from any2any_ros.config import Checked, setting
from any2any_ros.observation import Array

Float64 = NDArray[np.float64]
Flags = NDArray[np.bool_]
Box = tuple[int, int, int, int]  # left, top, right, bottom of a picture's pixels, right and bottom exclusive

LAYER = 0.02  # m, thickness in which a support's points are first looked for
FITS = 3  # rounds of fitting its plane
BESIDE = 0.05  # m: a thing has its support so near, and no wall
SHARED = 0.3  # of the smaller footprint: two things that overlap by as much are parts of one
WORKING = 320  # px, about the width at which things are looked for


@dataclass(frozen=True)
class ProposalConfig(Checked):
    """What counts as a thing."""

    clearance: float = setting(0.012, "above its support, at least", unit="m", minimum=0.001, maximum=1)
    smallest: float = setting(0.025, "its largest side", unit="m", minimum=0.001, maximum=10)
    largest: float = setting(0.45, "its largest side", unit="m", minimum=0.01, maximum=10)
    apart: float = setting(0.01, "gap between two things", unit="m", minimum=0.002, maximum=1)
    points: int = setting(25, "pixels of a picture some 320 wide that show it, at least", minimum=1)
    reach: float = setting(3.0, "distance that is looked at", unit="m", minimum=0.1, maximum=100)
    support: float = setting(0.08, "share of the points that a support has", minimum=0.001, maximum=1)
    margin: float = setting(0.18, "of support around it in its picture, of its size", minimum=0, maximum=2)


@dataclass(frozen=True, eq=False)
class Proposal:
    """A thing that may be one object: its picture's box, and low and high corner (3,) of it in the map, metres."""

    box: Box
    low: Float64
    high: Float64

    @property
    def centre(self) -> Float64:
        return np.asarray((self.low + self.high) / 2)


def points(depth: Array, intrinsics: Float64, pose: Float64) -> Float64:
    """Return the points (H, W, 3) of a depth picture (H, W) in metres, NaN where it has holes.

    intrinsics (3, 3); pose (4, 4): map from the camera's optical frame (x right, y down, z forward).
    """
    row, column = np.indices(depth.shape, dtype=np.float64)
    x = (column - intrinsics[0, 2]) / intrinsics[0, 0] * depth
    y = (row - intrinsics[1, 2]) / intrinsics[1, 1] * depth
    return np.asarray(np.stack([x, y, depth], axis=-1) @ pose[:3, :3].T + pose[:3, 3])


def propose(
    depth: Array, intrinsics: Float64, pose: Float64, config: ProposalConfig = ProposalConfig()
) -> list[Proposal]:
    """Return the things in a depth picture, nearest first; arguments as those of `points`."""
    step = max(1, depth.shape[1] // WORKING)
    where = points(depth, intrinsics, pose)[::step, ::step]
    with np.errstate(invalid="ignore"):
        seen = ((depth > 0) & (depth < config.reach))[::step, ::step]
    found = [p for plane in _supports(where[seen], config) for p in _whole(_standing(where, seen, plane, config))]
    whole = [replace(p, box=framed(scaled(p.box, step), depth.shape, config)) for p in found]
    return sorted(whole, key=lambda p: float(np.linalg.norm(p.centre - pose[:3, 3])))


def _supports(points: Float64, config: ProposalConfig) -> Iterator[Float64]:
    """Yield the planes (3,), height = a x + b y + c, of the level layers that have many of the points (N, 3)."""
    left = np.ones(len(points), dtype=bool)
    while left.sum() > config.support * len(points):
        height = points[left, 2]
        count, edges = np.histogram(height, np.arange(height.min(), height.max() + 2 * LAYER, LAYER / 2))
        together = count[:-1] + count[1:]
        best = int(together.argmax())
        if together[best] < config.support * len(points):
            return
        inside = left & (np.abs(points[:, 2] - edges[best + 1]) <= LAYER / 2)
        plane = _plane(points, inside)
        on_it = left & (np.abs(_above(points, plane)) < LAYER)
        yield plane
        left &= ~(on_it | inside)


def _plane(points: Float64, inside: Flags) -> Float64:
    plane = np.zeros(3)
    for _ in range(FITS):
        x = np.column_stack([points[inside, :2], np.ones(inside.sum())])
        plane = np.linalg.lstsq(x, points[inside, 2], rcond=None)[0]
        inside = np.abs(_above(points, plane)) <= LAYER / 2
        if inside.sum() < 3:
            break
    return np.asarray(plane)


def _above(points: Float64, plane: Float64) -> Float64:
    return np.asarray(points[..., 2] - points[..., :2] @ plane[:2] - plane[2])


def _standing(where: Float64, seen: Flags, plane: Float64, config: ProposalConfig) -> Iterator[Proposal]:
    """Yield what stands on one support."""
    from scipy import ndimage

    above = _above(where, plane)
    with np.errstate(invalid="ignore"):
        on_it = seen & (np.abs(above) <= LAYER / 2)
        risen = seen & (above > config.clearance) & (above < config.largest)
        higher = seen & (above >= config.largest)
    origin = where[seen][:, :2].min(axis=0)
    cells = np.zeros((*where.shape[:2], 2), dtype=np.intp)
    cells[seen] = (where[seen][:, :2] - origin) / config.apart
    shape = tuple(cells[seen].max(axis=0) + 1)
    ground, things, walls = (np.zeros(shape, dtype=bool) for _ in range(3))
    for grid, those in ((ground, on_it), (things, risen), (walls, higher)):
        grid[tuple(cells[those].T)] = True
    labels, count = ndimage.label(things, structure=np.ones((3, 3)))
    near = ndimage.binary_dilation(ground, iterations=max(1, round(BESIDE / config.apart)))
    walls = ndimage.binary_dilation(walls, iterations=max(1, round(BESIDE / config.apart)))  # a table's legs, too
    label = np.where(risen, labels[cells[..., 0], cells[..., 1]], 0)
    for i, window in enumerate(ndimage.find_objects(label, count), start=1):
        if window is not None and near[labels == i].any() and not walls[labels == i].any():
            mine = label[window] == i
            found = _thing(where[window][mine], mine, window, plane, config)
            if found is not None:
                yield found


def _whole(parts: Iterable[Proposal]) -> list[Proposal]:
    """Join what overlaps as seen from above: where the depth has holes, a thing falls into pieces."""
    joined: list[Proposal] = []
    for part in sorted(parts, key=lambda p: -float(np.prod(p.high[:2] - p.low[:2]))):
        for i, other in enumerate(joined):
            both = np.minimum(part.high, other.high)[:2] - np.maximum(part.low, other.low)[:2]
            if (both > 0).all() and both.prod() >= SHARED * (part.high - part.low)[:2].prod():
                joined[i] = _joined(part, other)
                break
        else:
            joined.append(part)
    return joined


def _joined(a: Proposal, b: Proposal) -> Proposal:
    box = (min(a.box[0], b.box[0]), min(a.box[1], b.box[1]), max(a.box[2], b.box[2]), max(a.box[3], b.box[3]))
    return Proposal(box, np.minimum(a.low, b.low), np.maximum(a.high, b.high))


def _thing(
    mine: Float64, mask: Flags, window: tuple[slice, slice], plane: Float64, config: ProposalConfig
) -> Proposal | None:
    """Return the thing of these points (N, 3), down to its support; None where it is none."""
    # A pixel on an edge may lie anywhere between what is before and behind it.
    low, high = np.percentile(mine, 2, axis=0), np.percentile(mine, 98, axis=0)
    low[2] = (low[:2] + high[:2]) / 2 @ plane[:2] + plane[2]
    size = float((high - low).max())
    if len(mine) < config.points or not config.smallest <= size <= config.largest:
        return None
    rows, columns = (np.flatnonzero(mask.any(axis=axis)) for axis in (1, 0))
    top, left = window[0].start + rows[0], window[1].start + columns[0]
    return Proposal((int(left), int(top), int(left + np.ptp(columns) + 1), int(top + np.ptp(rows) + 1)), low, high)


def scaled(box: Box, times: float) -> Box:
    """Return a box of a picture for the same picture so many times as large."""
    left, top, right, bottom = (round(side * times) for side in box)
    return left, top, right, bottom


def framed(box: Box, shape: tuple[int, ...], config: ProposalConfig = ProposalConfig()) -> Box:
    """Return a box with the margin around it, inside of a picture of this shape (H, W)."""
    left, top, right, bottom = box
    margin = round(config.margin * max(right - left, bottom - top))
    return max(0, left - margin), max(0, top - margin), min(shape[1], right + margin), min(shape[0], bottom + margin)
