"""A submap of point clouds that grows with the drive: each cloud is laid on those of the last metres.

Odometry says where to begin; where there is none, the motion up to the cloud before.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from any2any_ros.arrays import Float64, Floats
from any2any_ros.samples import NS
from any2any_ros.submaps.cloud_matching import CloudTarget, cell_centres, matched, normals
from any2any_ros.submaps.track import Track

LOST = 5  # clouds in a row that do not fit; then a new submap begins
DRAWN, COARSE = 0.2, 0.5  # m, sides of the cubes of which one point is kept: for what is described, and for matching
REACH = 60.0  # m; farther points are left out
APART, TURNED = 1.0, 0.2  # m and rad; a cloud this far from the one before becomes part of the submap
MOST = 64  # clouds of a submap
FITS = 0.3  # share of a cloud's points that must lie on the submap
SHORT = NS // 200  # ns between two clouds; shorter ones tell no velocity
SLOWEST = 1.0  # s; a cloud that claims to take longer was measured at once
MOMENTS = 32  # parts of a cloud, each of which was measured at once
AT_REST = np.zeros(6)


@dataclass(frozen=True, eq=False)
class CloudSubmap:
    """Points (N, 3) of the last metres in the frame of the newest cloud's sensor, of so many clouds."""

    points: Float64
    clouds: int


@dataclass(frozen=True, eq=False)
class _Part:
    pose: Float64
    drawn: Float64  # points in the submap's frame, as are the next two
    coarse: Float64
    normals: Float64
    travelled: float  # m up to it


class GrowingCloud:
    """The clouds of the last metres. A jump of time or of odometry begins a new submap."""

    def __init__(self, length: float) -> None:
        """length: of the drive, m."""
        self.length = length
        self._parts: deque[_Part] = deque(maxlen=MOST)
        self._track = Track(LOST)
        self._begin()

    def _begin(self) -> None:
        """Forget everything."""
        self._parts.clear()
        self._target = CloudTarget(np.empty((0, 3)), np.empty((0, 3)))
        self._pose, self._velocity = np.eye(4), AT_REST

    def add(self, points: Floats, stamp_ns: int, odometry: Float64 | None) -> CloudSubmap:
        """Lay points (N, 3), (N, 4) or (N, 5) on the submap; return the submap around them.

        A fifth column says how many seconds after the stamp each point was measured. odometry: pose (4, 4) of the
        sensor in any frame that it drives through smoothly; None: unknown.
        """
        move = self._track.advance(stamp_ns, odometry)
        if not move.goes_on:
            self._begin()
        self._measure_velocity(move.motion, move.after)
        whole = undistorted(points, self._velocity)
        seen = cell_centres(whole, DRAWN, REACH)
        coarse = cell_centres(seen, COARSE, REACH)
        if self._parts:
            self._move(coarse, move.motion, move.after)
        if not self._track.lost:
            self._keep(seen, coarse)
        drawn = np.concatenate([seen @ self._pose[:3, :3].T + self._pose[:3, 3], *(part.drawn for part in self._parts)])
        return CloudSubmap((drawn - self._pose[:3, 3]) @ self._pose[:3, :3], len(self._parts))

    def alone(self, points: Floats, stamp_ns: int, odometry: Float64 | None) -> Floats:
        """Return the points without the distortion by motion, which odometry tells. They are not put together with
        others."""
        move = self._track.advance(stamp_ns, odometry)
        self._begin()
        self._measure_velocity(move.motion, move.after)
        return undistorted(points, self._velocity) if points.shape[1] > 4 and move.motion is not None else points

    def _measure_velocity(self, motion: Float64 | None, after: int) -> None:
        """Take the motion (4, 4) since the cloud before, `after` ns ago."""
        if motion is not None and after >= SHORT:
            turn = Rotation.from_matrix(motion[:3, :3]).as_rotvec()
            self._velocity = np.concatenate([turn, motion[:3, 3]]) * (NS / after)

    def _move(self, coarse: Float64, motion: Float64 | None, after: int) -> None:
        """Find the pose of a cloud, and whether the cloud fits there."""
        guess = self._pose @ (_motion_of(self._velocity * (after / NS)) if motion is None else motion)
        trust = _trust_after(abs(after) / NS) if motion is None else _trust_in(motion)
        match = matched(coarse, self._target, guess, trust)
        fits = match.overlap >= FITS
        if motion is None and fits:
            self._measure_velocity(np.asarray(np.linalg.solve(self._pose, match.pose)), after)
        self._track.judge(fits)
        if fits or motion is not None:
            self._pose = match.pose if fits else guess

    def _keep(self, seen: Float64, coarse: Float64) -> None:
        """Add a cloud to the submap if the robot has moved, and drop those that are too far behind."""
        travelled = 0.0
        if self._parts:
            last = self._parts[-1]
            between = np.linalg.solve(last.pose, self._pose)
            apart = float(np.linalg.norm(between[:3, 3]))
            if apart < APART and Rotation.from_matrix(between[:3, :3]).magnitude() < TURNED:
                return
            travelled = last.travelled + apart
        if len(coarse):
            turned = [points @ self._pose[:3, :3].T for points in (seen, coarse, normals(coarse))]
            here = self._pose[:3, 3]
            self._parts.append(_Part(self._pose, turned[0] + here, turned[1] + here, turned[2], travelled))
        while self._parts and travelled - self._parts[0].travelled > self.length:
            self._parts.popleft()
        points, across = (
            np.concatenate([np.empty((0, 3)), *(getattr(part, name) for part in self._parts)])
            for name in ("coarse", "normals")
        )
        self._target = CloudTarget(points, across)


def undistorted(points: Floats, velocity: Float64) -> Float64:
    """Return points (N, 3) as they would have been measured at the stamp.

    points (N, 3), (N, 4) or (N, 5): a fifth column holds the seconds after it. velocity (6,): rotation vector in rad/s,
    and shift in m/s, of the sensor in its own frame.
    """
    xyz = np.asarray(points)[:, :3].astype(np.float64)
    if np.shape(points)[1] < 5 or not velocity.any() or not len(xyz):
        return xyz
    seconds = np.asarray(points)[:, 4].astype(np.float64)
    if not np.abs(seconds).max() <= SLOWEST:  # also when one is NaN
        return xyz
    first, last = float(seconds.min()), float(seconds.max())
    moment = np.minimum((seconds - first) * (MOMENTS / max(last - first, 1e-9)), MOMENTS - 1).astype(np.intp)
    at = first + (np.arange(MOMENTS) + 0.5) * (last - first) / MOMENTS
    turns = Rotation.from_rotvec(at[:, None] * velocity[:3]).as_matrix()
    shifts = at[:, None] * velocity[3:]
    return np.asarray(np.einsum("nij,nj->ni", turns[moment], xyz) + shifts[moment])


def _motion_of(twist: Float64) -> Float64:
    """Return the motion (4, 4) of a rotation vector and a shift (6,)."""
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec(twist[:3]).as_matrix()
    motion[:3, 3] = twist[3:]
    return motion


def _trust_in(motion: Float64) -> tuple[float, float]:
    """Return how good odometry is that says this motion: standard deviations in m and rad."""
    way, turn = float(np.linalg.norm(motion[:3, 3])), float(Rotation.from_matrix(motion[:3, :3]).magnitude())
    return 0.1 + 0.2 * way, 0.05 + 0.05 * way + 0.2 * turn


def _trust_after(seconds: float) -> tuple[float, float]:
    """Return how good a motion is that is guessed from the one before, so long ago."""
    return min(0.2 + 2.0 * seconds, 2.0), min(0.05 + 0.4 * seconds, 0.5)
