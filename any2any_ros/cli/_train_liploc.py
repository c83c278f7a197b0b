"""`any2any train liploc`: camera and LiDAR in one space, from drives that recorded both."""

from __future__ import annotations

import argparse
from pathlib import Path

from any2any_ros.cli import _arguments, _sources
from any2any_ros.config import PlaceConfig
from any2any_ros.encoders.networks.liploc_network import NetworkSize
from any2any_ros.learning.liploc import TrainingConfig
from any2any_ros.learning.liploc_pairs import VariationConfig
from any2any_ros.progress import training_bar
from any2any_ros.workflows.train_liploc import BEST, Drives, HeldOutConfig, LiplocOptions, train_liploc


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("drives", metavar="DRIVE", type=Path, nargs="+", help="KITTI folder with camera and LiDAR")
    parser.add_argument("model", metavar="WEIGHTS", type=Path, help="folder that the result is written to")
    parser.add_argument(
        "--sequence", metavar="NN", action="append", default=[],
        help="of each KITTI odometry folder, e.g. 00; repeat for several",
    )  # fmt: skip
    parser.add_argument(
        "--one-map", action="store_true",
        help="a folder's sequences share one map's frame, as a simulated town's laps do and KITTI's do not",
    )  # fmt: skip
    parser.add_argument(
        "--start", metavar="FILE", type=Path,
        help="begin with this checkpoint, LIP-Loc's own or one of an earlier training, and with its sizes",
    )  # fmt: skip
    _sources.add_place_arguments(parser)
    for settings in (TrainingConfig, VariationConfig, NetworkSize, HeldOutConfig):
        _arguments.add_settings(parser, settings)


def run(arguments: argparse.Namespace) -> int:
    options = LiplocOptions(
        _sources.place_of(arguments, PlaceConfig()),
        arguments.start,
        _arguments.settings(arguments, TrainingConfig),
        _arguments.settings(arguments, VariationConfig),
        _arguments.settings(arguments, NetworkSize),
        _arguments.settings(arguments, HeldOutConfig),
    )
    drives = Drives(tuple(arguments.drives), tuple(arguments.sequence), arguments.one_map)
    progress = training_bar(options.training.steps, "towers")
    record = train_liploc(drives, arguments.model, options, progress)
    pairs, weights = record["pairs"], arguments.model / BEST
    print(f"{pairs['train']} pairs to learn from, {pairs['held out']} of other places to stop by")
    print(f"MRR there {record['validation']:.3f}, chance {record['chance']:.3f}")
    print(f"{weights}: {weights.stat().st_size / 1e6:.1f} MB, for the encoders liploc and liploc_camera")
    return 0
