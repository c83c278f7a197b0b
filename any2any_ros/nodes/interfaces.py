"""Which ROS packages of messages, services and actions are installed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

INDEX = Path("share/ament_index/resource_index/rosidl_interfaces")
OURS = "any2any_ros"  # pip installs our messages without an entry in that index


def is_installed(package: str) -> bool:
    """Return whether ROS knows a package as one of messages. Nothing is imported."""
    prefixes = filter(None, os.environ.get("AMENT_PREFIX_PATH", sys.prefix).split(os.pathsep))
    return package == OURS or any((prefix / INDEX / package).is_file() for prefix in map(Path, prefixes))
