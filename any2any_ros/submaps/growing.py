"""A submap that grows with the drive: each scan is laid on those of the last metres.

Odometry says where to begin; where there is none, the motion up to the scan before.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Float64
from any2any_ros.samples import NS, Scan
from any2any_ros.submaps.matching import Target, Trust, matched
from any2any_ros.submaps.planar import HERE, Planar, Points, wrapped
from any2any_ros.submaps.see_through import looked_through
from any2any_ros.submaps.surfaces import Surfaces, refuse_angles, surfaces
from any2any_ros.submaps.track import Track

APART, TURNED = 0.2, 0.2  # m and rad; a scan this far from the one before becomes part of the submap
MOST = 128  # scans of a submap: a robot that turns for minutes drives no metres
DENSE = 360  # points of each of them, at most
LOST = 3  # scans in a row that do not fit; then a new submap begins
FITS = 0.3  # share of a scan's points that must lie on the submap
THROUGH = 0.2  # share of the submap that a scan may look through
SHORT = NS // 200  # ns between two scans; shorter ones tell no velocity


@dataclass(frozen=True, eq=False)
class Submap:
    """Points (N,) of the last metres in the frame of the newest scan's sensor, of so many scans."""

    points: Points
    scans: int


@dataclass(frozen=True, eq=False)
class _Part:
    pose: Planar
    surfaces: Surfaces  # in the submap's frame
    travelled: float  # m up to it


class GrowingSubmap:
    """The scans of the last metres. A jump of time or of odometry begins a new submap."""

    def __init__(self, length: float, blind: float, reach: float) -> None:
        """length: of the drive, m. blind, reach: m; returns outside are left out."""
        self.length, self._blind, self._reach = length, blind, reach
        self._parts: deque[_Part] = deque(maxlen=MOST)
        self._track = Track(LOST)
        self._begin()

    def _begin(self) -> None:
        """Forget everything."""
        self._parts.clear()
        self._target = Target(Surfaces(np.empty(0, complex), np.empty(0, complex)))
        self._pose, self._velocity = HERE, HERE

    def add(self, scan: Scan, stamp_ns: int, odometry: Float64 | None) -> Submap:
        """Lay a scan on the submap; return the submap around it.

        odometry: pose (4, 4) of the sensor in any frame that it drives through smoothly; None: unknown. Raises
        Any2AnyError when the scan's angles are not finite.
        """
        refuse_angles(scan)
        move = self._track.advance(stamp_ns, odometry)
        if not move.goes_on:
            self._begin()
        motion = None if move.motion is None else Planar.of(move.motion)
        self._measure_velocity(motion, move.after)
        seen = surfaces(scan, self._blind, self._reach, self._velocity)
        if self._parts:
            self._move(seen, motion, move.after)
        if not self._track.lost:
            self._keep(seen)
        return Submap(self._pose.inverse()(self._target.surfaces.points), len(self._parts))

    def _measure_velocity(self, motion: Planar | None, after: int) -> None:
        """Take the motion since the scan before, `after` ns ago."""
        if motion is not None and after >= SHORT:
            self._velocity = motion.times(NS / after)

    def _move(self, seen: Surfaces, motion: Planar | None, after: int) -> None:
        """Find the pose of a scan, and whether the scan fits there."""
        if motion is None:
            guess, trust = self._pose.then(self._velocity.times(after / NS)), _trust_after(abs(after) / NS)
        else:
            guess, trust = self._pose.then(motion), _trust_in(motion)
        match = matched(seen, self._target, guess, trust)
        fits = match.overlap >= FITS and self._looked_through(seen, match.pose) <= THROUGH
        if motion is None and fits:
            self._measure_velocity(self._pose.inverse().then(match.pose), after)
        self._track.judge(fits)
        if fits or motion is not None:
            self._pose = match.pose if fits else guess

    def _looked_through(self, seen: Surfaces, pose: Planar) -> float:
        """Return the share of the submap that a scan looks through from this pose."""
        return looked_through(pose.inverse()(self._target.surfaces.points), seen.points)

    def _keep(self, seen: Surfaces) -> None:
        """Add a scan to the submap if the robot has moved, and drop those that are too far behind."""
        travelled = 0.0
        if self._parts:
            last = self._parts[-1]
            apart = abs(self._pose.shift - last.pose.shift)
            if apart < APART and abs(wrapped(self._pose.turn - last.pose.turn)) < TURNED:
                return
            travelled = last.travelled + apart
        if len(seen):
            self._parts.append(_Part(self._pose, seen.thinned(DENSE).moved(self._pose), travelled))
        while self._parts and travelled - self._parts[0].travelled > self.length:
            self._parts.popleft()
        points, normals = (
            np.concatenate([np.empty(0, complex), *(getattr(part.surfaces, name) for part in self._parts)])
            for name in ("points", "normals")
        )
        self._target = Target(Surfaces(points, normals), self._pose.shift)


def _trust_in(motion: Planar) -> Trust:
    """Return how good odometry is that says this motion."""
    way, turn = abs(motion.shift), abs(motion.turn)
    return Trust(0.1 + 0.2 * way, 0.1 + 0.1 * way + 0.2 * turn)


def _trust_after(seconds: float) -> Trust:
    """Return how good a motion is that is guessed from the one before, so long ago."""
    return Trust(min(0.02 + 0.3 * seconds, 0.7), min(0.02 + 0.4 * seconds, 0.5))
