"""Proposes objects in a depth picture: connected regions that rise above a level support such as a table.

1. The camera's pose says which direction is up. Level layers with many points (a table, the floor) are supports.
2. The points above a support are drawn on a grid as seen from above. Cells that touch are one region; two regions are
   joined where neighbouring pixels of the picture show the same surface.
3. A region that has its support beside it, no wall, and an allowed size is proposed as an object.

No classes are involved, so nothing has to be trained. Two objects that touch become one proposal. An object under a
board or beside a wall cannot be separated from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from any2any_ros.arrays import Array, Flags, Float64, Rows
from any2any_ros.config import Settings, setting

Box = tuple[int, int, int, int]  # left, top, right, bottom pixels of a picture; right and bottom are exclusive

LAYER = 0.02  # m, thickness of the layer in which the points of a support are first searched
FITS = 3  # rounds of fitting the plane of a support
BESIDE = 0.05  # m: a region has support within this distance, and no wall
BROAD = 0.02  # m, least standard deviation of a support's points along its shorter side; a slice of a wall has less
SHARED = 0.5  # two regions with this share of the smaller one's pixels in common are one
EXTENT = (
    2,
    98,
)  # percentiles of a region's points: edge pixels may lie anywhere between foreground and background
GRAINS = 1.5  # neighbouring pixels show one surface up to this many times their distance on a level surface
WORKING_WIDTH = 320  # px, about the width of the picture in which regions are searched


@dataclass(frozen=True)
class ProposalConfig(Settings):
    """What is proposed as an object."""

    clearance: float = setting(0.012, "least height of an object above its support", unit="m", minimum=0.001, maximum=1)
    smallest: float = setting(0.025, "least length of an object's longest side", unit="m", minimum=0.001, maximum=10)
    largest: float = setting(0.45, "greatest length of an object's longest side", unit="m", minimum=0.01, maximum=10)
    apart: float = setting(0.01, "least gap between two objects", unit="m", minimum=0.005, maximum=1)
    points: int = setting(25, "least number of pixels that show an object, in a picture about 320 wide", minimum=1)
    reach: float = setting(3.0, "greatest distance from the camera", unit="m", minimum=0.1, maximum=10)
    support: float = setting(0.08, "least share of all points that a support has", minimum=0.001, maximum=1)
    margin: float = setting(
        0.18, "margin around an object in its crop, as a share of the object's size", minimum=0, maximum=2
    )


@dataclass(frozen=True, eq=False)
class Proposal:
    """A region that may be one object: its box in the picture, and its low and high corners (3,) in the map, metres."""

    box: Box
    low: Float64
    high: Float64

    @property
    def centre(self) -> Float64:
        return np.asarray((self.low + self.high) / 2)


def points(depth: Array, intrinsics: Float64, pose: Float64) -> Float64:
    """Return the points (H, W, 3) in the map of a depth picture (H, W), both in metres; NaN where the depth is NaN.

    intrinsics (3, 3). pose (4, 4): map from the camera's optical frame (x right, y down, z forward).
    """
    row, column = np.indices(depth.shape, dtype=np.float64)
    x = (column - intrinsics[0, 2]) / intrinsics[0, 0] * depth
    y = (row - intrinsics[1, 2]) / intrinsics[1, 1] * depth
    return np.asarray(np.stack([x, y, depth], axis=-1) @ pose[:3, :3].T + pose[:3, 3])


def propose(
    depth: Array, intrinsics: Float64, pose: Float64, config: ProposalConfig = ProposalConfig()
) -> list[Proposal]:
    """Return the proposals of a depth picture, nearest first. Arguments as those of `points`."""
    step = max(1, depth.shape[1] // WORKING_WIDTH)
    cloud = _cloud(depth[::step, ::step], intrinsics / [[step], [step], [1]], pose, config)
    supports = _supports(cloud.where, config)
    whole = _without_parts(region for plane in supports for region in _standing(cloud, plane, config))
    proposals = [replace(p, box=framed(scaled(p.box, step), depth.shape, config)) for p in whole]
    return sorted(proposals, key=lambda p: float(np.linalg.norm(p.centre - pose[:3, 3])))


@dataclass(frozen=True, eq=False)
class Cloud:
    """N measured pixels.

    where (N, 3): points in the map, metres. ground (N, 2): the same seen from above, along level axes of the camera.
    pixel (N, 2): row and column. close (2, P): pairs of neighbours in a row or column that show the same surface.
    """

    where: Float64
    ground: Float64
    pixel: Rows
    close: Rows


def _cloud(depth: Array, intrinsics: Float64, pose: Float64, config: ProposalConfig) -> Cloud:
    with np.errstate(invalid="ignore"):
        measured = (depth > 0) & (depth < config.reach)
    where = points(np.where(measured, depth, np.nan), intrinsics, pose)[measured]
    pixel, number = np.argwhere(measured), np.full(depth.shape, -1)
    number[measured] = np.arange(len(where))
    # The next measured pixel in the row, and in the column; holes between them are skipped.
    lines = [number[measured], number.T[measured.T]]
    pairs = np.hstack(
        [np.stack([line[:-1], line[1:]])[:, np.diff(pixel[line, i]) == 0] for i, line in enumerate(lines)]
    )
    away = where - pose[:3, 3]
    grain = _squared(away) / (
        intrinsics[0, 0] * np.maximum(-away[:, 2], 1e-3)
    )  # distance of neighbours on a level surface
    near = np.clip(GRAINS * grain, 2 * config.apart, 4 * config.apart)[pairs[0]]
    close = pairs[:, _squared(where[pairs[0]] - where[pairs[1]]) < near**2]
    return Cloud(where, where[:, :2] @ _heading(pose), pixel, close)


def _squared(x: Float64) -> Float64:
    return np.asarray(np.einsum("nk,nk->n", x, x))


def _heading(pose: Float64) -> Float64:
    """Return two level axes (2, 2) as columns; the first lies along the camera's most level axis.

    With these axes the proposals do not depend on the map's orientation.
    """
    axes = pose[:2, :3]
    length = np.linalg.norm(axes, axis=0)
    x, y = axes[:, length.argmax()] / length.max()
    return np.array([[x, -y], [y, x]])


def _supports(points: Float64, config: ProposalConfig) -> Iterator[Float64]:
    """Yield the planes (3,) of supports among points (N, 3): (a, b, c) of height = a x + b y + c."""
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
    """Return the least-squares plane (3,) of the points (N, 3) that are flagged by inside (N,).

    It is fitted again to the points that lie on it.
    """
    plane = np.zeros(3)
    for _ in range(FITS):
        middle = points[inside].mean(axis=0)
        level, height = np.split(points[inside] - middle, [2], axis=1)
        # Points on one line do not determine the slope across the line: lstsq then takes the least slope.
        slope = np.linalg.lstsq(level.T @ level, level.T @ height, rcond=1e-6)[0][:, 0]
        plane = np.append(slope, middle[2] - middle[:2] @ slope)
        inside = np.abs(_above(points, plane)) <= LAYER / 2
        if inside.sum() < 3:
            break
    return plane


def _above(points: Float64, plane: Float64) -> Float64:
    """Return the heights (...) of points (..., 3) above a plane, metres."""
    return np.asarray(points[..., 2] - points[..., :2] @ plane[:2] - plane[2])


def _standing(cloud: Cloud, plane: Float64, config: ProposalConfig) -> Iterator[tuple[Rows, Proposal]]:
    """Yield the proposals that stand on one support, each with the rows of its points in the cloud."""
    from scipy import ndimage

    above = _above(cloud.where, plane)
    cells = tuple(((x - x.min()) / config.apart).astype(np.intp) for x in cloud.ground.T)
    shape = tuple(x.max() + 1 for x in cells)
    reach = max(1, round(BESIDE / config.apart))

    def grid(flags: Flags) -> Flags:
        """Return the grid cells that hold a flagged point."""
        covered = np.zeros(shape, dtype=bool)
        covered[tuple(x[flags] for x in cells)] = True
        return covered

    risen = (above > config.clearance) & (above < config.largest)
    pieces, count = ndimage.label(grid(risen), structure=np.ones((3, 3)))
    close = cloud.close[:, risen[cloud.close[0]] & risen[cloud.close[1]]]
    labels = _linked(count, pieces[cells][close])[pieces]
    supported = labels[ndimage.binary_dilation(grid(np.abs(above) <= LAYER / 2), iterations=reach)]
    walled = labels[ndimage.binary_dilation(grid(above >= config.largest), iterations=reach)]  # also a table's legs
    label = np.where(risen, labels[cells], 0)
    order = np.argsort(label, kind="stable")
    for i in np.setdiff1d(supported, [0, *np.unique(walled)]):
        first, end = np.searchsorted(label, [i, i + 1], sorter=order)
        rows = order[first:end]
        proposal = _proposal(cloud, rows, plane, config)
        if proposal is not None:
            yield rows, proposal


def _linked(count: int, pairs: Rows) -> Rows:
    """Return new labels (count + 1,) of pieces 1 to count; pieces that a pair (2, P) links get the same. 0 stays 0."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(pairs.shape[1], dtype=bool), tuple(pairs)), shape=(count + 1, count + 1))
    return np.asarray(connected_components(links, directed=False)[1])


def _proposal(cloud: Cloud, rows: Rows, plane: Float64, config: ProposalConfig) -> Proposal | None:
    """Return the proposal of these points, down to its support; None when it has too few points or a wrong size."""
    low, high = np.percentile(cloud.where[rows], EXTENT, axis=0)
    low[2] = (low[:2] + high[:2]) / 2 @ plane[:2] + plane[2]
    size = max(high[2] - low[2], *np.ptp(np.percentile(cloud.ground[rows], EXTENT, axis=0), axis=0))
    if len(rows) < config.points or not config.smallest <= size <= config.largest:
        return None
    (top, left), (bottom, right) = cloud.pixel[rows].min(axis=0), cloud.pixel[rows].max(axis=0) + 1
    return Proposal((int(left), int(top), int(right), int(bottom)), low, high)


def _without_parts(regions: Iterable[tuple[Rows, Proposal]]) -> Iterator[Proposal]:
    """Yield the proposals that are not part of a larger one: the top of a book is a support, too."""
    taken: set[int] = set()
    for rows, proposal in sorted(regions, key=lambda region: -len(region[0])):
        points_of_region = set(rows.tolist())
        if len(points_of_region & taken) < SHARED * len(points_of_region):
            yield proposal
        taken |= points_of_region


def scaled(box: Box, times: float) -> Box:
    """Return a box of a picture for the same picture enlarged by the factor `times`."""
    left, top, right, bottom = (round(side * times) for side in box)
    return left, top, right, bottom


def framed(box: Box, shape: tuple[int, ...], config: ProposalConfig = ProposalConfig()) -> Box:
    """Return a box with the configured margin around it, cut to a picture of this shape (H, W, …)."""
    left, top, right, bottom = box
    margin = round(config.margin * max(right - left, bottom - top))
    return max(0, left - margin), max(0, top - margin), min(shape[1], right + margin), min(shape[0], bottom + margin)
