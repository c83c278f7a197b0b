"""Optional libraries, by the extra of pip that installs them, and one clear error where they are missing."""

from __future__ import annotations

import importlib.util

from any2any_ros.errors import Any2AnyError

EXTRAS = {
    "report": ("matplotlib", "jinja2"),
    "sim": ("trimesh", "embreex"),
    "demo": ("matplotlib", "jinja2", "trimesh", "embreex"),
}


def missing(extra: str) -> tuple[str, ...]:
    """Return the modules of an extra (a key of EXTRAS) that are not installed."""
    return tuple(module for module in EXTRAS[extra] if importlib.util.find_spec(module) is None)


def require(extra: str, purpose: str) -> None:
    """Raise Any2AnyError when a module of the extra is missing; purpose: what needs it, such as "draw a picture"."""
    absent = missing(extra)
    if absent:
        verb = "is" if len(absent) == 1 else "are"
        raise Any2AnyError(
            f"Cannot {purpose}", f"{', '.join(absent)} {verb} not installed", f"pip install 'any2any_ros[{extra}]'"
        )
