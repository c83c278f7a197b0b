"""A large map's shards beside the map: made when it is opened for the first time, opened as they are from then on.

MAP/shards/<key>/    the shards (shards.py); key: of everything that made them
MAP/shards/.lock     whoever makes them holds it, so that nobody makes them twice, nor in each other's way

What was made from another file of places, or by other alignments, has another key: it is never opened, and goes when
new ones are whole. An adopted sensor's are in MAP/adopted/<modality>/shards/. They are never needed: where they cannot
be read they are made again, and where they cannot be written the map is held in memory.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from any2any_ros import storage
from any2any_ros.errors import Any2AnyError
from any2any_ros.protocols import Alignment
from any2any_ros.retrieval.large import shards
from any2any_ros.retrieval.large.shards import Shards

ALIGNED = 1  # to be raised when the same state of an alignment comes to make other vectors
FOLDER, LOCK = "shards", ".lock"
Columns = Mapping[str, Alignment]  # a column's name, and what its vectors were aligned by
LOG = logging.getLogger(__name__)


class InMemory:
    """Keeps nothing."""

    def of(self, folder: str) -> InMemory:
        return self

    def shards(self, columns: Columns, make: Callable[[], Shards]) -> Shards:
        return make()


IN_MEMORY = InMemory()


@dataclass(frozen=True)
class ShardFolder:
    """Keeps the shards of the map in `folder`; source: the name of its file of places, which tells their content."""

    folder: Path
    source: str

    def of(self, folder: str) -> ShardFolder:
        """Return where the shards of something in a folder of the map are kept."""
        return ShardFolder(self.folder / folder, self.source)

    def shards(self, columns: Columns, make: Callable[[], Shards]) -> Shards:
        """Return the shards of these columns: those kept, or else those made now, which are kept if they can be."""
        try:
            home = self.folder / FOLDER / self._key(columns)
        except TypeError:  # an alignment that is no fitted state: nobody knows when it is another one
            return make()
        try:
            if (home / shards.INDEX).exists():
                return shards.load(home)
        except Any2AnyError as error:
            warnings.warn(f"{error.what}: {error.why}. They are made again", stacklevel=2)
        try:
            with _alone(home.parent):
                return _made(home, make)
        except OSError as error:
            _keep_nothing(error)
            return make()

    def _key(self, columns: Columns) -> str:
        """Return what tells shards of this content from all others."""
        made_by = [[name, storage.fingerprint(alignment)] for name, alignment in columns.items()]
        content = json.dumps([shards.FORMAT, ALIGNED, self.source, made_by])
        return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


Kept = InMemory | ShardFolder


def _made(home: Path, make: Callable[[], Shards]) -> Shards:
    """Make shards and open them from `home`; another process may have done so meanwhile."""
    try:
        return shards.load(home)
    except Any2AnyError:  # they are not there, or damaged
        shutil.rmtree(home, ignore_errors=True)
    LOG.info("%s: the first opening of a large map; its vectors are made ready, once", home.parent.parent)
    began, made = time.monotonic(), make()
    try:
        made.save(home)
        kept = shards.load(home)
    except Any2AnyError as error:  # the disk is full
        shutil.rmtree(home, ignore_errors=True)
        _keep_nothing(error)
        return made
    for old in home.parent.iterdir():
        if old.is_dir() and old != home:
            shutil.rmtree(old, ignore_errors=True)
    LOG.info("%s: ready after %.1f s; it opens at once from now on", home.parent.parent, time.monotonic() - began)
    return kept


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Be the only process that writes to `folder`, and wait for the one that does; raises OSError."""
    folder.mkdir(exist_ok=True)
    with open(folder / LOCK, "w") as lock:  # a process that is killed lets go of it
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            LOG.info("%s: another process makes its vectors ready", folder.parent)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _keep_nothing(error: Exception) -> None:
    why = error.why if isinstance(error, Any2AnyError) else str(error)
    warnings.warn(
        f"A large map's vectors cannot be kept beside it ({why}): it is held in memory, and opens slowly each time. "
        "Open it once where its folder can be written to",
        stacklevel=4,
    )
