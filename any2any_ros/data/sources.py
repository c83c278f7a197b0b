"""Anything that was recorded, opened by its path: a KITTI folder, a CARMEN laser log, or a rosbag2."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from any2any_ros.config import PlaceConfig
from any2any_ros.data import bags, carmen, kitti
from any2any_ros.data.drive import Drive, encode, keyframes
from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry.clouds import LIDAR
from any2any_ros.observation import ObservationSet
from any2any_ros.progress import Progress, silent
from any2any_ros.protocols import Encoder

Cloud = NDArray[np.float32]
# What counts as a place on a road, and in a building: the customary figures of each kind of data.
ON_ROADS = PlaceConfig()
IN_BUILDINGS = PlaceConfig(hit_radius=2.0, keyframe=0.5, path_gap=20.0)


class Recording(Protocol):
    """A recording that can be encoded. place: what counts as a place in it unless told otherwise."""

    @property
    def name(self) -> str: ...
    @property
    def modalities(self) -> tuple[str, ...]: ...
    @property
    def place(self) -> PlaceConfig: ...

    def observe(
        self, encoders: Mapping[str, Encoder], keyframe: float, progress: Progress[Any] = silent
    ) -> ObservationSet:
        """Encode the frames `keyframe` metres apart (0: all) with the encoders of their modalities."""

    def clouds(self, frames: ObservationSet, progress: Progress[Any] = silent) -> Iterator[tuple[str, Cloud]]:
        """Yield the id and the LiDAR's points (N, 4), in its own frame, of those frames observed that have a scan."""


@dataclass(frozen=True, eq=False)
class DriveSource:
    """A drive whose frames lie in files."""

    drive: Drive
    place: PlaceConfig

    @property
    def name(self) -> str:
        return self.drive.name

    @property
    def modalities(self) -> tuple[str, ...]:
        return self.drive.modalities

    def observe(
        self, encoders: Mapping[str, Encoder], keyframe: float, progress: Progress[Any] = silent
    ) -> ObservationSet:
        return encode(self.drive.take(keyframes(self.drive.poses, keyframe)), encoders, progress)

    def clouds(self, frames: ObservationSet, progress: Progress[Any] = silent) -> Iterator[tuple[str, Cloud]]:
        row = {name: i for i, name in enumerate(self.drive.ids())}
        for name in progress(frames.ids, f"scans of {self.name}"):
            points = self.drive.sample(LIDAR, row[name]) if LIDAR in self.modalities else None
            if points is not None:
                yield name, points


@dataclass(frozen=True, eq=False)
class BagSource:
    """A rosbag2: modality -> topic, and the topic of the poses."""

    path: Path
    topics: Mapping[str, str]
    pose_topic: str
    place: PlaceConfig = ON_ROADS

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(sorted(self.topics))

    def observe(
        self, encoders: Mapping[str, Encoder], keyframe: float, progress: Progress[Any] = silent
    ) -> ObservationSet:
        found = bags.observe(self.path, encoders, self.topics, self.pose_topic, progress=progress)
        return found.take(keyframes(found.poses, keyframe))

    def clouds(self, frames: ObservationSet, progress: Progress[Any] = silent) -> Iterator[tuple[str, Cloud]]:
        found = bags.clouds(self.path, self.topics[LIDAR], frames.stamps_ns) if LIDAR in self.topics else ()
        for i, points in progress(found, f"scans of {self.name}"):
            yield frames.ids[i], points


def open_recording(
    path: Path,
    sequence: str | None = None,
    topics: Mapping[str, str] | None = None,
    pose_topic: str = bags.TRUTH,
) -> Recording:
    """Open a recording. sequence: of a KITTI odometry folder. topics, pose_topic: of a bag; None: the defaults.

    Raises Any2AnyError when there is nothing there that can be read.
    """
    if not path.exists():
        raise Any2AnyError(f"There is no {path}", "the path does not exist", "Check its spelling")
    if path.is_file():
        return DriveSource(carmen.read(path), IN_BUILDINGS)
    if (path / "metadata.yaml").exists():
        return BagSource(path, topics or _default_topics(path), pose_topic)
    return DriveSource(kitti.read(path, sequence), ON_ROADS)


def _default_topics(path: Path) -> dict[str, str]:
    with bags.open_reader(path) as reader:
        found = bags.default_topics(reader)
        if not found:
            raise Any2AnyError(
                f"Nothing in the bag {path} can be encoded",
                f"none of its topics is a default one: {', '.join(sorted({c.topic for c in reader.connections}))}",
                "Name them: --topic camera=/my/image",
            )
    return found
