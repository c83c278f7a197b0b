"""Publish a bag at its own speed, with /clock, and let sensors fail and return.

    any2any replay my_bag --rate 2 --loop
    any2any replay my_bag --kill camera@20s-40s --kill lidar@30s-50s

A topic is offered with the reliability and durability that it was recorded with, so that latched topics reach late
subscribers. Topics whose type is not installed are left out with a line, and so is a recorded /clock. Messages of ROS 1
are converted. The times of --kill count from the start of the replay. Nodes that listen need use_sim_time (bringup:
--use-sim-time; launch: use_sim_time:=true). Nothing is published until every topic has a subscriber, or until --wait is
over.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from any2any_ros.cli import _arguments
from any2any_ros.node_config import ReplayConfig
from any2any_ros.nodes import session
from any2any_ros.progress import progress_bar


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bag", metavar="BAG", type=Path, help="rosbag2 folder, or ROS 1 bag")
    parser.add_argument(
        "--kill",
        action="append",
        default=[],
        metavar="NAME@STARTs-ENDs",
        help="publish nothing of a modality or topic from START to END; repeat for several",
    )
    _arguments.add_profile_argument(parser)
    _arguments.add_settings(parser, ReplayConfig)


def run(arguments: argparse.Namespace) -> int:
    session.require_ros()
    from any2any_ros.nodes import runtime
    from any2any_ros.nodes.replay import Outage, Replay

    outages = tuple(Outage.parse(text) for text in arguments.kill)
    config = _arguments.settings(arguments, ReplayConfig)
    with session.node("replay", arguments.dds_profile) as node:
        stop = runtime.Stop()
        count = Replay(node, arguments.bag, config, outages, progress=progress_bar).run(stop)
        print(f"{arguments.bag}: {count} messages published")
        return 130 if stop else 0
