"""How a node or another program of ours is started as a process of its own."""

from __future__ import annotations

import sys

RUN = "import sys; sys.path.remove(''); from runpy import run_module; run_module({!r}, run_name='__main__')"


def program(module: str, safe_path: bool = sys.version_info >= (3, 11)) -> list[str]:
    """Return the command that runs a module. The working directory is not on its path: a file there, such as json.py,
    would be imported in the place of Python's.

    safe_path: whether Python has the option for that.
    """
    return [sys.executable, *(["-P", "-m", module] if safe_path else ["-c", RUN.format(module)])]
