"""Registers one LiDAR scan onto another: pose of the query in the frame of the reference, and how much of it overlaps.

The heading is unknown, because the descriptor of `encoders/lidar.py` ignores it on purpose. So ICP needs a first guess.
All points above the ground are drawn on a grid seen from above, and a correlation in the frequency domain tries every
heading and every shift within reach at once. From the few best guesses, Open3D's point-to-plane ICP goes from coarse to
fine. The ground takes part in ICP, where it fixes height, roll and pitch. It takes no part in the guess and in the
overlap, because one road looks like any other.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from any2any_ros import limits
from any2any_ros.arrays import Flags, Float64, Floats
from any2any_ros.config import Settings, setting
from any2any_ros.errors import Any2AnyError

CELL = 1.0  # m, of the grid seen from above
HEADINGS = 120  # that are tried: a step of 3 degrees moves a wall at 20 m by one cell
TOGETHER = 1 << 20  # turned points in memory at a time
APART = 10  # headings between two first guesses, at least; ICP goes from nearer ones to the same pose
FOOTPRINT = 2.0  # m, side of the squares; the lowest point of a square is its ground
SETTLED = 0.1  # voxels: more steps of a settled ICP move a point at half the reach by less
STEEPEST = np.cos(np.radians(20.0))  # no robot leans more than this against its own map


@dataclass(frozen=True)
class Stage:
    """One stage of ICP. distance: the largest of a pair of points, in voxels. every: 1 in `every` points is used."""

    distance: float
    steps: int
    every: int


COARSE, FINE, MORE = Stage(4.0, 15, 3), Stage(1.0, 30, 1), Stage(1.0, 3, 1)


@dataclass(frozen=True)
class RegistrationConfig(Settings):
    """How two LiDAR scans are registered."""

    reach: float = setting(
        40.0, "points farther than this from their sensor are ignored", unit="m", minimum=5, maximum=200
    )
    voxel: float = setting(
        0.5, "the points in a cube of this side are replaced by their mean", unit="m", minimum=0.05, maximum=2
    )
    shift: float = setting(
        8.0, "largest distance between the two sensors on the ground", unit="m", minimum=1, maximum=30
    )
    ground: float = setting(
        0.5, "points less than this above the lowest point around are ground", unit="m", minimum=0, maximum=5
    )
    near: float = setting(
        0.5, "points of the two scans overlap when they are this near", unit="m", minimum=0.05, maximum=5
    )
    starts: int = setting(2, "first guesses from which ICP starts", minimum=1, maximum=12)
    min_points: int = setting(100, "a scan with fewer points above the ground is not registered", minimum=10)


@dataclass(frozen=True, eq=False)
class Registration:
    """The result of registering a query scan onto a reference scan.

    pose (4, 4): of the query's sensor in the frame of the reference. overlap: share, from 0 to 1, of the query's points
    above the ground, within the reference's reach, that have a point of the reference near. rmse: distance of these
    points from the reference, root mean square, metres; NaN without any. converged: more steps would change nothing,
    and a robot can have this pose.
    """

    pose: Float64
    overlap: float
    rmse: float
    converged: bool

    @property
    def refined(self) -> bool:
        """Whether the pose is that of two scans; without distances of points it is that of two images."""
        return self.converged and not np.isnan(self.rmse)


NOT_REGISTERED = Registration(np.full((4, 4), np.nan), float("nan"), float("nan"), False)


@dataclass(frozen=True, eq=False)
class PreparedScan:
    """A scan that was prepared once for many registrations: points (N, 3), and which are above the ground (N,)."""

    points: Float64
    standing: Flags
    config: RegistrationConfig

    @classmethod
    def of(cls, points: Floats, config: RegistrationConfig = RegistrationConfig()) -> PreparedScan:
        """Prepare points (N, >= 3): x forward, y left, z up; metres; sensor's frame. NaN and far ones are left out.

        Raises Any2AnyError when they have another shape, and when there are too many.
        """
        thin = thinned(points, config.voxel, config.reach)
        limits.check("a scan", len(thin), limits.SCAN_POINTS, "points after thinning", "Raise voxel, or lower reach")
        return cls(thin, above_ground(thin, config.ground), config)

    @property
    def usable(self) -> bool:
        """Whether enough points are above the ground."""
        return int(self.standing.sum()) >= self.config.min_points

    @cached_property
    def tree(self) -> Any:
        """The search tree of the points above the ground."""
        from scipy.spatial import cKDTree  # slow to import, and only registration needs it

        return cKDTree(self.points[self.standing])

    @cached_property
    def cloud(self) -> Any:
        """The points as an Open3D point cloud with normals."""
        o3d = open3d()
        cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(self.points))
        cloud.estimate_normals(o3d.geometry.KDTreeSearchParamHybrid(radius=4 * self.config.voxel, max_nn=20))
        return cloud

    @cached_property
    def spectra(self) -> NDArray[np.complex64]:
        """The spectrum of the grid at every heading (HEADINGS, n, n // 2 + 1)."""
        x, y = self.points[self.standing, :2].T
        turn = np.arange(HEADINGS)[:, None] * (2 * np.pi / HEADINGS)
        step = max(1, TOGETHER // max(1, len(x)))
        parts = [(np.cos(part), np.sin(part)) for part in np.split(turn, range(step, HEADINGS, step))]
        return np.concatenate([self._spectra(cos * x - sin * y, sin * x + cos * y) for cos, sin in parts])

    @cached_property
    def spectrum(self) -> NDArray[np.complex64]:
        """The spectrum of the grid (n, n // 2 + 1) at the sensor's own heading."""
        x, y = self.points[self.standing, :2].T
        return np.asarray(self._spectra(x[None], y[None])[0])

    def _spectra(self, x: Float64, y: Float64) -> NDArray[np.complex64]:
        """Return the spectra (H, n, n // 2 + 1) of grids of the points (H, K) each."""
        n = _side(self.config)
        column, row = (np.floor((v + self.config.reach) / CELL).astype(np.intp) for v in (x, y))
        cell = (np.arange(len(x))[:, None] * n + row) * n + column
        count = np.bincount(cell.ravel(), minlength=len(x) * n * n).reshape(len(x), n, n)
        # The logarithm gives a tall wall more weight than a kerb, but not as much as its number of points.
        return np.asarray(fft.rfft2(np.log1p(count).astype(np.float32)))


def open3d() -> Any:
    """Return Open3D, imported now: that takes a second and 170 MB. Raises Any2AnyError when it is absent."""
    try:
        o3d = importlib.import_module("open3d")
    except ImportError as error:
        raise Any2AnyError(
            "Cannot register scans", f"Open3D is absent ({error})", "pip install 'any2any_ros[open3d]'"
        ) from error
    # One thread: sums over several threads differ from run to run, and OMP_NUM_THREADS does not reach TBB's threads.
    if hasattr(o3d.utility, "set_max_threads"):  # since 0.20
        o3d.utility.set_max_threads(1)
    return o3d


def open3d_obstacle() -> str:
    """Return why Open3D cannot be used, and what to do; "" when it can be used."""
    try:
        open3d()
    except Any2AnyError as error:
        return f"{error.why}. {error.remedy}"
    return ""


def register(query: Floats, reference: Floats, config: RegistrationConfig = RegistrationConfig()) -> Registration:
    """Register the scan `query` (N, >= 3) onto the scan `reference` (M, >= 3); PreparedScan.of says what they are."""
    return register_prepared(PreparedScan.of(query, config), PreparedScan.of(reference, config))


def register_prepared(query: PreparedScan, reference: PreparedScan) -> Registration:
    """Register a scan onto another one; `NOT_REGISTERED` when either has too few points above the ground."""
    if not (query.usable and reference.usable):
        return NOT_REGISTERED
    coarse = [_icp(query, reference, guess, COARSE) for guess in first_guesses(query, reference)]
    best = max(coarse, key=lambda pose: _overlap(query, reference, pose)[0])
    pose = _icp(query, reference, best, FINE)
    converged = _converged(pose, _icp(query, reference, pose, MORE), query.config)
    return Registration(pose, *_overlap(query, reference, pose), converged)


def thinned(points: Floats, voxel: float, reach: float) -> Float64:
    """Return the mean point (K, 3) of every cube with side `voxel` that holds points (N, >= 3), in any order.

    Points that are NaN, or not within `reach` metres, are left out. Raises Any2AnyError on another shape.
    """
    points = np.asarray(points)
    if points.ndim != 2 or points.shape[1] < 3:
        raise Any2AnyError("Cannot use a point cloud", f"its shape is {points.shape}", "Give (N, 3): x, y and z")
    xyz = points[:, :3].astype(np.float64)
    with np.errstate(invalid="ignore"):
        xyz = xyz[(np.abs(xyz) < reach).all(axis=1)]
    xyz = xyz[np.hypot(xyz[:, 0], xyz[:, 1]) < reach]
    side = 2 * int(reach / voxel) + 3
    x, y, z = (np.floor(xyz / voxel).astype(np.int64) + side // 2).T
    _, cube, count = np.unique((x * side + y) * side + z, return_inverse=True, return_counts=True)
    total = [np.bincount(cube, xyz[:, k], len(count)) for k in range(3)]
    return np.asarray(np.stack(total, axis=1) / np.maximum(count, 1)[:, None])


def above_ground(points: Float64, height: float) -> Flags:
    """Return which points (K,) of (K, 3) are more than `height` metres above the lowest point in their square."""
    if len(points) == 0:
        return np.zeros(0, dtype=bool)
    corner = np.floor(points[:, :2] / FOOTPRINT).astype(np.int64)
    _, square = np.unique(corner, axis=0, return_inverse=True)
    lowest = np.full(square.max() + 1, np.inf)
    np.minimum.at(lowest, square.ravel(), points[:, 2])
    return np.asarray(points[:, 2] > lowest[square.ravel()] + height)


def first_guesses(query: PreparedScan, reference: PreparedScan) -> list[Float64]:
    """Return first guesses of the pose (4, 4), best first: a heading, and a shift on the ground."""
    n, most = _side(query.config), int(query.config.shift / CELL)
    match = fft.irfft2(np.conj(query.spectra) * reference.spectrum, s=(n, n))
    shifts = np.arange(-most, most + 1)
    match = match[:, shifts[:, None], shifts[None, :]].reshape(HEADINGS, -1)
    best = match.max(axis=1)
    guesses: list[Float64] = []
    for _ in range(query.config.starts):
        heading = int(best.argmax())
        row, column = np.divmod(int(match[heading].argmax()), len(shifts))
        x, y = (column - most) * CELL, (row - most) * CELL
        guesses.append(_flat_pose(heading * 2 * np.pi / HEADINGS, float(x), float(y)))
        best[(heading + np.arange(-APART, APART + 1)) % HEADINGS] = -np.inf
    return guesses


def _side(config: RegistrationConfig) -> int:
    """Return the number of cells along a side of the grid, padded so that a shift never wraps around its edge."""
    return int(fft.next_fast_len(int((2 * config.reach + config.shift) / CELL) + 2, real=True))


def _flat_pose(yaw: float, x: float, y: float) -> Float64:
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    pose[:2, 3] = x, y
    return pose


def _converged(pose: Float64, later: Float64, config: RegistrationConfig) -> bool:
    """Whether some more steps, from `pose` to `later`, changed next to nothing, and a robot can have this pose."""
    turned, moved = (later - pose)[:3, :3], (later - pose)[:3, 3]
    still = np.linalg.norm(turned) * config.reach / 2 + np.linalg.norm(moved) < SETTLED * config.voxel
    within = np.hypot(*later[:2, 3]) <= config.shift + 2 * CELL
    return bool(still and within and later[2, 2] > STEEPEST)


def _icp(query: PreparedScan, reference: PreparedScan, pose: Float64, stage: Stage) -> Float64:
    """Return the pose (4, 4) after one stage of ICP from `pose`."""
    distance = stage.distance * query.config.voxel
    pipeline = open3d().pipelines.registration
    # Tukey's loss: the weight of a pair falls to 0 at the largest distance.
    plane = pipeline.TransformationEstimationPointToPlane(pipeline.TukeyLoss(distance))
    enough = pipeline.ICPConvergenceCriteria(relative_fitness=1e-4, relative_rmse=1e-4, max_iteration=stage.steps)
    result = pipeline.registration_icp(
        query.cloud.uniform_down_sample(stage.every), reference.cloud, distance, pose, plane, enough
    )
    return np.array(result.transformation, dtype=np.float64)


def _overlap(query: PreparedScan, reference: PreparedScan, pose: Float64) -> tuple[float, float]:
    """Return overlap and rmse (metres) of the query at `pose`."""
    points = query.points[query.standing] @ pose[:3, :3].T + pose[:3, 3]
    points = points[np.hypot(points[:, 0], points[:, 1]) < query.config.reach]
    if len(points) == 0:
        return 0.0, float("nan")
    distance, _ = reference.tree.query(points, distance_upper_bound=query.config.near)
    near = distance[np.isfinite(distance)]
    return len(near) / len(points), float(np.sqrt(np.mean(near**2))) if len(near) else float("nan")
