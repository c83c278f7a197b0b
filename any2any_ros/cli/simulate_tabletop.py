"""Set a simulated table with household objects, and write their pictures and descriptions as a GoLD folder.

    any2any simulate-tabletop out/tabletop
    any2any simulate-tabletop out/tabletop --seed 3 --instances 6

Colour and depth crops from all sides, written descriptions by twelve writers, and the same spoken aloud where
espeak-ng is installed. The same settings give the same bytes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from any2any_ros.cli import _arguments


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from any2any_ros.sim.tabletop import TabletopConfig

    parser.add_argument("folder", metavar="FOLDER", type=Path, help="where to write the objects")
    parser.add_argument("--workers", type=int, default=2, help="processes that draw them (default %(default)s)")
    parser.add_argument("--overwrite", action="store_true", help="replace a table of other settings")
    _arguments.add_settings(parser, TabletopConfig)


def run(arguments: argparse.Namespace) -> int:
    from any2any_ros.data import gold
    from any2any_ros.sim import tabletop
    from any2any_ros.sim.tabletop import voices

    config = _arguments.settings(arguments, tabletop.TabletopConfig)
    tabletop.write(arguments.folder, config, workers=arguments.workers, overwrite=arguments.overwrite)
    found = gold.read(arguments.folder)
    said = sum(path is not None for view in found.views for _, path in view.utterances)
    print(
        f"{arguments.folder}: {len(found.instances)} objects of {len(found.labels)} classes, {len(found.views)} views, "
        f"{sum(len(view.descriptions) for view in found.views)} written and {said} spoken descriptions"
    )
    if config.utterances and not said:
        print(f"Nothing was spoken: {voices.PROGRAM} is not installed (sudo apt install {voices.PROGRAM})")
    return 0
