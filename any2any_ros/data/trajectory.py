"""A trajectory: the robot's poses in time, from whatever source, and which moments of a recording have a pose."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros.arrays import Flags, Float64, Int64, Rows
from any2any_ros.config import PoseConfig
from any2any_ros.data.drive import STEP, spaced
from any2any_ros.data.kitti_poses import ROS_FROM_CAMERA
from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry import transforms
from any2any_ros.samples import NS

FASTEST = 100.0  # m/s; two poses that are farther apart belong to two drives, or to two clocks
JITTER = 1.0  # m that a pose may be off without being a jump
FEW = 0.1  # share of the stamps that may have two poses
BEFORE, AFTER, NONE = "before the first pose", "after the last pose", "no poses were found (--pose-topic, --poses)"
FAR_ENOUGH = 5.0  # m of driving that tell which axis of the poses is forward
FORWARD = 0.9  # share of the way that leads forward, where one axis is
FLAT = 5.0  # times the robot's way is longer than it is high


@dataclass(frozen=True, eq=False)
class Located:
    """poses (M, 4, 4); NaN where a moment has none. reasons: M texts, why it has none; "" where it has one."""

    poses: Float64
    reasons: tuple[str, ...]

    def counts(self) -> dict[str, int]:
        """Return how many moments have no pose, by reason, the most frequent first."""
        return dict(Counter(filter(None, self.reasons)).most_common())

    def without(self, wrong: Flags, why: str) -> Located:
        """Return the same, where the moments `wrong` (M,) have no pose for this reason, or for one they had before."""
        reasons = [reason or why * bool(w) for reason, w in zip(self.reasons, wrong, strict=True)]
        return Located(np.where(wrong[:, None, None], np.nan, self.poses), tuple(reasons))


@dataclass(frozen=True, eq=False)
class Trajectory:
    """Poses in time.

    stamps_ns (N,): increasing. poses (N, 4, 4): map from robot, axes of REP-103, m. source: its name for the user.
    """

    stamps_ns: Int64
    poses: Float64
    source: str

    @classmethod
    def of(cls, stamps_ns: ArrayLike, poses: Float64, source: str) -> Trajectory:
        """Return the trajectory of poses (N, 4, 4) in any order.

        Of two poses of one stamp the later one counts; when they lie far apart, none does. Raises Any2AnyError when
        many stamps have two such poses.
        """
        stamps = np.asarray(stamps_ns, dtype=np.int64)
        order = np.argsort(stamps, kind="stable")
        stamps, poses = stamps[order], poses[order]
        twin = np.diff(stamps) == 0
        jump = twin & (_distance(poses) > JITTER)
        last = np.append(~twin, True)[: len(stamps)]
        torn = np.unique(stamps[:-1][jump]) if len(stamps) else stamps
        if len(torn) > FEW * last.sum():
            raise Any2AnyError(
                f"The poses of {source} contradict each other",
                f"{len(torn)} of {last.sum()} stamps have two, up to {_distance(poses)[jump].max():.1f} m apart",
                "Record again: its clock stepped back, or two programs or robots wrote to it",
            )
        kept = last & ~np.isin(stamps, torn)
        return cls(stamps[kept], poses[kept], source)

    def __len__(self) -> int:
        return len(self.stamps_ns)

    def at(self, stamps_ns: Int64, limits: PoseConfig = PoseConfig()) -> Located:
        """Return the poses at the stamps (M,), interpolated, and for each stamp without one the reason."""
        stamps = np.asarray(stamps_ns, dtype=np.int64)
        poses = transforms.interpolated(self.stamps_ns, self.poses, stamps)
        if len(self) == 0:
            return Located(poses, (NONE,) * len(stamps))
        row = transforms.before(self.stamps_ns, stamps)
        apart, jump = self._gaps(limits)
        between = stamps != self.stamps_ns[row]
        in_gap, in_jump = (between & np.isin(row, rows) for rows in (apart, jump))
        seconds, metres = np.diff(self.stamps_ns) / NS, _distance(self.poses)
        reasons = np.full(len(stamps), "", dtype=object)
        reasons[in_jump] = f"where the poses jump, by {_extent(metres[np.unique(row[in_jump])], 'm')}"
        reasons[in_gap] = f"in a gap between poses, of {_extent(seconds[np.unique(row[in_gap])], 's')}"
        reasons[stamps < self.stamps_ns[0]], reasons[stamps > self.stamps_ns[-1]] = BEFORE, AFTER
        poses[reasons != ""] = np.nan
        return Located(poses, tuple(reasons.tolist()))

    def _gaps(self, limits: PoseConfig) -> tuple[Rows, Rows]:
        """Return the rows after which the next pose comes too late to interpolate, and those after which it is too far
        away."""
        seconds, metres = np.diff(self.stamps_ns) / NS, _distance(self.poses)
        late = seconds > limits.pose_gap_time
        fast = (metres > JITTER) & (metres > FASTEST * seconds)
        return np.flatnonzero(late), np.flatnonzero(~late & (fast | (metres > limits.pose_gap_distance)))

    def in_ros_axes(self, axes: str) -> Trajectory:
        """Return the trajectory in the axes of REP-103. axes: "ros", "camera", or "auto": ROS axes are expected.

        Raises Any2AnyError when the axes are "auto" and the robot drives along z in the x-z plane.
        """
        if axes == "camera":
            return replace(self, poses=ROS_FROM_CAMERA @ self.poses @ ROS_FROM_CAMERA.T)
        if axes == "auto" and self.looks_like_camera():
            raise Any2AnyError(
                f"The poses of {self.source} seem to have the axes of a camera",
                "they move along their own z axis, and hardly along y: z is forward and y is down",
                "Have them converted: --pose-axes camera. If z is up, and the robot is a lift: --pose-axes ros",
            )
        return self

    def looks_like_camera(self) -> bool:
        """Return whether z is the axis of driving, in the robot's frame and in the map's."""
        way = self.poses[spaced(self.poses[:, :3, 3], STEP)]
        steps = np.diff(way[:, :3, 3], axis=0)
        length = np.linalg.norm(steps, axis=1)
        if length.sum() < FAR_ENOUGH:
            return False
        ahead = np.abs(np.einsum("nij,ni->nj", way[:-1, :3, :3], steps)).sum(axis=0) / length.sum()
        _, y, z = np.ptp(way[:, :3, 3], axis=0)
        return bool(ahead[2] > FORWARD and z > FLAT * y)


def range_text(stamps_ns: Int64) -> str:
    """Return when the first and the last of the stamps (N,), N > 0, are: "1700000000.00 to 1700000039.75 s"."""
    first, last = int(np.min(stamps_ns)), int(np.max(stamps_ns))
    return f"{first / NS:.2f} to {last / NS:.2f} s" if first != last else f"always {first / NS:.2f} s"


def refuse_apart(owner: str, stamps_ns: Int64, located: Located, trajectory: Trajectory) -> None:
    """Raise Any2AnyError when no moment has a pose because the times of poses and moments do not overlap."""
    if len(trajectory) and len(stamps_ns) and set(located.reasons) <= {BEFORE, AFTER}:
        raise Any2AnyError(
            f"No moment of {owner} has a pose",
            f"the sensors' stamps are {range_text(stamps_ns)}, those of {trajectory.source} "
            f"{range_text(trajectory.stamps_ns)}",
            "Give poses of the same time and clock; of a bag with sensors that count from their start: "
            "--stamps received",
        )


def _extent(sizes: Float64, unit: str) -> str:
    """Return how large gaps (N,) are: "20.0 s", or "2.5 to 20.0 s"."""
    low, high = f"{sizes.min(initial=np.inf):.1f}", f"{sizes.max(initial=0):.1f}"
    return f"{high} {unit}" if low == high else f"{low} to {high} {unit}"


def _distance(poses: Float64) -> Float64:
    """Return the distances (N - 1,) between poses (N, 4, 4) that follow each other."""
    return np.asarray(np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1))
