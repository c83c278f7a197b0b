"""Simulate, map, calibrate, drive while sensors fail, and write a report: all in one command.

    any2any demo
    any2any demo --out /tmp/story --seed 3
    any2any demo objects

places: a town is simulated. Lap 1 becomes the map, and a third of the streets of lap 2 calibrates it. The rest of lap 2
is replayed in real time to the real nodes, while camera, LiDAR, sound and captions fail and return: one, two, and all
at once. The results are printed, and written to OUT/report.html (to look at) and OUT/report.json (the same figures).

objects: heads are trained on simulated objects. Other objects are put on a table. The real node looks at the table and
answers typed and spoken commands while cameras fail. The results are in OUT/objects/report.html. --seed puts other
objects on the table. This demo needs PyTorch.

A later run reuses what an earlier one made; --fresh makes everything anew.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from any2any_ros.cli import _arguments
from any2any_ros.errors import Any2AnyError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from any2any_ros.sim.town import TownConfig

    parser.add_argument(
        "what", metavar="WHAT", nargs="?", choices=("places", "objects"), default="places",
        help="which demo: places or objects (default %(default)s)",
    )  # fmt: skip
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for all results (default %(default)s)")
    parser.add_argument("--fresh", action="store_true", help="make everything anew, and reuse nothing")
    _arguments.add_settings(parser, TownConfig)


def run(arguments: argparse.Namespace) -> int:
    from any2any_ros.sim.town import TownConfig

    config = _arguments.settings(arguments, TownConfig)
    if arguments.what == "places":
        from any2any_ros.demo import town_demo

        return town_demo.run(arguments.out, config, arguments.fresh)
    if config != TownConfig(seed=config.seed):
        raise Any2AnyError(
            "The demo of objects simulates no town",
            "a setting of the town is given",
            "Give only --out, --fresh, --seed",
        )
    from any2any_ros.demo import objects_demo

    return objects_demo.run(arguments.out / "objects", config.seed, arguments.fresh)
