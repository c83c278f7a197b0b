"""Transforms between frames, as ROS has them in /tf: known at some times, interpolated between them, and chained.

A transform is a pose (4, 4) of a child frame in its parent's: it takes points of the child's frame to the parent's.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.transform import Rotation

from any2any_ros.arrays import Float64, Int64, Rows
from any2any_ros.errors import Any2AnyError

SHOWN = 12  # frames that an error lists


def matrices(rows: ArrayLike) -> Float64:
    """Return the poses (N, 4, 4) of rows (N, 7): x y z in metres, and a quaternion x y z w, not zero."""
    values = np.asarray(rows, dtype=np.float64).reshape(-1, 7)
    poses = np.tile(np.eye(4), (len(values), 1, 1))
    poses[:, :3, 3] = values[:, :3]
    if len(values):
        poses[:, :3, :3] = Rotation.from_quat(values[:, 3:]).as_matrix()
    return poses


def inverted(poses: Float64) -> Float64:
    """Return the inverse of each pose (N, 4, 4)."""
    turned = poses[:, :3, :3].swapaxes(1, 2)
    inverse = np.tile(np.eye(4), (len(poses), 1, 1))
    inverse[:, :3, :3] = turned
    inverse[:, :3, 3] = -(turned @ poses[:, :3, 3:])[:, :, 0]
    return inverse


def before(stamps_ns: Int64, at_ns: Int64) -> Rows:
    """Return the row (M,) of the last of the increasing stamps (N,), N > 0, that is not after each time (M,).

    A time before the first stamp gets row 0; one at the last stamp or after it gets the last row.
    """
    return np.asarray(np.clip(np.searchsorted(stamps_ns, at_ns, side="right") - 1, 0, None))


def interpolated(stamps_ns: Int64, poses: Float64, at_ns: Int64) -> Float64:
    """Return the poses (M, 4, 4) at the times (M,), between poses (N, 4, 4) at increasing stamps (N,).

    NaN before the first stamp and after the last.
    """
    out = np.full((len(at_ns), 4, 4), np.nan)
    if len(stamps_ns) == 0:
        return out
    inside = (at_ns >= stamps_ns[0]) & (at_ns <= stamps_ns[-1])
    if not inside.any():
        return out
    row = before(stamps_ns, at_ns[inside])
    after = np.minimum(row + 1, len(stamps_ns) - 1)
    # Counted from the stamp before: float64 cannot tell nanoseconds since 1970 apart.
    share = (at_ns[inside] - stamps_ns[row]) / np.maximum(stamps_ns[after] - stamps_ns[row], 1)
    start, end = poses[row], poses[after]
    turn = Rotation.from_matrix(start[:, :3, :3])
    turned = (turn.inv() * Rotation.from_matrix(end[:, :3, :3])).as_rotvec()
    out[inside] = np.eye(4)
    out[inside, :3, :3] = (turn * Rotation.from_rotvec(share[:, None] * turned)).as_matrix()
    out[inside, :3, 3] = start[:, :3, 3] + share[:, None] * (end - start)[:, :3, 3]
    return out


@dataclass(eq=False)
class _Edge:
    """The transforms of one child frame in its parent's: rows of 7 numbers, as in `matrices`, in order of time."""

    parent: str
    static: bool
    stamps: array[int] = field(default_factory=lambda: array("q"))
    rows: array[float] = field(default_factory=lambda: array("d"))

    def add(self, stamp_ns: int, row: Sequence[float], capacity: int | None) -> None:
        at = bisect_right(self.stamps, stamp_ns)
        self.stamps.insert(at, stamp_ns)
        self.rows[7 * at : 7 * at] = array("d", row)
        if capacity is not None and len(self.stamps) > capacity:
            del self.stamps[0], self.rows[:7]

    def at(self, at_ns: Int64) -> Float64:
        rows = np.array(self.rows).reshape(-1, 7)
        if self.static:
            return np.broadcast_to(matrices(rows[-1:]), (len(at_ns), 4, 4))
        stamps = np.array(self.stamps, dtype=np.int64)
        first, last = (before(stamps, at_ns[[end(at_ns)]])[0] if len(at_ns) else 0 for end in (np.argmin, np.argmax))
        return interpolated(stamps[first : last + 2], matrices(rows[first : last + 2]), at_ns)


class TransformBuffer:
    """The transforms of a tree of frames. capacity: the newest transforms of each frame that are kept; None: all.

    A frame has one parent. One that gets another parent forgets what it had under the old one, as in tf2.
    """

    def __init__(self, capacity: int | None = None) -> None:
        self._capacity = capacity
        self._edges: dict[str, _Edge] = {}

    def add(self, parent: str, child: str, row: Sequence[float], stamp_ns: int | None = None) -> None:
        """Take the pose of the child's frame in the parent's: x y z in metres, and a quaternion x y z w, not zero.

        stamp_ns: None: it holds at all times.
        """
        parent, child, static = parent.lstrip("/"), child.lstrip("/"), stamp_ns is None
        edge = self._edges.get(child)
        if edge is None or edge.parent != parent or edge.static != static:
            edge = self._edges[child] = _Edge(parent, static)
        edge.add(stamp_ns or 0, row, 1 if static else self._capacity)

    @property
    def frames(self) -> tuple[str, ...]:
        """Return the names of all frames, sorted."""
        return tuple(sorted({*self._edges, *(edge.parent for edge in self._edges.values())}))

    def moving(self) -> list[tuple[str, str]]:
        """Return parent and child of each transform that is not static."""
        return [(edge.parent, child) for child, edge in self._edges.items() if not edge.static]

    def moving_between(self, parent: str, child: str) -> list[tuple[str, str]]:
        """Return the same of the transforms on the way between two frames, those next to the child first.

        Raises Any2AnyError when no way leads from one frame to the other.
        """
        up, down = self._ways(parent, child)
        return [(self._edges[name].parent, name) for name in up + down if not self._edges[name].static]

    def lookup(self, parent: str, child: str, at_ns: ArrayLike) -> Float64:
        """Return the poses (M, 4, 4) of the child's frame in the parent's at the times (M,).

        NaN where a transform on the way is not known: before its first or after its last message. Raises Any2AnyError
        when no way leads from one frame to the other.
        """
        times = np.asarray(at_ns, dtype=np.int64)
        up, down = self._ways(parent, child)
        return self._chained(up, times) if not down else inverted(self._chained(down, times)) @ self._chained(up, times)

    def known_until(self, parent: str, child: str) -> int | None:
        """Return the last time, ns, at which all transforms between two frames are known; None where all are static.

        Raises Any2AnyError when no way leads from one frame to the other.
        """
        moving = self.moving_between(parent, child)
        return min((self._edges[name].stamps[-1] for _, name in moving), default=None)

    def mounting(self, robot: str, sensor: str) -> Float64:
        """Return the pose (4, 4) of a sensor's frame in the robot's, by static transforms; the identity where they do
        not say it."""
        pose = self.pose(robot, sensor)
        return np.eye(4) if pose is None else pose

    def pose(self, parent: str, child: str, at_ns: int = 0) -> Float64 | None:
        """Return the pose (4, 4) of the child's frame in the parent's at a time; None where it is not known."""
        parent, child = parent.lstrip("/"), child.lstrip("/")
        if parent == child:
            return np.eye(4) if parent else None
        try:
            pose = self.lookup(parent, child, [at_ns])[0]
        except Any2AnyError:  # no way leads from one to the other
            return None
        return None if np.isnan(pose).any() else np.asarray(pose)

    def _ways(self, parent: str, child: str) -> tuple[list[str], list[str]]:
        """Return the frames from the child and from the parent up to the frame where both ways meet, which is left
        out."""
        up, down = (self._ancestry(frame.lstrip("/")) for frame in (child, parent))
        meeting = next((frame for frame in up if frame in down), None)
        if meeting is None or not {up[0], down[0]} <= set(self.frames):
            raise Any2AnyError(
                f"There is no transform from {parent} to {child}",
                f"the frames are {_listed(self.frames)}" if self.frames else "there are no transforms at all",
                "Choose two frames that are connected, or record /tf_static, too",
            )
        return up[: up.index(meeting)], down[: down.index(meeting)]

    def _ancestry(self, frame: str) -> list[str]:
        """Return a frame and those above it."""
        way = [frame]
        while way[-1] in self._edges and self._edges[way[-1]].parent not in way:  # a damaged tree may have a circle
            way.append(self._edges[way[-1]].parent)
        return way

    def _chained(self, way: list[str], at_ns: Int64) -> Float64:
        """Return the poses (M, 4, 4) of the first frame of a way in the frame above its last one."""
        poses = np.tile(np.eye(4), (len(at_ns), 1, 1))
        for frame in way:
            poses = self._edges[frame].at(at_ns) @ poses
        return poses


def _listed(names: Iterable[str]) -> str:
    shown = list(names)
    return ", ".join(shown[:SHOWN]) + (f" and {len(shown) - SHOWN} more" if len(shown) > SHOWN else "")
