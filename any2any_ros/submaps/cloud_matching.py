"""Lays one cloud on those that were seen before it: point-to-plane matching from a guess of the sensor's pose.

Each point is paired with the nearest one of the surfaces, and its distance along the normal there becomes small. The
guess counts like a measurement, so that the pose stays where it was guessed in the directions that the surfaces say
nothing about. After Chen & Medioni, ICRA 1991, and Vizzo et al., KISS-ICP, RA-L 2023.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from any2any_ros.arrays import Float64, Floats

FIRST, LAST, STEPS = 2.0, 0.5, 16  # the longest distance of a pair falls from 2 m to 0.5 m in 16 steps
USED = 1500  # points of a cloud
NEIGHBOURS = 8  # of a point, of which its normal is made
FLAT = 0.3  # m; a point whose neighbours are farther off their plane has no normal
NOISE = 0.1  # m, of the distance of a pair
ROBUST = 0.3  # m; a pair this far apart counts half
STILL = 1e-3  # m and rad; a step below ends the matching
NEAR = 0.5  # m; a point this near to the surfaces lies on them
FEW = 20  # pairs; fewer say nothing


class CloudMatch(NamedTuple):
    """The pose (4, 4) of a cloud's sensor, and the share of its points that lie on the surfaces there."""

    pose: Float64
    overlap: float


@dataclass(frozen=True, eq=False)
class CloudTarget:
    """Points (N, 3) that clouds are laid on, with normals (N, 3) of length 1, or 0 where a point lies on no plane."""

    points: Float64
    normals: Float64

    @cached_property
    def tree(self) -> cKDTree:
        return cKDTree(self.points, balanced_tree=False, compact_nodes=False)


def cell_centres(points: Floats, voxel: float, reach: float) -> Float64:
    """Return the mean point (K, 3) of each cube of side `voxel` that holds points (N, >= 3) nearer than `reach`, m."""
    xyz = np.asarray(points)[:, :3].astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        xyz = xyz[(xyz**2).sum(axis=1) < reach**2]
    side = 2 * int(reach / voxel) + 3
    x, y, z = (np.floor(xyz / voxel).astype(np.int64) + side // 2).T
    _, cube, count = np.unique((x * side + y) * side + z, return_inverse=True, return_counts=True)
    total = np.stack([np.bincount(cube, xyz[:, k], len(count)) for k in range(3)], axis=1)
    return np.asarray(total / np.maximum(count, 1)[:, None])


def normals(points: Float64) -> Float64:
    """Return the normals (N, 3) of points (N, 3), from their neighbours; 0 where these lie in no plane."""
    if len(points) < NEIGHBOURS:
        return np.zeros_like(points)
    _, near = cKDTree(points).query(points, NEIGHBOURS)
    around = points[near] - points[near].mean(axis=1, keepdims=True)
    values, vectors = np.linalg.eigh(np.einsum("nki,nkj->nij", around, around) / NEIGHBOURS)
    flat = (values[:, 0] < FLAT**2) & (values[:, 1] > 4 * values[:, 0])
    return np.where(flat[:, None], vectors[:, :, 0], 0.0)


def matched(points: Float64, target: CloudTarget, guess: Float64, trust: tuple[float, float]) -> CloudMatch:
    """Return the pose of points (N, 3) on the target's surfaces, near a guess (4, 4) of it, and the overlap there.

    trust: standard deviations of the guess, m and rad. Where too few points are near the surfaces, the pose is the
    guess, and the overlap 0.
    """
    pose, used = guess, points[:: max(1, -(-len(points) // USED))]
    for reach in np.geomspace(FIRST, LAST, STEPS):
        moved = used @ pose[:3, :3].T + pose[:3, 3]
        distance, row = target.tree.query(moved, distance_upper_bound=float(reach))
        pairs = np.isfinite(distance)
        pairs[pairs] = target.normals[row[pairs]].any(axis=1)
        if np.count_nonzero(pairs) < FEW:
            return CloudMatch(guess, 0.0)
        step = _step(moved[pairs], target, row[pairs], (pose, guess, trust))
        pose = _stepped(pose, step)
        if np.abs(step).max() < STILL:
            break
    distance, _ = target.tree.query(used @ pose[:3, :3].T + pose[:3, 3], distance_upper_bound=NEAR)
    return CloudMatch(pose, float(np.isfinite(distance).mean()))


def _step(
    moved: Float64, target: CloudTarget, row: Floats, poses: tuple[Float64, Float64, tuple[float, float]]
) -> Float64:
    """Return one Gauss-Newton step (6,): a rotation vector about the sensor, rad, and a shift, m."""
    pose, guess, (shift, turn) = poses
    normal = target.normals[row]
    off = ((target.points[row] - moved) * normal).sum(axis=1)
    jacobian = np.hstack([np.cross(moved - pose[:3, 3], normal), normal])  # (K, 6)
    weight = 1 / (1 + (off / ROBUST) ** 2) / NOISE**2
    prior = np.repeat([turn, shift], 3) ** -2.0
    back = Rotation.from_matrix(guess[:3, :3] @ pose[:3, :3].T).as_rotvec()
    towards = np.concatenate([back, guess[:3, 3] - pose[:3, 3]])
    weighted = (jacobian * weight[:, None]).T
    return np.asarray(np.linalg.solve(weighted @ jacobian + np.diag(prior), weighted @ off + prior * towards))


def _stepped(pose: Float64, step: Float64) -> Float64:
    """Return a pose (4, 4) after a step (6,)."""
    after = pose.copy()
    after[:3, :3] = Rotation.from_rotvec(step[:3]).as_matrix() @ pose[:3, :3]
    after[:3, 3] += step[3:]
    return after
