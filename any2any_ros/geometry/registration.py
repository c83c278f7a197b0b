"""Lays one LiDAR scan over another: the pose of the query in the reference's frame, and how much of it is there.

The heading is unknown (`encoders/lidar.py` forgets it on purpose), so ICP needs a first guess. What stands above
the ground is drawn on a grid seen from above, and every heading and every shift within reach is tried at once by a
correlation in the frequency domain. From the few best, Open3D's ICP, point to plane, goes from coarse to fine. The
ground takes part in ICP, where it holds height, roll and pitch; it takes none in the guess nor in the overlap,
because one road lies on another everywhere.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from any2any_ros.arrays import Flags, Float64, Floats
from any2any_ros.config import Settings, setting
from any2any_ros.errors import Any2AnyError

CELL = 1.0  # m, of the grid seen from above
HEADINGS = 120  # tried: a step of 3 degrees moves a wall 20 m away by one cell
APART = 10  # headings between two starts: nearer ones end in the same place
FOOTPRINT = 2.0  # m, the square whose lowest point is its ground
COARSE = (4.0, 15, 3)  # largest distance of a pair in voxels, most steps, every which point of the query
FINE = (1.0, 30, 1)
CHECK = (1.0, 3, 1)
SETTLED = 0.1  # voxels: what more steps may move a point by at half the reach
STEEPEST = np.cos(np.radians(20.0))  # a robot does not stand more askew than this in its own map


@dataclass(frozen=True)
class RegistrationConfig(Settings):
    """How two LiDAR scans are laid over each other."""

    reach: float = setting(
        40.0, "points farther than this from their sensor are ignored", unit="m", minimum=5, maximum=200
    )
    voxel: float = setting(
        0.5, "of the points in a cube of this side only their mean is kept", unit="m", minimum=0.05, maximum=2
    )
    shift: float = setting(
        8.0, "largest distance on the ground between the two sensors", unit="m", minimum=1, maximum=30
    )
    ground: float = setting(
        0.5, "points less than this above the lowest one around are ground", unit="m", minimum=0, maximum=5
    )
    near: float = setting(
        0.5, "a point of the query this near to one of the reference is there", unit="m", minimum=0.05, maximum=5
    )
    starts: int = setting(2, "first guesses that ICP tries", minimum=1, maximum=12)
    min_points: int = setting(100, "a scan with fewer points above the ground cannot be laid anywhere", minimum=10)


@dataclass(frozen=True, eq=False)
class Registration:
    """pose (4, 4): of the query's sensor in the reference's frame. overlap: share of the query's points above the
    ground, as far as the reference reaches, with a point of the reference near, 0..1. rmse: of those, in metres, NaN
    where there is none. converged: whether more steps would change nothing and the pose is one a robot can have."""

    pose: Float64
    overlap: float
    rmse: float
    converged: bool


NOWHERE = Registration(np.full((4, 4), np.nan), float("nan"), float("nan"), False)


@dataclass(frozen=True, eq=False)
class PreparedScan:
    """A scan made ready once for many registrations: points (N, 3), and which of them stand above the ground (N,)."""

    points: Float64
    standing: Flags
    config: RegistrationConfig

    @classmethod
    def of(cls, points: Floats, config: RegistrationConfig = RegistrationConfig()) -> PreparedScan:
        """Take points (N, >= 3): x forward, y left, z up, metres, in the sensor's frame; NaN and far ones are not kept.

        Raises Any2AnyError when they have another shape.
        """
        kept = thinned(points, config.voxel, config.reach)
        return cls(kept, above_ground(kept, config.ground), config)

    @property
    def usable(self) -> bool:
        return int(self.standing.sum()) >= self.config.min_points

    @cached_property
    def tree(self) -> Any:
        from scipy.spatial import cKDTree  # only where a scan is laid

        return cKDTree(self.points[self.standing])

    @cached_property
    def cloud(self) -> Any:
        """The points as Open3D's, with the direction of the surface at each."""
        o3d = open3d()
        cloud = o3d.geometry.PointCloud(o3d.utility.Vector3dVector(self.points))
        cloud.estimate_normals(o3d.geometry.KDTreeSearchParamHybrid(radius=4 * self.config.voxel, max_nn=20))
        return cloud

    @cached_property
    def spectra(self) -> NDArray[np.complex64]:
        """The spectrum of the grid at every heading (HEADINGS, n, n // 2 + 1)."""
        x, y = self.points[self.standing, :2].T
        turn = np.arange(HEADINGS)[:, None] * (2 * np.pi / HEADINGS)
        cos, sin = np.cos(turn), np.sin(turn)
        return self._spectra(cos * x - sin * y, sin * x + cos * y)

    @cached_property
    def spectrum(self) -> NDArray[np.complex64]:
        """The spectrum of the grid (n, n // 2 + 1) as the sensor faces."""
        x, y = self.points[self.standing, :2].T
        return np.asarray(self._spectra(x[None], y[None])[0])

    def _spectra(self, x: Float64, y: Float64) -> NDArray[np.complex64]:
        """Return the spectra (H, n, n // 2 + 1) of grids of the points (H, K) each."""
        n = _side(self.config)
        column, row = (np.floor((v + self.config.reach) / CELL).astype(np.intp) for v in (x, y))
        cell = (np.arange(len(x))[:, None] * n + row) * n + column
        count = np.bincount(cell.ravel(), minlength=len(x) * n * n).reshape(len(x), n, n)
        # Logarithms: a tall wall is worth more than a kerb, but not as much as its area says.
        return np.asarray(fft.rfft2(np.log1p(count).astype(np.float32)))


def open3d() -> Any:
    """Return Open3D, imported now: it costs a second and 170 MB; raise Any2AnyError when it is absent."""
    try:
        o3d = importlib.import_module("open3d")
    except ImportError as error:
        raise Any2AnyError(
            "Cannot lay scans over each other", f"Open3D is absent ({error})", "pip install 'any2any_ros[open3d]'"
        ) from error
    # Its threads are TBB's, deaf to OMP_NUM_THREADS; sums of several threads differ from run to run.
    if hasattr(o3d.utility, "set_max_threads"):  # since 0.20
        o3d.utility.set_max_threads(1)
    return o3d


def absent() -> str:
    """Return why Open3D cannot be used, and what to do; empty when it can."""
    try:
        open3d()
    except Any2AnyError as error:
        return f"{error.why}. {error.remedy}"
    return ""


def register(query: Floats, reference: Floats, config: RegistrationConfig = RegistrationConfig()) -> Registration:
    """Return where the scan `query` (N, >= 3) was taken in the frame of the scan `reference` (M, >= 3)."""
    return register_prepared(PreparedScan.of(query, config), PreparedScan.of(reference, config))


def register_prepared(query: PreparedScan, reference: PreparedScan) -> Registration:
    """Return where `query` was taken in the frame of `reference`; `NOWHERE` when either has too few points."""
    if not (query.usable and reference.usable):
        return NOWHERE
    roughly = [_icp(query, reference, guess, COARSE) for guess in first_guesses(query, reference)]
    best = max(roughly, key=lambda pose: _overlap(query, reference, pose)[0])
    pose = _icp(query, reference, best, FINE)
    settled = _settled(pose, _icp(query, reference, pose, CHECK), query.config)
    return Registration(pose, *_overlap(query, reference, pose), settled)


def thinned(points: Floats, voxel: float, reach: float) -> Float64:
    """Return the mean point (K, 3) of every cube that holds any; points (N, >= 3), in no order, NaN left out."""
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
    """Return which points (K,) are more than `height` above the lowest one in their square of the ground."""
    if len(points) == 0:
        return np.zeros(0, dtype=bool)
    corner = np.floor(points[:, :2] / FOOTPRINT).astype(np.int64)
    _, square = np.unique(corner, axis=0, return_inverse=True)
    lowest = np.full(square.max() + 1, np.inf)
    np.minimum.at(lowest, square.ravel(), points[:, 2])
    return np.asarray(points[:, 2] > lowest[square.ravel()] + height)


def first_guesses(query: PreparedScan, reference: PreparedScan) -> list[Float64]:
    """Return poses (4, 4), the likeliest first: turned and shifted on the ground only."""
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
    """Return how many cells a side of the grid has: so many that nothing meets its neighbour round the edge."""
    return int(fft.next_fast_len(int((2 * config.reach + config.shift) / CELL) + 2, real=True))


def _flat_pose(yaw: float, x: float, y: float) -> Float64:
    pose = np.eye(4)
    pose[:2, :2] = [[np.cos(yaw), -np.sin(yaw)], [np.sin(yaw), np.cos(yaw)]]
    pose[:2, 3] = x, y
    return pose


def _settled(pose: Float64, later: Float64, config: RegistrationConfig) -> bool:
    """Whether some steps more moved next to nothing, and a robot can stand as `later` says."""
    turned, moved = (later - pose)[:3, :3], (later - pose)[:3, 3]
    still = np.linalg.norm(turned) * config.reach / 2 + np.linalg.norm(moved) < SETTLED * config.voxel
    within = np.hypot(*later[:2, 3]) <= config.shift + 2 * CELL
    return bool(still and within and later[2, 2] > STEEPEST)


def _icp(query: PreparedScan, reference: PreparedScan, pose: Float64, stage: tuple[float, int, int]) -> Float64:
    distance, steps, every = stage[0] * query.config.voxel, *stage[1:]
    pipeline = open3d().pipelines.registration
    # Tukey: what has no partner within the distance weighs nothing, and what hardly has one hardly anything.
    plane = pipeline.TransformationEstimationPointToPlane(pipeline.TukeyLoss(distance))
    enough = pipeline.ICPConvergenceCriteria(relative_fitness=1e-4, relative_rmse=1e-4, max_iteration=steps)
    found = pipeline.registration_icp(
        query.cloud.uniform_down_sample(every), reference.cloud, distance, pose, plane, enough
    )
    return np.array(found.transformation, dtype=np.float64)


def _overlap(query: PreparedScan, reference: PreparedScan, pose: Float64) -> tuple[float, float]:
    """Return the overlap and the rmse in metres."""
    seen = query.points[query.standing] @ pose[:3, :3].T + pose[:3, 3]
    seen = seen[np.hypot(seen[:, 0], seen[:, 1]) < query.config.reach]
    if len(seen) == 0:
        return 0.0, float("nan")
    distance, _ = reference.tree.query(seen, distance_upper_bound=query.config.near)
    there = distance[np.isfinite(distance)]
    return len(there) / len(seen), float(np.sqrt(np.mean(there**2))) if len(there) else float("nan")
