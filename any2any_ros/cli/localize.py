"""Say where the robot is now, by the action localize of a running system.

    any2any localize
    any2any localize --sensor lidar --near 12 4 30 --timeout 5 --json where.json

Prints one line. Exit code 0 when the robot is localized, 1 when it is not, which the line explains.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from any2any_ros import storage
from any2any_ros.cli import _arguments
from any2any_ros.node_config import RetrievalNodeConfig
from any2any_ros.nodes import session

WAIT = 10.0  # s for a system that is running


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timeout", type=_arguments.number(float, 0.1, 3600), default=RetrievalNodeConfig.patience, metavar="S",
        help="longest time until the answer, in seconds (default %(default)g)",
    )  # fmt: skip
    parser.add_argument("--sensor", action="append", default=[], metavar="NAME", help="use this only; repeat")
    parser.add_argument(
        "--near", type=float, nargs=3, default=(0.0, 0.0, 0.0), metavar=("X", "Y", "RADIUS"),
        help="circle in the map where the robot is, in metres (default: anywhere)",
    )  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the result to this file")
    _arguments.add_profile_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    session.require_ros()
    from any2any_ros.nodes.localize_client import ask

    x, y, radius = arguments.near
    with session.node("localize", arguments.dds_profile) as node:
        found = ask(node, WAIT, timeout=arguments.timeout, sensors=arguments.sensor, x=x, y=y, radius=radius)
    where = "x {x:.2f} m, y {y:.2f} m, yaw {yaw:.3f} rad in {frame}: ".format(**found) if "x" in found else ""
    print(f"{found['code'].lower().replace('_', ' ')}: {where}{found['why']}")
    if arguments.json:
        storage.write_json(arguments.json, found)
    return 0 if found["code"] == "LOCALIZED" else 1
