"""Loads another map while the node answers from the one in use. The new one takes its place between two answers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticStatus

from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes.lifecycle import ManagedNode
from any2any_ros.nodes.map_preparation import MapPreparation
from any2any_ros.nodes.worker import Stopped, Worker
from any2any_ros.retrieval.large.shard_cache import Prepare, do_nothing
from any2any_ros.retrieval.localizer import Localizer
from any2any_ros.retrieval.opened_map import OpenedMap


class Busy(Any2AnyError):
    """Another map is being loaded."""


class MapLoading:
    """Opens maps for a localizer. All that takes long is done before the map in use is touched."""

    def __init__(self, node: ManagedNode, localizer: Localizer, use_map: Callable[[OpenedMap], None]) -> None:
        """use_map: puts an opened map in the place of the one in use."""
        self._node, self._localizer, self._use_map = node, localizer, use_map
        self._worker = Worker(node, "map")
        self._preparation: MapPreparation | None = None  # of the map that is being loaded
        self._what, self._progress = "", ""

    def load_now(self, folder: Path) -> None:
        """Load a map in this thread. Raises Any2AnyError when it cannot be read; the map in use then stays."""
        self._use_map(self._opened(folder))

    async def load(self, folder: Path) -> int:
        """Load a map beside the answers, and return its number of places.

        Raises Busy, Stopped, and Any2AnyError when it cannot be read; the map in use then stays.
        """
        if self._preparation is not None:
            raise Busy(f"Cannot load the map {folder}", f"{self._what} is being loaded", "Wait until that has ended")
        self._preparation = preparation = MapPreparation(folder, self._say)
        self._what, self._progress = f"the map {folder}", ""
        self._node.get_logger().info(f"loading {self._what}")
        try:
            opened = await self._worker.result(partial(self._opened, folder, preparation))
            self._refuse_after(preparation, folder)
            self._use_map(opened)
        except Exception:
            self._refuse_after(preparation, folder)
            raise
        finally:
            self._preparation = None
        return len(opened.reference)

    def close(self) -> None:
        """End the loading, and return when it has ended."""
        if self._preparation is not None:
            self._preparation.cancel()
        self._worker.close()

    def state(self) -> tuple[bytes, str]:
        """Return level and text for the diagnostics."""
        if self._preparation is not None:
            return DiagnosticStatus.OK, f"loading {self._what}" + (f": {self._progress}" if self._progress else "")
        if self._localizer.map is None:
            return DiagnosticStatus.ERROR, "no map is loaded"
        return DiagnosticStatus.OK, "in use"

    def _opened(self, folder: Path, prepare: Prepare = do_nothing) -> OpenedMap:
        opened = self._localizer.opened(folder, prepare)
        opened.warm_up()
        return opened

    def _say(self, line: str) -> None:
        """Tell the progress of the preparation. Runs in the worker's thread."""
        self._progress = line
        self._node.get_logger().info(line)

    @staticmethod
    def _refuse_after(preparation: MapPreparation, folder: Path) -> None:
        if preparation.cancelled:
            raise Stopped(f"The map {folder} was not loaded", "the node was taken down meanwhile", "Load it again")
