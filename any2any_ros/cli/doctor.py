"""Tell what is installed, which sensor topics come and how often, and why one does not.

    any2any doctor
    any2any doctor --seconds 10 --json doctor.json

Exit code 0 when nothing is wrong, 1 when something is: a topic that does not come, a QoS mismatch, a skewed clock.
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
    parser.add_argument("--seconds", type=float, default=5.0, help="how long to listen (default %(default)g)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write what was found there")
    _arguments.add_profile_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    found: dict[str, Any] = {
        "packages": packages(), "accelerators": accelerators(), "environment": environment(), "topics": []
    }  # fmt: skip
    print(tables.table(found["packages"], {"package": "package", "version": "version", "for": "for", "": "remedy"}))
    print(f"\naccelerators: {', '.join(found['accelerators']) or 'none; the CPU does it all'}")
    print("\n".join(f"{key}: {value}" for key, value in found["environment"].items()))
    try:
        session.require_ros()
        found["topics"] = _topics(arguments.dds_profile, arguments.seconds)
        print("\n" + _told(found["topics"], arguments.seconds))
    except Any2AnyError as error:
        print(f"\n{error}")
    if arguments.json:
        storage.write_json(arguments.json, found)
    return 1 if any(topic["verdict"] != "ok" for topic in found["topics"]) else 0


def _topics(profile: str, seconds: float) -> list[dict[str, Any]]:
    from any2any_ros.nodes import inspection

    with session.node("doctor", profile) as node:
        found = inspection.inspect(node, seconds)
    return [
        {"topic": t.name, "type": t.type_name, "hertz": t.hertz, "publishers": t.publishers, "for": t.readers,
         "verdict": t.verdict()}
        for t in found
    ]  # fmt: skip


def _told(topics: list[dict[str, Any]], seconds: float) -> str:
    if not topics:
        return f"No topic that an encoder reads appeared in {seconds:g} s: is a driver running, on this ROS_DOMAIN_ID?"
    columns = {"topic": "topic", "type": "type", "Hz": "hertz", "for": "for", "verdict": "verdict"}
    return tables.table(topics, columns)
