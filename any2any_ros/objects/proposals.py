"""Where things stand in a depth picture, whatever they are: what rises above something level, and apart from others.

The camera's pose says which way is up. Level layers with many points (a table, the floor) are supports; what rises
above one is seen from above on a grid, and everything that hangs together there, or from pixel to pixel in the picture,
is one thing. Nothing is known about classes, so nothing has to be trained. Two things that touch are one, and what
stands under a board or beside a wall is not told from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from any2any_ros.arrays import Array, Flags, Float64, Rows
from any2any_ros.config import Settings, setting

Box = tuple[int, int, int, int]  # left, top, right, bottom of a picture's pixels, right and bottom exclusive

LAYER = 0.02  # m, thickness in which a support's points are first looked for
FITS = 3  # rounds of fitting its plane
BESIDE = 0.05  # m: a thing has its support so near, and no wall
BROAD = 0.02  # m, standard deviation of a support's points along its shorter side: a slice of a wall is none
SHARED = 0.5  # of the smaller one's pixels: two things that have as many in common are one
SURE = (2, 98)  # percentiles: a pixel on an edge may lie anywhere between what is before and behind it
GRAINS = 1.5  # neighbouring pixels so far apart show one thing: of the distance that they have on a level surface
WORKING = 320  # px, about the width at which things are looked for


@dataclass(frozen=True)
class ProposalConfig(Settings):
    """What counts as a thing."""

    clearance: float = setting(0.012, "above its support, at least", unit="m", minimum=0.001, maximum=1)
    smallest: float = setting(0.025, "its largest side", unit="m", minimum=0.001, maximum=10)
    largest: float = setting(0.45, "its largest side", unit="m", minimum=0.01, maximum=10)
    apart: float = setting(0.01, "gap between two things", unit="m", minimum=0.005, maximum=1)
    points: int = setting(25, "pixels of a picture some 320 wide that show it, at least", minimum=1)
    reach: float = setting(3.0, "distance that is looked at", unit="m", minimum=0.1, maximum=10)
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
    cloud = _cloud(depth[::step, ::step], intrinsics / [[step], [step], [1]], pose, config)
    supports = _supports(cloud.where, config)
    found = _whole(thing for plane in supports for thing in _standing(cloud, plane, config))
    boxed = [replace(p, box=framed(scaled(p.box, step), depth.shape, config)) for p in found]
    return sorted(boxed, key=lambda p: float(np.linalg.norm(p.centre - pose[:3, 3])))


@dataclass(frozen=True, eq=False)
class Cloud:
    """N measured pixels: where (N, 3) in the map, ground (N, 2) the same as seen from above by axes of the camera's,
    both in metres; pixel (N, 2) row and column; close (2, P): which of them are next to each other in a row or column,
    and so near that they show one thing."""

    where: Float64
    ground: Float64
    pixel: Rows
    close: Rows


def _cloud(depth: Array, intrinsics: Float64, pose: Float64, config: ProposalConfig) -> Cloud:
    with np.errstate(invalid="ignore"):
        seen = (depth > 0) & (depth < config.reach)
    where = points(np.where(seen, depth, np.nan), intrinsics, pose)[seen]
    pixel, number = np.argwhere(seen), np.full(depth.shape, -1)
    number[seen] = np.arange(len(where))
    # The next in its row, and in its column, across what holes there are.
    lines = [number[seen], number.T[seen.T]]
    pairs = np.hstack(
        [np.stack([line[:-1], line[1:]])[:, np.diff(pixel[line, i]) == 0] for i, line in enumerate(lines)]
    )
    away = where - pose[:3, 3]
    grain = _squared(away) / (intrinsics[0, 0] * np.maximum(-away[:, 2], 1e-3))  # of pixels on something level
    near = np.clip(GRAINS * grain, 2 * config.apart, 4 * config.apart)[pairs[0]]
    close = pairs[:, _squared(where[pairs[0]] - where[pairs[1]]) < near**2]
    return Cloud(where, where[:, :2] @ _heading(pose), pixel, close)


def _squared(x: Float64) -> Float64:
    return np.asarray(np.einsum("nk,nk->n", x, x))


def _heading(pose: Float64) -> Float64:
    """Return level axes (2, 2) as columns, the first along the camera's most level one: what is found must not depend
    on how the map happens to lie."""
    axes = pose[:2, :3]
    length = np.linalg.norm(axes, axis=0)
    x, y = axes[:, length.argmax()] / length.max()
    return np.array([[x, -y], [y, x]])


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
        inside = left & (points[:, 2] >= edges[best]) & (points[:, 2] < edges[best + 2])  # as the histogram counts
        plane = _plane(points, inside)
        spread = np.cov(points[inside, :2], rowvar=False) if together[best] > 2 else np.zeros((2, 2))
        if np.linalg.eigvalsh(spread)[0] > BROAD**2:
            yield plane
        left &= ~(inside | (np.abs(_above(points, plane)) < LAYER))


def _plane(points: Float64, inside: Flags) -> Float64:
    """Return the plane (3,) of the points (N, 3) inside (N,) by least squares, and of those that then lie on it."""
    plane = np.zeros(3)
    for _ in range(FITS):
        middle = points[inside].mean(axis=0)
        level, height = np.split(points[inside] - middle, [2], axis=1)
        # Points in a row do not tell how it slopes across: the least slope is taken.
        slope = np.linalg.lstsq(level.T @ level, level.T @ height, rcond=1e-6)[0][:, 0]
        plane = np.append(slope, middle[2] - middle[:2] @ slope)
        inside = np.abs(_above(points, plane)) <= LAYER / 2
        if inside.sum() < 3:
            break
    return plane


def _above(points: Float64, plane: Float64) -> Float64:
    return np.asarray(points[..., 2] - points[..., :2] @ plane[:2] - plane[2])


def _standing(cloud: Cloud, plane: Float64, config: ProposalConfig) -> Iterator[tuple[Rows, Proposal]]:
    """Yield what stands on one support, each with the rows of its points."""
    from scipy import ndimage

    above = _above(cloud.where, plane)
    cells = tuple(((x - x.min()) / config.apart).astype(np.intp) for x in cloud.ground.T)
    shape = tuple(x.max() + 1 for x in cells)
    reach = max(1, round(BESIDE / config.apart))

    def grid(those: Flags) -> Flags:
        cover = np.zeros(shape, dtype=bool)
        cover[tuple(x[those] for x in cells)] = True
        return cover

    risen = (above > config.clearance) & (above < config.largest)
    pieces, count = ndimage.label(grid(risen), structure=np.ones((3, 3)))
    close = cloud.close[:, risen[cloud.close[0]] & risen[cloud.close[1]]]
    labels = _linked(count, pieces[cells][close])[pieces]
    supported = labels[ndimage.binary_dilation(grid(np.abs(above) <= LAYER / 2), iterations=reach)]
    walled = labels[ndimage.binary_dilation(grid(above >= config.largest), iterations=reach)]  # a table's legs, too
    label = np.where(risen, labels[cells], 0)
    order = np.argsort(label, kind="stable")
    for i in np.setdiff1d(supported, [0, *np.unique(walled)]):
        first, end = np.searchsorted(label, [i, i + 1], sorter=order)
        rows = order[first:end]
        found = _thing(cloud, rows, plane, config)
        if found is not None:
            yield rows, found


def _linked(count: int, pairs: Rows) -> Rows:
    """Return new labels (count + 1,) of the pieces 1 to count, the same for two that a pair (2, P) links; 0 stays 0."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(pairs.shape[1], dtype=bool), tuple(pairs)), shape=(count + 1, count + 1))
    return np.asarray(connected_components(links, directed=False)[1])


def _thing(cloud: Cloud, rows: Rows, plane: Float64, config: ProposalConfig) -> Proposal | None:
    """Return the thing of these points, down to its support; None where it is none."""
    low, high = np.percentile(cloud.where[rows], SURE, axis=0)
    low[2] = (low[:2] + high[:2]) / 2 @ plane[:2] + plane[2]
    size = max(high[2] - low[2], *np.ptp(np.percentile(cloud.ground[rows], SURE, axis=0), axis=0))
    if len(rows) < config.points or not config.smallest <= size <= config.largest:
        return None
    (top, left), (bottom, right) = cloud.pixel[rows].min(axis=0), cloud.pixel[rows].max(axis=0) + 1
    return Proposal((int(left), int(top), int(right), int(bottom)), low, high)


def _whole(parts: Iterable[tuple[Rows, Proposal]]) -> Iterator[Proposal]:
    """Yield the things that are no part of a larger one: the top of a book is a support, too."""
    taken: set[int] = set()
    for rows, thing in sorted(parts, key=lambda part: -len(part[0])):
        mine = set(rows.tolist())
        if len(mine & taken) < SHARED * len(mine):
            yield thing
        taken |= mine


def scaled(box: Box, times: float) -> Box:
    """Return a box of a picture for the same picture so many times as large."""
    left, top, right, bottom = (round(side * times) for side in box)
    return left, top, right, bottom


def framed(box: Box, shape: tuple[int, ...], config: ProposalConfig = ProposalConfig()) -> Box:
    """Return a box with the margin around it, inside of a picture of this shape (H, W)."""
    left, top, right, bottom = box
    margin = round(config.margin * max(right - left, bottom - top))
    return max(0, left - margin), max(0, top - margin), min(shape[1], right + margin), min(shape[0], bottom + margin)
