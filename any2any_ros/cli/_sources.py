"""Flags by which a verb is told what to read."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from any2any_ros.cli import _arguments
from any2any_ros.config import PlaceConfig
from any2any_ros.data import bags
from any2any_ros.data.sources import Recording, open_recording
from any2any_ros.workflows.scans import MOUNTING


def add_source_arguments(parser: argparse.ArgumentParser, name: str = "source") -> None:
    parser.add_argument(
        name, metavar=name.upper(), type=Path, help="KITTI folder, CARMEN log (.log, .log.gz) or rosbag2 folder"
    )
    parser.add_argument("--sequence", metavar="NN", help="of a KITTI odometry folder, e.g. 00")
    parser.add_argument(
        "--topic", action="append", default=[], metavar="NAME=TOPIC", help="a bag's topic of a modality; repeat"
    )
    parser.add_argument(
        "--pose-topic", default=bags.TRUTH, metavar="TOPIC",
        help="a bag's poses: PoseStamped, PoseWithCovarianceStamped or Odometry (default %(default)s)",
    )  # fmt: skip


def open_from(arguments: argparse.Namespace, name: str = "source") -> Recording:
    return open_recording(
        getattr(arguments, name),
        arguments.sequence,
        _arguments.pairs(arguments.topic, "--topic") or None,
        arguments.pose_topic,
    )


def add_mounting(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mounting", default=MOUNTING, metavar="POSE",
        help="the LiDAR in the frame of the drive's poses, 'x y z roll pitch yaw' in metres and radians (default: the "
        "poses are the LiDAR's)",
    )  # fmt: skip


def add_place_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what changes `place_of`."""
    parser.add_argument("--hit-radius", type=float, metavar="METRES", help="a match this near is right")
    parser.add_argument(
        "--keyframe", type=float, metavar="METRES", help="distance between two frames used (default: the data's custom)"
    )


def place_of(arguments: argparse.Namespace, usual: PlaceConfig) -> PlaceConfig:
    """Return what counts as a place: what is usual, with what the flags (--hit-radius, --keyframe ...) change."""
    given = {n: getattr(arguments, n, None) for n in vars(usual)}
    return replace(usual, **{n: value for n, value in given.items() if value is not None})
