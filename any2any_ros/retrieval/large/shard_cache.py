"""A large map's shards, kept beside the map. The first opening writes them; later openings read them.

MAP/shards/<key>/    the shards (shards.py). The key is a digest of everything that they were made from
MAP/shards/.lock     held by the process that writes them, so that two processes never write at once

Shards made from another file of places, or by other alignments, have another key: they are never opened, and are
removed when new ones are complete. The shards of an adopted sensor are in MAP/adopted/<modality>/shards/. Shards are a
cache: when they cannot be read they are made again, and when they cannot be written the map is held in memory.
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
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from any2any_ros import legacy, storage
from any2any_ros.errors import Any2AnyError
from any2any_ros.protocols import Alignment
from any2any_ros.retrieval.large import shards
from any2any_ros.retrieval.large.shards import Shards

ALIGNED = 1  # raise it when the same alignment state makes other vectors than before
FOLDER, LOCK = "shards", ".lock"
Columns = Mapping[str, Alignment]  # by name of the column: the alignment of its vectors
LOG = logging.getLogger(__name__)


class InMemory:
    """Keeps nothing on disk."""

    def of(self, folder: str) -> InMemory:
        return self

    def shards(self, columns: Columns, make: Callable[[], Shards]) -> Shards:
        return make()


IN_MEMORY = InMemory()


@dataclass(frozen=True)
class ShardFolder:
    """Keeps the shards of the map in `folder`. source: name of the map's file of places, a digest of its content."""

    folder: Path
    source: str

    def of(self, folder: str) -> ShardFolder:
        """Return the cache of a folder within the map."""
        return ShardFolder(self.folder / folder, self.source)

    def shards(self, columns: Columns, make: Callable[[], Shards]) -> Shards:
        """Return the shards of these columns: from disk, or made now and written if possible."""
        try:
            home = self._home(columns)
        except TypeError:  # an alignment that is no fitted state has no digest
            return make()
        try:
            if (home / shards.INDEX).exists():
                return shards.load(home)
        except Any2AnyError as error:
            warnings.warn(f"{error.what}: {error.why}. They are made again", stacklevel=2)
        try:
            with _locked(home.parent):
                return _prepared(home, make)
        except OSError as error:
            _warn_not_cached(error)
            return make()

    def _home(self, columns: Columns) -> Path:
        """Return the folder of the shards of this content; one with an old key, where it exists, keeps it."""
        home = self.folder / FOLDER
        with suppress(TypeError):
            old = home / self._key(columns, legacy.spelling)
            if (old / shards.INDEX).exists():
                return old
        return home / self._key(columns)

    def _key(self, columns: Columns, spelling: Callable[[Any], str] | None = None) -> str:
        """Return a digest of what the shards are made from."""
        made_by = [[name, storage.fingerprint(alignment, spelling)] for name, alignment in columns.items()]
        content = json.dumps([shards.FORMAT, ALIGNED, self.source, made_by])
        return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


ShardCache = InMemory | ShardFolder


def _prepared(home: Path, make: Callable[[], Shards]) -> Shards:
    """Make shards and open them from `home`; another process may have made them meanwhile."""
    try:
        return shards.load(home)
    except Any2AnyError:  # they are not there, or damaged
        shutil.rmtree(home, ignore_errors=True)
    LOG.info("%s: first opening of a large map, its vectors are prepared once", home.parent.parent)
    began, new = time.monotonic(), make()
    try:
        new.save(home)
        cached = shards.load(home)
    except Any2AnyError as error:  # the disk is full
        shutil.rmtree(home, ignore_errors=True)
        _warn_not_cached(error)
        return new
    for old in home.parent.iterdir():
        if old.is_dir() and old != home:
            shutil.rmtree(old, ignore_errors=True)
    LOG.info(
        "%s: prepared in %.1f s; the next opening takes less than a second",
        home.parent.parent,
        time.monotonic() - began,
    )
    return cached


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Be the only process that writes to `folder`; wait while another one writes. Raises OSError."""
    folder.mkdir(exist_ok=True)
    with open(folder / LOCK, "w") as lock:  # the lock of a killed process is released
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            LOG.info("%s: another process is preparing its vectors", folder.parent)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _warn_not_cached(error: Exception) -> None:
    why = error.why if isinstance(error, Any2AnyError) else str(error)
    warnings.warn(
        f"A large map's vectors cannot be kept beside it ({why}): it is held in memory, and opens slowly each time. "
        "Open it once where its folder can be written to",
        stacklevel=4,
    )
