"""Lays one scan on the surfaces that were seen before it: point-to-line matching from a guess of the sensor's pose.

Each point is paired with the nearest one of the surfaces, and its distance along the normal there becomes small. The
guess itself counts like a measurement. So the pose stays where it was guessed in the direction that the surfaces say
nothing about, such as along a corridor. Before that, a search over shifts and turns around the guess finds where to
begin: odometry is often wrong by 10 degrees where a robot turns. After Chen & Medioni, ICRA 1991, and Olson, ICRA 2009.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np
from scipy.spatial import cKDTree

from any2any_ros.arrays import Array, Float64, Rows
from any2any_ros.submaps.planar import Planar, Points, wrapped
from any2any_ros.submaps.surfaces import Surfaces

FIRST, LAST, STEPS = 1.0, 0.25, 8  # the longest distance of a pair falls from 1 m to 0.25 m in 8 steps
USED = 180  # points of a scan
NOISE = 0.05  # m, of the distance of a pair
ROBUST = 0.1  # m; a pair this far apart counts half
STILL = 1e-4  # m and rad; a step below ends the matching
NEAR = 0.3  # m; a point this near to the surfaces lies on them
FEW = 5  # pairs; fewer say nothing
# The search
CELL, SIDE = 0.2, 300  # m, and cells: the grid of distances covers 30 m around the target's middle
CAP = 0.5  # m; a point farther from the surfaces counts as this far
WINDOW = 2  # standard deviations of the guess to either side
SHIFTS = 7  # cells to either side, at most
TURN, TURNS = 0.04, 12  # rad from one turn to the next, and turns to either side, at most: more rad in a wide window
TRIED = 90  # points of the scan
DOUBT = 0.005  # m of mean distance that one standard deviation from the guess is worth, squared


class Match(NamedTuple):
    """The pose of a scan's sensor, and the share of its points that lie on the surfaces there."""

    pose: Planar
    overlap: float


class Trust(NamedTuple):
    """Standard deviations of a guess: of its shift in m, and of its turn in rad."""

    shift: float
    turn: float


@dataclass(frozen=True, eq=False)
class Target:
    """Surfaces that scans are laid on. middle: near the sensor."""

    surfaces: Surfaces
    middle: complex = 0j

    @cached_property
    def tree(self) -> cKDTree:
        return cKDTree(_plane(self.surfaces.points), balanced_tree=False, compact_nodes=False)

    @cached_property
    def distances(self) -> Array:
        """The distance of each cell of a grid (SIDE, SIDE) to the nearest point, m; y counts the rows."""
        empty = np.ones((SIDE, SIDE), np.uint8)
        row, column = self.cells(self.surfaces.points)
        empty[row, column] = 0
        empty[[0, -1]] = empty[:, [0, -1]] = 1  # where all points are that lie outside
        return np.asarray(np.minimum(cv2.distanceTransform(empty, cv2.DIST_L2, 3) * CELL, CAP), dtype=np.float32)

    def cells(self, points: Points, inside: int = 0) -> tuple[Rows, Rows]:
        """Return row and column of points in the grid; of those outside, the nearest `inside` cells from its border."""
        off = (points - self.middle) / CELL + SIDE / 2 * (1 + 1j)
        row, column = (np.clip(v, inside, SIDE - 1 - inside).astype(np.intp) for v in (off.imag, off.real))
        return row, column

    def nearest(self, points: Points, reach: float) -> tuple[Float64, Rows]:
        """Return how far points (N,) are from the nearest surface point (N,), infinite beyond `reach`, and its row."""
        distance, row = self.tree.query(_plane(points), distance_upper_bound=reach)
        return distance, row

    def overlap(self, points: Points) -> float:
        """Return the share of points (N,) that lie on the surfaces; 0 when there are none."""
        return float(np.isfinite(self.nearest(points, NEAR)[0]).mean()) if len(points) else 0.0


def matched(scan: Surfaces, target: Target, guess: Planar, trust: Trust) -> Match:
    """Return the pose of a scan on the target's surfaces, near a guess of it, and the overlap there.

    Where too few points are near the surfaces, the pose is the guess, and the overlap 0.
    """
    used = scan.points[:: max(1, -(-len(scan.points) // USED))]
    pose = searched(used, target, guess, trust)
    for k, reach in enumerate(np.geomspace(FIRST, LAST, STEPS)):
        points = pose(used)
        distance, row = target.nearest(points, float(reach))
        pairs = np.isfinite(distance) & (target.surfaces.normals[np.where(np.isfinite(distance), row, 0)] != 0)
        if np.count_nonzero(pairs) < FEW:
            return Match(guess, 0.0)
        x, y, turn = _step(points[pairs], target.surfaces, row[pairs], (pose, guess, trust))
        pose = Planar(pose.shift + complex(x, y), wrapped(pose.turn + turn))
        if k >= STEPS // 2 and max(abs(x), abs(y), abs(turn)) < STILL:
            break
    return Match(pose, target.overlap(pose(used)))


def _step(points: Points, surfaces: Surfaces, row: Rows, poses: tuple[Planar, Planar, Trust]) -> Float64:
    """Return the shift x, y and the turn about the sensor of one Gauss-Newton step, m and rad.

    points (K,): of the scan at its present pose. row (K,): of the surface point of each.
    """
    pose, guess, trust = poses
    normal = surfaces.normals[row].conj()
    off = (normal * (surfaces.points[row] - points)).real
    jacobian = np.stack([normal.real, -normal.imag, (normal * 1j * (points - pose.shift)).real])  # (3, K)
    weight = 1 / (1 + (off / ROBUST) ** 2) / NOISE**2
    prior = np.array([trust.shift, trust.shift, trust.turn]) ** -2.0
    back = guess.shift - pose.shift
    towards = np.array([back.real, back.imag, wrapped(guess.turn - pose.turn)])
    weighted = jacobian * weight
    return np.asarray(np.linalg.solve(weighted @ jacobian.T + np.diag(prior), weighted @ off + prior * towards))


def searched(points: Points, target: Target, guess: Planar, trust: Trust) -> Planar:
    """Return the pose at which points (N,) lie nearest to the surfaces, of those not farther from a guess than it is
    trusted; the guess when there are no points."""
    if not len(points):
        return guess
    shifts = min(SHIFTS, int(np.ceil(WINDOW * trust.shift / CELL)))
    cells = np.arange(-shifts, shifts + 1)
    turns = min(TURNS, int(np.ceil(WINDOW * trust.turn / TURN)))
    turn = np.arange(-turns, turns + 1) * (WINDOW * trust.turn / turns)
    few = points[:: max(1, len(points) // TRIED)] * np.exp(1j * guess.turn)
    row, column = target.cells(few * np.exp(1j * turn)[:, None] + guess.shift, SHIFTS)  # (T, P)
    moved = (cells[:, None] * SIDE + cells).reshape(-1, 1)  # (S, 1), steps in the flat grid
    off = target.distances.ravel()[(row * SIDE + column)[:, None] + moved].mean(axis=-1)  # (T, S)
    shift = ((cells[:, None] * 1j + cells) * CELL).ravel()
    from_guess = (turn[:, None] / trust.turn) ** 2 + (np.abs(shift) / trust.shift) ** 2
    t, s = np.unravel_index(int((off + DOUBT * from_guess).argmin()), off.shape)
    return Planar(guess.shift + complex(shift[s]), wrapped(guess.turn + float(turn[t])))


def _plane(points: Points) -> Float64:
    """Return complex points (N,) as x and y (N, 2)."""
    return np.ascontiguousarray(points).view(np.float64).reshape(-1, 2)
