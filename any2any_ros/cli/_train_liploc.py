"""`any2any train liploc`: one embedding space for camera and LiDAR."""

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
    parser.add_argument("model", metavar="WEIGHTS", type=Path, help="folder to write")
    parser.add_argument(
        "--sequence", metavar="NN", action="append", default=[],
        help="sequence of each KITTI odometry folder, e.g. 00; repeat for several",
    )  # fmt: skip
    parser.add_argument(
        "--one-map", action="store_true",
        help="the sequences of a folder share the frame of one map, as the laps of a simulated town do; KITTI's do not",
    )  # fmt: skip
    parser.add_argument(
        "--start", metavar="FILE", type=Path,
        help="start from this checkpoint, of LIP-Loc itself or of an earlier training; it also sets the network's size",
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
    print(f"{pairs['train']} pairs to train with, {pairs['held out']} of other places to validate")
    print(f"MRR of the validation {record['validation']:.3f}, chance {record['chance']:.3f}")
    print(f"{weights}: {weights.stat().st_size / 1e6:.1f} MB, for the encoders liploc and liploc_camera")
    return 0
