"""Simulate household objects on a table, and write their pictures and descriptions as a GoLD folder.

    any2any simulate-tabletop out/tabletop
    any2any simulate-tabletop out/tabletop --seed 3 --instances 6

Every object is seen from all sides as crops of colour and depth, and described in writing by twelve writers. With
espeak-ng installed the descriptions are also spoken. The same settings give the same bytes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from any2any_ros.cli import _arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from any2any_ros.sim.tabletop import TabletopConfig

    parser.add_argument("folder", metavar="FOLDER", type=Path, help="folder to write")
    _arguments.add_workers(parser)
    parser.add_argument(
        "--overwrite", action="store_true", help="replace objects that were simulated with other settings"
    )
    _arguments.add_settings(parser, TabletopConfig)


def run(arguments: argparse.Namespace) -> int:
    from any2any_ros.data import gold
    from any2any_ros.sim import tabletop
    from any2any_ros.sim.tabletop import voices

    config = _arguments.settings(arguments, tabletop.TabletopConfig)
    tabletop.write(arguments.folder, config, workers=arguments.workers, overwrite=arguments.overwrite)
    objects = gold.read(arguments.folder)
    spoken = sum(path is not None for view in objects.views for _, path in view.utterances)
    written = sum(len(view.descriptions) for view in objects.views)
    print(
        f"{arguments.folder}: {len(objects.instances)} objects of {len(objects.labels)} classes, "
        f"{len(objects.views)} views, {written} written and {spoken} spoken descriptions"
    )
    if config.utterances and not spoken:
        print(f"Nothing was spoken: {voices.PROGRAM} is not installed (sudo apt install {voices.PROGRAM})")
    return 0
