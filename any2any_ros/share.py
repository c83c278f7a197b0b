"""Where files that are no code lie (launch, config, msg, rviz), in a checkout and after installation; and the cache."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from any2any_ros.errors import Any2AnyError


def find(*parts: str) -> Path:
    """Return the path of a file, e.g. find("config", "fastdds_loopback.xml"). Raises Any2AnyError when it is absent."""
    roots = list(_roots())
    for root in roots:
        path = root.joinpath(*parts)
        if path.exists():
            return path
    raise Any2AnyError(
        f"Cannot find {'/'.join(parts)}",
        f"looked in {', '.join(map(str, roots))}",
        "Install the package again, or source its workspace",
    )


def cache(*parts: str) -> Path:
    """Return a path in this user's cache, for what is made from a network and can be made again."""
    home = Path(os.environ.get("XDG_CACHE_HOME", ""))  # counts only if it is absolute, says its specification
    return (home if home.is_absolute() else Path.home() / ".cache").joinpath("any2any_ros", *parts)


def version() -> str:
    """Return the version of the package, such as "0.1.0". Raises Any2AnyError when it is not installed whole."""
    found = re.search(r"<version>(.+?)</version>", find("package.xml").read_text())
    return found[1] if found else "unknown"


def _roots() -> Iterator[Path]:
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / "package.xml").exists():
        yield checkout
    for prefix in [*filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)), sys.prefix]:
        yield Path(prefix) / "share" / "any2any_ros"
