"""Opens a recording by its path: a KITTI folder, a CARMEN laser log, or a bag of ROS 2 or ROS 1."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from any2any_ros import config, names
from any2any_ros.arrays import Array, Float64
from any2any_ros.config import PlaceConfig, PoseConfig
from any2any_ros.data import bag_mountings, bag_poses, bag_topics, bags, carmen, kitti
from any2any_ros.data.bag_poses import PoseSource
from any2any_ros.data.bag_reading import is_bag, listed, named, open_reader
from any2any_ros.data.drive import Drive, encode, keyframes
from any2any_ros.data.earth import Origin
from any2any_ros.data.report import SensorReport
from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry import clouds, upright
from any2any_ros.geometry.clouds import LIDAR
from any2any_ros.observation import ObservationSet
from any2any_ros.progress import Progress, silent
from any2any_ros.protocols import Encoder
from any2any_ros.retrieval.sensor_topic import SensorTopic

# What counts as the same place on a road, and in a building: the usual figures for each kind of data.
ON_ROADS = PlaceConfig()
IN_BUILDINGS = PlaceConfig(hit_radius=2.0, keyframe=0.5, path_gap=20.0)


class Recording(Protocol):
    """A recording that can be encoded. place: what usually counts as the same place in such a recording."""

    @property
    def name(self) -> str: ...
    @property
    def modalities(self) -> tuple[str, ...]: ...
    @property
    def place(self) -> PlaceConfig: ...
    @property
    def report(self) -> SensorReport: ...

    def observe(
        self, encoders: Mapping[str, Encoder], keyframe: float, progress: Progress[Any] = silent
    ) -> ObservationSet:
        """Encode the frames that are `keyframe` metres apart (0: all frames) with the encoders of its modalities.

        `report` tells then what became of every message.
        """

    def clouds(self, frames: ObservationSet, progress: Progress[Any] = silent) -> Iterator[tuple[str, Array]]:
        """Yield id and LiDAR points (N, 4), in the LiDAR's frame, of each observed frame that has a scan."""

    def sensor_topics(self) -> Mapping[str, SensorTopic]:
        """Return, by modality, the ROS topics that were recorded; nothing for a recording without topics."""

    @property
    def base_frame(self) -> str:
        """The robot's frame, whose poses it has; "" where the recording does not say it."""

    @property
    def origin(self) -> Origin | None:
        """Where on Earth the frame of the poses begins; None where they do not come from satellites."""

    def placed(self, origin: Origin | None) -> Recording:
        """Return the recording with its poses in the frame of a map with this origin. Poses that do not come from
        satellites stay as they are. Raises Any2AnyError when they do, and the map has no origin."""


@dataclass(frozen=True, eq=False)
class DriveSource:
    """A recording whose frames are files: a KITTI folder or a laser log."""

    drive: Drive
    place: PlaceConfig
    report: SensorReport = field(default_factory=SensorReport)

    @property
    def name(self) -> str:
        return self.drive.name

    @property
    def modalities(self) -> tuple[str, ...]:
        return self.drive.modalities

    def observe(
        self, encoders: Mapping[str, Encoder], keyframe: float, progress: Progress[Any] = silent
    ) -> ObservationSet:
        self.report.clear()
        rows = keyframes(self.drive.poses, keyframe)
        places = encode(self.drive, encoders, progress, self.report, rows)
        self.report.located(places)
        return places

    def clouds(self, frames: ObservationSet, progress: Progress[Any] = silent) -> Iterator[tuple[str, Array]]:
        row = {name: i for i, name in enumerate(self.drive.ids())}
        for name in progress(frames.ids, f"scans of {self.name}"):
            points = self.drive.sample(LIDAR, row[name]) if LIDAR in self.modalities else None
            if points is not None:
                yield name, points

    def sensor_topics(self) -> Mapping[str, SensorTopic]:
        return {}

    @property
    def base_frame(self) -> str:
        return ""

    @property
    def origin(self) -> None:
        return None

    def placed(self, origin: Origin | None) -> Recording:
        return self


class _Said(NamedTuple):
    """What a bag says beside its messages; as in Recording."""

    topics: Mapping[str, SensorTopic]
    base_frame: str
    mountings: Mapping[str, Float64]
    heights: Mapping[str, float]
    origin: Origin | None


@dataclass(frozen=True, eq=False)
class BagSource:
    """A bag. topics: modality -> topic. poses: where its poses come from."""

    path: Path
    topics: Mapping[str, str]
    poses: PoseSource = PoseSource()
    place: PlaceConfig = ON_ROADS
    report: SensorReport = field(default_factory=SensorReport)

    def __post_init__(self) -> None:
        for modality, topic in self.topics.items():
            names.modality(modality), names.topic(topic)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(sorted(self.topics))

    def observe(
        self, encoders: Mapping[str, Encoder], keyframe: float, progress: Progress[Any] = silent
    ) -> ObservationSet:
        self.report.clear()
        standing = {m: self._standing(m, encoder) for m, encoder in encoders.items()}
        moments = bags.observe(self.path, standing, self.topics, self.poses, progress, self.report)
        self.report.located(moments)
        self._note_mountings()
        return replace(moments.take(keyframes(moments.poses, keyframe)), mountings=self._said.mountings)

    def _standing(self, modality: str, encoder: Encoder) -> Encoder:
        """Return the encoder of a sensor that may lean, as the live nodes use it."""
        mounting = self._said.mountings.get(modality) if encoder.accepts in upright.SEES else None
        if mounting is None:
            return encoder
        expected = upright.expected_height(encoder)
        return upright.standing(encoder, upright.upright(mounting, self._said.heights.get(modality), expected))

    def _note_mountings(self) -> None:
        """Say where each sensor is mounted, or that nothing says it."""
        base, known = self._said.base_frame, self._said.mountings
        for m, topic in self._said.topics.items():
            if m in known:
                self.report.note(f"'{m}' is mounted at {clouds.mounting_text(known[m])} on {base}, by /tf")
            elif base and topic.frame_id:
                unknown = f"/tf does not say where '{m}', frame {topic.frame_id}, is mounted on {base}"
                self.report.note(f"{unknown}: the poses count as those of the sensor")

    def clouds(self, frames: ObservationSet, progress: Progress[Any] = silent) -> Iterator[tuple[str, Array]]:
        if LIDAR in self.topics:
            stamps = self.poses.settings.stamps
            clouds = bags.clouds(self.path, self.topics[LIDAR], frames.stamps_ns, stamps=stamps)
            for i, points in progress(clouds, f"scans of {self.name}"):
                yield frames.ids[i], points

    def sensor_topics(self) -> Mapping[str, SensorTopic]:
        return self._said.topics

    @property
    def base_frame(self) -> str:
        return self._said.base_frame

    @property
    def origin(self) -> Origin | None:
        return self.poses.origin or self._said.origin

    @cached_property
    def _said(self) -> _Said:
        """What the bag says of its sensors and poses: read once, for an unfinished bag has to be searched for it."""
        with open_reader(self.path) as reader:
            topics = bag_topics.sensor_topics(reader, self.topics)
            base = bag_poses.robot_frame(reader, self.poses)
            frames = {m: topic.frame_id for m, topic in topics.items()}
            mountings = bag_mountings.mountings(reader, self.poses, base, frames) if base else {}
            heights = bag_mountings.heights(reader, self.poses, frames) if base else {}
            return _Said(topics, base, mountings, heights, bag_poses.origin(reader, self.poses))

    def placed(self, origin: Origin | None) -> Recording:
        if self.origin is None:
            return self
        if origin is None:
            raise Any2AnyError(
                f"The poses of {self.name} and of the map have two frames",
                "the drive's come from satellites, and the map has no origin on Earth",
                "Give poses in the map's frame (--pose-topic, --poses), or build the map with such poses, too",
            )
        return replace(self, poses=replace(self.poses, origin=origin))


def open_recording(
    path: str | os.PathLike[str],
    sequence: str | None = None,
    topics: Mapping[str, str] | None = None,
    pose_topic: str | None = None,
    poses: str | os.PathLike[str] | None = None,
    pose_settings: PoseConfig = PoseConfig(),
) -> Recording:
    """Open a recording.

    sequence: of a KITTI odometry folder, such as "00". topics: of a bag, modality -> topic; None: the default topics.
    pose_topic: of a bag, such as "/odom", "/tf:map.base_link" or "/fix"; None: TRUTH, if it is there. poses: a
    trajectory file (TUM, or KITTI with times.txt) instead of a topic. Raises Any2AnyError when there is nothing that
    can be read, when a topic is not there, and when an option does not apply to this kind of recording.
    """
    path = Path(path)
    if not path.exists():
        raise Any2AnyError(f"There is no {path}", "the path does not exist", "Check its spelling")
    chosen = {f.name.replace("_", "-"): getattr(pose_settings, f.name) for f in config.fields(PoseConfig)}
    for_folders, for_bags = {"sequence": sequence}, {"topic": topics, "pose-topic": pose_topic, "poses": poses}
    for_bags |= {name: value for name, value in chosen.items() if value != getattr(PoseConfig, name.replace("-", "_"))}
    if is_bag(path):
        _refuse_options(path, "a bag", for_folders)
        return _bag(path, topics, PoseSource(pose_topic or "", Path(poses) if poses else None, pose_settings))
    if path.is_file():
        _refuse_options(path, "a laser log", {**for_folders, **for_bags})
        return DriveSource(carmen.read(path), IN_BUILDINGS)
    _refuse_options(path, "a folder of files, not a bag", for_bags)
    return DriveSource(kitti.read(path, sequence), ON_ROADS)


def _refuse_options(path: Path, kind: str, options: Mapping[str, Any]) -> None:
    """Raise Any2AnyError when an option is given that says nothing about this kind of recording."""
    for name, value in options.items():
        if value is not None:
            raise Any2AnyError(f"--{name} cannot be used with {path}", f"it is {kind}", f"Leave --{name} out")


def _bag(path: Path, topics: Mapping[str, str] | None, poses: PoseSource) -> BagSource:
    """Return a bag whose topics are all there."""
    with open_reader(path) as reader:
        found = topics or bags.default_topics(reader)
        if not found:
            raise Any2AnyError(
                f"Nothing in the bag {path} can be encoded",
                f"none of its topics is a default one: {listed(reader)}",
                "Name them: --topic camera=/my/image",
            )
        source = BagSource(path, found, poses)
        for topic in [*found.values(), *([poses.name] if poses.topic else [])]:
            named(reader, topic)
    return source
