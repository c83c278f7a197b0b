"""Show what is installed, which sensor topics arrive and how often, and why one does not.

    any2any doctor
    any2any doctor --seconds 10 --json doctor.json

Exit code 0 when nothing is wrong, 1 when something is: a topic that does not arrive, a QoS mismatch, a wrong clock.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from any2any_ros import storage, tables
from any2any_ros.cli import _arguments
from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes import session
from any2any_ros.workflows.installation import accelerators, environment, packages


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seconds",
        type=_arguments.number(float, 0, 3600),
        default=5.0,
        help="how long to listen to the topics, in seconds (default %(default)g)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the results to this file")
    _arguments.add_profile_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    report: dict[str, Any] = {
        "packages": packages(), "accelerators": accelerators(), "environment": environment(), "topics": []
    }  # fmt: skip
    print(tables.table(report["packages"], {"package": "package", "version": "version", "for": "for", "": "remedy"}))
    print(f"\naccelerators: {', '.join(report['accelerators']) or 'none, the CPU does everything'}")
    print("\n".join(f"{key}: {value}" for key, value in report["environment"].items()))
    try:
        session.require_ros()
        report["topics"] = _topics(arguments.dds_profile, arguments.seconds)
        print("\n" + _topic_table(report["topics"], arguments.seconds))
    except Any2AnyError as error:
        print(f"\n{error}")
    if arguments.json:
        storage.write_json(arguments.json, report)
    return 1 if any(topic["verdict"] != "ok" for topic in report["topics"]) else 0


def _topics(profile: str, seconds: float) -> list[dict[str, Any]]:
    from any2any_ros.nodes import inspection

    with session.node("doctor", profile) as node:
        found = inspection.inspect(node, seconds)
    return [
        {"topic": t.name, "type": t.type_name, "hertz": t.hertz, "publishers": t.publishers, "for": t.readers,
         "verdict": t.verdict()}
        for t in found
    ]  # fmt: skip


def _topic_table(topics: list[dict[str, Any]], seconds: float) -> str:
    if not topics:
        return f"No topic that an encoder reads appeared in {seconds:g} s: is a driver running, on this ROS_DOMAIN_ID?"
    columns = {"topic": "topic", "type": "type", "Hz": "hertz", "for": "for", "verdict": "verdict"}
    return tables.table(topics, columns)
