"""Drive through a simulated town and write it as a KITTI odometry folder.

    any2any simulate out/town
    any2any simulate out/town --seed 3 --places 600
    any2any simulate out/town --thermal

Two laps (sequences 00 and 01) in different light, season and traffic, part of the second one in the opposite
direction; LiDAR, camera, sound and captions, each imperfect in its own way; with --thermal
also a thermal camera, the other sensors' files being the same as without. The same settings give the same bytes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from any2any_ros.cli import _arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from any2any_ros.sim.town import TownConfig

    parser.add_argument("folder", metavar="FOLDER", type=Path, help="where to write the town")
    parser.add_argument("--workers", type=int, default=2, help="processes that draw it (default %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace a town of other settings")
    parser.add_argument("--thermal", action="store_true", help="record a thermal camera, too")
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
