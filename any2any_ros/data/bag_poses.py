"""Where a bag says the robot was: the trajectory in one of its topics, or in a file beside it.

/odom              Odometry, PoseStamped or PoseWithCovarianceStamped
/tf:map.base_link  the frame base_link in the frame map, from TFMessage and from the static transforms beside it
/fix               NavSatFix: metres east, north and up of an origin on Earth
"""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field, replace
from functools import reduce
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros import names
from any2any_ros.arrays import Float64, Int64
from any2any_ros.config import PoseConfig
from any2any_ros.data import bag_messages, earth, trajectory_files
from any2any_ros.data.bag_clocks import Clocks, in_order, stamp_of
from any2any_ros.data.bag_reader import BagReader
from any2any_ros.data.bag_reading import decoded, leave_out, named
from any2any_ros.data.bag_transforms import TRANSFORMS, fault, row_of, static_transforms, transforms
from any2any_ros.data.earth import Origin
from any2any_ros.data.report import POSE, SensorReport, TopicReport
from any2any_ros.data.trajectory import Trajectory
from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry.transforms import matrices
from any2any_ros.poses import FARTHEST

TRUTH = "ground_truth/pose"  # topic of the true poses, in bags that are written here
POSES = (bag_messages.POSE, "geometry_msgs/msg/PoseWithCovarianceStamped", "nav_msgs/msg/Odometry")
FIX = "sensor_msgs/msg/NavSatFix"
POSE_TYPES = (*POSES, FIX, TRANSFORMS[0])
LATE = "its stamp is seconds before those of earlier messages"
NO_FIX = -1  # status of a receiver that has no position
FRAMES = "Name two frames, such as /tf:map.base_link"


@dataclass(frozen=True)
class PoseSource:
    """Where the poses of a bag come from.

    topic: see the top of the file; "": TRUTH, if the bag has it. file: a trajectory (trajectory_files.py) instead of a
    topic. origin: of the map on Earth, for NavSatFix; None: the first fix. Raises Any2AnyError when they do not fit
    together.
    """

    topic: str = ""
    file: Path | None = None
    settings: PoseConfig = PoseConfig()
    origin: Origin | None = None

    def __post_init__(self) -> None:
        if self.topic and self.file:
            raise Any2AnyError("There are two sources of poses", f"{self.topic} and {self.file}", "Name one of them")
        if self.topic:
            names.topic(self.name)
            if ":" in self.topic and not (self.frames and all(self.frames)):
                raise Any2AnyError(f"Cannot understand '{self.topic}'", "it names no two frames", FRAMES)

    @property
    def name(self) -> str:
        """The topic without its frames."""
        return self.topic.partition(":")[0]

    @property
    def frames(self) -> tuple[str, str] | None:
        """Parent and child of a topic of transforms; None where it names none."""
        parent, dot, child = self.topic.partition(":")[2].partition(".")
        return (parent.lstrip("/"), child.lstrip("/")) if dot else None


@dataclass(frozen=True, eq=False)
class BagPoses:
    """A bag's trajectory.

    stamps, received (N,): of its messages, ns, in the order of recording; of a file, stamps alone. frame: whose poses
    they are; "" where the bag does not say it. origin: of NavSatFix.
    """

    trajectory: Trajectory
    stamps: Int64 = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    received: Int64 = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    frame: str = ""
    origin: Origin | None = None

    def clocks(self, settings: PoseConfig) -> Clocks:
        """Return what compares the stamps of sensors with those of the poses."""
        return Clocks(settings.stamps, self.trajectory.source, self.stamps, self.received)


@dataclass(eq=False)
class _Messages:
    """What was read of one topic, or of one transform: `width` numbers a message."""

    width: int = 7
    stamps: array[int] = field(default_factory=lambda: array("q"))
    received: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def add(self, stamp: int, received: int, row: tuple[float, ...]) -> None:
        self.stamps.append(stamp)
        self.received.append(received)
        self.values.extend(row)

    def steady(self, name: str, settings: PoseConfig, row: TopicReport) -> tuple[Int64, Int64, Float64]:
        """Return stamps, times received (N,) and rows (N, width) without those whose stamps are from before."""
        stamps, received = (np.array(a, dtype=np.int64) for a in (self.stamps, self.received))
        kept = in_order(name, stamps) if settings.stamps == "auto" else np.ones(len(stamps), dtype=bool)
        for usable in kept:
            row.encoded() if usable else row.refused(LATE)
        return stamps[kept], received[kept], np.array(self.values).reshape(-1, self.width)[kept]


def read(reader: BagReader, source: PoseSource, report: SensorReport | None = None) -> BagPoses:
    """Return the poses of the robot. Without a source, and without TRUTH in the bag, there are none.

    report: gets a row for the topic. Raises Any2AnyError when the topic is not in the bag or holds no poses, when the
    clock of the poses stepped back, and when their axes are a camera's.
    """
    report, settings = report or SensorReport(), source.settings
    if source.file:
        trajectory = trajectory_files.read(source.file)
        found = BagPoses(trajectory, trajectory.stamps_ns)
    else:
        connections = _connections(reader, source)
        if not connections:
            return BagPoses(Trajectory.of([], np.empty((0, 4, 4)), ""))
        kind = connections[0].msgtype
        row = report.topic(POSE, connections[0].topic, kind, sum(c.msgcount for c in connections))
        if kind in TRANSFORMS:
            found = _from_transforms(reader, source, connections, row)
        elif kind == FIX:
            found = _from_fixes(reader, source, connections, row)
        else:
            found = _from_poses(reader, source, connections, row)
    found = replace(found, trajectory=found.trajectory.in_ros_axes(settings.pose_axes))
    return _moved(found, reader, source) if settings.base_frame else found


def robot_frame(reader: BagReader, source: PoseSource) -> str:
    """Return the frame whose poses are read, the robot's; "" where nothing says it."""
    if source.settings.base_frame:
        return source.settings.base_frame.lstrip("/")
    if source.frames:
        return source.frames[1]
    connections = [] if source.file else _connections(reader, source)
    first = next(decoded(reader, connections, leave_out), None) if connections else None
    if first is None:
        return ""
    connection, _, message = first
    if connection.msgtype in TRANSFORMS:
        message = next(iter(message.transforms), None)
    owner = message.header if connection.msgtype == FIX else message
    return str(getattr(owner, "frame_id" if connection.msgtype == FIX else "child_frame_id", "")).lstrip("/")


def _moved(found: BagPoses, reader: BagReader, source: PoseSource) -> BagPoses:
    """Return the poses of `base_frame`, which is fixed to the frame whose poses were found."""
    base = source.settings.base_frame.lstrip("/")
    if not found.frame:
        raise Any2AnyError(
            f"Cannot move the poses to {base}", f"{found.trajectory.source or 'the bag'} does not say whose they are",
            "Leave out --base-frame, or give Odometry, NavSatFix or /tf",
        )  # fmt: skip
    offset = static_transforms(reader, source.name).lookup(found.frame, base, [0])[0]
    return replace(found, trajectory=replace(found.trajectory, poses=found.trajectory.poses @ offset), frame=base)


def origin(reader: BagReader, source: PoseSource) -> Origin | None:
    """Return the first fix of a source that is NavSatFix: where the map's frame lies on Earth. None for another source,
    and where the receiver never had a position."""
    connections = [] if source.file else _connections(reader, source)
    if not connections or connections[0].msgtype != FIX:
        return None
    found = next(filter(None, (_fix(message)[0] for _, _, message in decoded(reader, connections, leave_out))), None)
    return None if found is None else (found[0], found[1], float(np.nan_to_num(found[2])))


def _connections(reader: BagReader, source: PoseSource) -> list[Any]:
    """Return the connections of the topic of a source; [] when none is named, and TRUTH is not there."""
    name = (source.name or TRUTH).lstrip("/")
    found = [c for c in reader.connections if c.topic.lstrip("/") == name]
    wrong = next((c for c in found if c.msgtype not in (*POSE_TYPES, *TRANSFORMS)), None)
    if wrong is not None:
        raise Any2AnyError(
            f"Topic {wrong.topic} holds no poses", f"its type is {wrong.msgtype}",
            f"Choose a topic of type {', '.join(POSE_TYPES)}",
        )  # fmt: skip
    if source.topic and not found:
        named(reader, name)
    if source.frames and found and found[0].msgtype not in TRANSFORMS:
        raise Any2AnyError(
            f"Topic {source.name} has no frames to choose", f"its type is {found[0].msgtype}", f"Write {source.name}"
        )
    return found


def _from_poses(reader: BagReader, source: PoseSource, connections: list[Any], row: TopicReport) -> BagPoses:
    seen, frame = _Messages(), ""
    for _, received, message in decoded(reader, connections, row.undecodable):
        row.read()
        pose = message.pose.pose if hasattr(message.pose, "pose") else message.pose
        numbers = row_of(pose.position, pose.orientation)
        frame = frame or str(getattr(message, "child_frame_id", "")).lstrip("/")
        if _usable(row, fault(numbers)):
            seen.add(stamp_of(message, received, source.settings.stamps), received, numbers)
    stamps, received_at, rows = seen.steady(row.topic, source.settings, row)
    return BagPoses(Trajectory.of(stamps, matrices(rows), row.topic), stamps, received_at, frame)


def _from_fixes(reader: BagReader, source: PoseSource, connections: list[Any], row: TopicReport) -> BagPoses:
    seen, frame = _Messages(width=3), ""
    for _, received, message in decoded(reader, connections, row.undecodable):
        row.read()
        fix, why = _fix(message)
        frame = frame or str(message.header.frame_id).lstrip("/")
        if _usable(row, why) and fix:
            seen.add(stamp_of(message, received, source.settings.stamps), received, fix)
    stamps, received_at, fixes = seen.steady(row.topic, source.settings, row)
    base = source.origin or (origin(reader, source) if len(fixes) else None)
    poses = earth.poses(fixes, base) if base else np.empty((0, 4, 4))
    return BagPoses(Trajectory.of(stamps, poses, row.topic), stamps, received_at, frame, base)


def _from_transforms(reader: BagReader, source: PoseSource, connections: list[Any], row: TopicReport) -> BagPoses:
    settings, edges, buffer = source.settings, dict[tuple[str, str], _Messages](), static_transforms(reader, row.topic)
    row.promised = None  # a message holds many transforms
    for _, received, transform in transforms(reader, row.topic):
        row.read()
        numbers = row_of(transform.transform.translation, transform.transform.rotation)
        if _usable(row, fault(numbers)):
            edge = (transform.header.frame_id.lstrip("/"), transform.child_frame_id.lstrip("/"))
            seen = edges.setdefault(edge, _Messages())
            seen.add(stamp_of(transform, received, settings.stamps), received, numbers)
    parent, child = source.frames or _only(edges, row.topic)
    # A frame may have two parents in a bag, of two programs that both say where the robot is.
    steady = {e: m.steady(f"{row.topic}, {e[0]} to {e[1]},", settings, row) for e, m in edges.items()}
    for edge in sorted(steady, key=lambda e: e == (parent, child)):
        for stamp, numbers in zip(steady[edge][0].tolist(), steady[edge][2].tolist(), strict=True):
            buffer.add(*edge, numbers, stamp)
    moving = buffer.moving_between(parent, child)
    if not moving:
        raise Any2AnyError(f"{child} does not move in {parent}", f"{row.topic} has only static transforms", FRAMES)
    stamps, received_at, _ = steady[moving[0]]
    tracks = [
        Trajectory.of(steady[edge][0], matrices(steady[edge][2]), f"{row.topic}:{edge[0]}.{edge[1]}") for edge in moving
    ]
    knots = reduce(np.union1d, (track.stamps_ns for track in tracks))
    known = np.all([[not why for why in track.at(knots, settings).reasons] for track in tracks], axis=0)
    poses = buffer.lookup(parent, child, knots[known])
    return BagPoses(Trajectory.of(knots[known], poses, f"{row.topic}:{parent}.{child}"), stamps, received_at, child)


def _only(edges: dict[tuple[str, str], _Messages], topic: str) -> tuple[str, str]:
    """Return the one transform that there is. Raises Any2AnyError, which lists what there is, otherwise."""
    if len(edges) == 1:
        return next(iter(edges))
    listed = ", ".join(f"{topic}:{parent}.{child}" for parent, child in sorted(edges)[:12])
    raise Any2AnyError(
        f"{topic} holds {len(edges)} transforms", f"they are {listed}" if listed else "none can be used",
        f"{FRAMES}; frames may be several transforms apart",
    )  # fmt: skip


def _usable(row: TopicReport, why: str) -> bool:
    """Return whether nothing is wrong with a message; count it as refused otherwise."""
    if why:
        row.refused(why)
    return not why


def _fix(message: Any) -> tuple[tuple[float, float, float] | None, str]:
    """Return latitude and longitude in degrees and the height in m (NaN: unknown), or None and why there is no fix."""
    if message.status.status <= NO_FIX:
        return None, "the receiver has no position (status -1)"
    why = earth.fault(message.latitude, message.longitude)
    height = message.altitude if abs(message.altitude) < FARTHEST else np.nan
    return (None, why) if why else ((message.latitude, message.longitude, float(height)), "")
