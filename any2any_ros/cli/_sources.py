"""Arguments that say which recording a verb reads, and what counts as a place in it."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from any2any_ros import storage
from any2any_ros.cli import _arguments
from any2any_ros.config import PlaceConfig, PoseConfig
from any2any_ros.data.bag_poses import TRUTH
from any2any_ros.data.sources import Recording, open_recording
from any2any_ros.workflows.inputs import topics_of_map
from any2any_ros.workflows.scans import MOUNTING

USUAL = "(default: what is usual for this kind of recording)"


def add_source_arguments(parser: argparse.ArgumentParser, name: str = "source") -> None:
    """Add the arguments that `open_from` reads."""
    parser.add_argument(
        name, metavar=name.upper(), type=Path,
        help="the recording: KITTI folder or one like it (docs/recordings.md), CARMEN laser log (.log, .log.gz), or a "
        "bag: rosbag2 folder, .mcap or .db3 file, or a ROS 1 .bag",
    )  # fmt: skip
    parser.add_argument("--sequence", metavar="NN", help="drive of a folder of several, e.g. 00 of KITTI odometry")
    parser.add_argument(
        "--topic", action="append", default=[], metavar="NAME=TOPIC",
        help="topic of a modality in a bag, e.g. camera=/front/image_raw; repeat for several (default: the topics "
        "that the map was made from, else the encoders')",
    )  # fmt: skip
    parser.add_argument(
        "--pose-topic", metavar="TOPIC",
        help="topic of the robot's poses in a bag: Odometry, PoseStamped, PoseWithCovarianceStamped or NavSatFix; "
        f"two frames of /tf as /tf:map.base_link (default {TRUTH}, if it is there)",
    )  # fmt: skip
    parser.add_argument(
        "--poses", type=_arguments.existing, metavar="FILE",
        help="trajectory of a bag instead of a topic: TUM (time x y z qx qy qz qw), or KITTI poses with times.txt",
    )  # fmt: skip
    _arguments.add_settings(parser, PoseConfig)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Add the file that `tell` writes."""
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write the figures, and what became of each topic, to this file"
    )


def tell(arguments: argparse.Namespace, recording: Recording, figures: Mapping[str, Any] | None = None) -> None:
    """Print what became of each topic of the recording; write it with the figures of the verb where --json says."""
    print(f"\n{recording.report.table()}")
    if arguments.json:
        storage.write_json(arguments.json, {**(figures or {}), "reading": recording.report.as_dict()})


def open_from(arguments: argparse.Namespace, map: Path | None = None) -> Recording:
    """Open the recording that the arguments name.

    map: folder of the map that it is compared with, whose topics count where the arguments name no other.
    """
    told = _arguments.pairs(arguments.topic, "--topic")
    return open_recording(
        arguments.source,
        arguments.sequence,
        {**topics_of_map(map, arguments.source), **told} or None,
        arguments.pose_topic,
        arguments.poses,
        _arguments.settings(arguments, PoseConfig),
    )


def add_mounting(parser: argparse.ArgumentParser) -> None:
    """Add the pose of the LiDAR on the robot."""
    parser.add_argument(
        "--mounting", default=MOUNTING, metavar="POSE",
        help="pose of the LiDAR in the robot's frame, 'x y z roll pitch yaw' in metres and radians (default: what "
        "/tf_static of a bag says, or the map, or else that the poses are the LiDAR's)",
    )  # fmt: skip


def add_place_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the flags that `place_of` reads."""
    parser.add_argument("--hit-radius", type=float, metavar="METRES", help=f"a match is right within this {USUAL}")
    add_keyframe(parser)


def add_keyframe(parser: argparse.ArgumentParser) -> None:
    """Add the distance between two frames."""
    parser.add_argument(
        "--keyframe", type=float, metavar="METRES", help=f"distance between two frames that are used {USUAL}"
    )


def place_of(arguments: argparse.Namespace, usual: PlaceConfig) -> PlaceConfig:
    """Return what counts as a place: what is usual, except where a flag (--hit-radius, --keyframe ...) is given."""
    values = {name: getattr(arguments, name, None) for name in vars(usual)}
    return replace(usual, **{name: value for name, value in values.items() if value is not None})
