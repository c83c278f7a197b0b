"""Simulate two laps through a town, and write them as a KITTI odometry folder.

    any2any simulate out/town
    any2any simulate out/town --seed 3 --places 600
    any2any simulate out/town --thermal

The laps (sequences 00 and 01) differ in light, season and traffic, and a part of the second lap is driven in the
opposite direction. LiDAR, camera, sound and captions are recorded, each with faults of its own. --thermal adds a
thermal camera and changes no other file. The same settings give the same bytes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from any2any_ros.cli import _arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from any2any_ros.sim.town import TownConfig

    parser.add_argument("folder", metavar="FOLDER", type=Path, help="folder to write")
    _arguments.add_workers(parser)
    parser.add_argument(
        "--overwrite", action="store_true", help="replace a town that was simulated with other settings"
    )
    parser.add_argument("--thermal", action="store_true", help="also record a thermal camera")
    _arguments.add_settings(parser, TownConfig)


def run(arguments: argparse.Namespace) -> int:
    from any2any_ros.sim import town

    config = _arguments.settings(arguments, town.TownConfig)
    town.write(
        arguments.folder, config,
        workers=arguments.workers, overwrite=arguments.overwrite, thermal=arguments.thermal,
    )  # fmt: skip
    print(f"{arguments.folder}: two laps of {config.places} places, {config.length:.0f} m each")
    return 0
