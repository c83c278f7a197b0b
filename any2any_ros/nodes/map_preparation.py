"""Prepares the vectors of a large map in another process, so that the node goes on answering meanwhile.

The first opening of a large map takes seconds (docs/scale.md). A thread that does so holds Python's lock now and then,
and the answers wait; on a busy machine they wait longer, because the thread has a low priority. The process ends when
the node does, however that happens, because its standard input then ends.

python -m any2any_ros.nodes.map_preparation MAP [MODULE ...]    MODULE: one that the map may name (plugins.py)
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from any2any_ros import plugins
from any2any_ros.config import PlaceConfig, RetrievalConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes.programs import program
from any2any_ros.retrieval.opened_map import open_map

NICENESS = 10  # nine tenths of a processor are left to others that need it
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class MapPreparation:
    """The process that prepares one map. It is started by the first call."""

    def __init__(self, folder: Path, say: Callable[[str], None]) -> None:
        """say: is called with each line of its progress."""
        self._folder, self._say = folder, say
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self.cancelled = False

    def __call__(self) -> None:
        """Prepare the map, unless that was done before. What cannot be prepared is left to the opening.

        Raises Any2AnyError when the process was killed: by `cancel`, or by the system because memory is short.
        """
        if self._process is not None:
            return
        with self._lock:
            if not self.cancelled:
                self._process = self._start()
        if self._process is None or self._told(self._process) < 0:
            raise Any2AnyError(
                f"Cannot prepare the map {self._folder}",
                "the process that does so was killed",
                "Free memory, or open the map once on another machine and copy it with its shards",
            )

    def _told(self, process: subprocess.Popen[str]) -> int:
        """Tell what the process says until it ends; return its exit code, negative when it was killed."""
        assert process.stdout is not None
        with process:
            for line in process.stdout:
                self._say(line.strip())
        return process.returncode

    def cancel(self) -> None:
        """End the process, if it runs. May be called from any thread."""
        with self._lock:
            self.cancelled = True
            if self._process is not None:
                self._process.kill()

    def _start(self) -> subprocess.Popen[str]:
        command = [*program(__name__), str(self._folder.absolute()), *plugins.allowed_modules()]
        path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # it imports what this process would
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, errors="replace",
            env=os.environ | ONE_THREAD | path,
        )  # fmt: skip


def main() -> int:
    """Open the map as the node will do, which prepares it. Return the exit code: 1 where it cannot be opened."""
    folder, *modules = sys.argv[1:]
    os.nice(NICENESS)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the node too, which then ends this process
    threading.Thread(target=_end_with_the_node, daemon=True).start()
    logging.basicConfig(stream=sys.stdout, format="%(message)s")
    logging.getLogger("any2any_ros").setLevel(logging.INFO)
    for module in modules:
        plugins.allow_module(module)
    try:
        open_map(Path(folder), RetrievalConfig(device="cpu"), PlaceConfig.hit_radius)
    except Any2AnyError:  # the node finds the same error, and tells it
        return 1
    return 0


def _end_with_the_node() -> None:
    os.read(0, 1)  # sys.stdin would be locked when this process ends by itself
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
