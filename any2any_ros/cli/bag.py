"""Convert a KITTI folder or a CARMEN laser log to a rosbag2.

    any2any bag KITTI my_bag --sequence 00
    any2any bag intel.log.gz my_bag --storage sqlite3

The topics are the defaults of the encoders: camera/image_raw, thermal/image_raw, lidar/points, scan, microphone/audio,
caption. Ground truth, if there is any, goes to ground_truth/pose.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from any2any_ros.cli import _arguments, _sources
from any2any_ros.data import bags
from any2any_ros.data.bag_reading import is_bag
from any2any_ros.data.drive import keyframes
from any2any_ros.data.sources import DriveSource
from any2any_ros.errors import Any2AnyError
from any2any_ros.progress import progress_bar


def add_arguments(parser: argparse.ArgumentParser) -> None:
    _sources.add_source_arguments(parser)
    parser.add_argument("bag", metavar="BAG", type=Path, help="folder to write; it must not exist")
    parser.add_argument(
        "--storage",
        choices=tuple(bags.STORAGES),
        default="mcap",
        help="storage format of the bag (default %(default)s)",
    )
    parser.add_argument(
        "--keyframe",
        type=_arguments.number(float, 0, 1e4),
        default=0.0,
        metavar="METRES",
        help="distance between two frames (default: every frame)",
    )
    _sources.add_json(parser)


def run(arguments: argparse.Namespace) -> int:
    if arguments.source.exists() and is_bag(arguments.source):
        raise _refusal(arguments.source, arguments.bag)
    source = _sources.open_from(arguments)
    assert isinstance(source, DriveSource)
    drive = source.drive.take(keyframes(source.drive.poses, arguments.keyframe))
    bags.write(drive, arguments.bag, arguments.storage, progress_bar, source.report)
    print(f"{arguments.bag}: {len(drive)} frames of {', '.join(drive.modalities)}")
    _sources.tell(arguments, source, {"bag": str(arguments.bag), "frames": len(drive)})
    return 0


def _refusal(old: Path, new: Path) -> Any2AnyError:
    """Return why a bag is not converted."""
    what = f"Cannot convert {old}"
    if old.suffix == ".bag":
        remedy = f"build-map and others read it as it is; or: rosbags-convert --src {old} --dst {new}"
        return Any2AnyError(what, "it is a bag of ROS 1 already", remedy)
    return Any2AnyError(what, "it is a bag already", "Use it as it is")
