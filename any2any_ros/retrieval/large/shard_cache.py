"""The cache of a large map's shards, beside the map. The first opening writes the shards; later openings read them.

MAP/shards/<key>/    the shards (shards.py). The key is a digest of everything from which they were made
MAP/shards/.lock     locked by the process that writes shards, so that two processes never write at the same time

Shards from another file of places, or by other alignments, have another key. They are never opened, and they are
removed when new shards are complete. The shards of an adopted sensor are in MAP/adopted/<modality>/shards/. Shards that
cannot be read are made again. When shards cannot be written, the map is held in memory.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import shutil
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from any2any_ros import files, legacy, storage
from any2any_ros.errors import Any2AnyError
from any2any_ros.protocols import Alignment
from any2any_ros.retrieval.large import shards
from any2any_ros.retrieval.large.shards import Shards

ALIGNED = 1  # part of the key; raise it when the same fitted alignment makes other vectors than before
FOLDER, LOCK = "shards", ".lock"
Columns = Mapping[str, Alignment]  # the alignment of each column's vectors, by name of the column
Prepare = Callable[[], None]  # called before shards are made in this process; another one may make them meanwhile
LOG = logging.getLogger(__name__)


def do_nothing() -> None:
    """The `Prepare` that leaves all the work to this process."""


class InMemory:
    """Stands in for a cache where nothing is stored on disk: shards are made anew each time."""

    def of(self, folder: str) -> InMemory:
        """As `ShardFolder.of`."""
        return self

    def shards(self, columns: Columns, make: Callable[[], Shards], fit: Callable[[Shards], bool]) -> Shards:
        """Return new shards."""
        return make()


IN_MEMORY = InMemory()


@dataclass(frozen=True)
class ShardFolder:
    """The cache of the map in `folder`. source: the map's file of places; its name holds a digest of its content.

    part: the folder inside the map's whose shards these are; "": they are the map's own.
    """

    folder: Path
    source: str
    prepare: Prepare = do_nothing
    part: str = ""

    def of(self, folder: str) -> ShardFolder:
        """Return the cache in a folder inside the map's."""
        return replace(self, part=folder)

    def shards(self, columns: Columns, make: Callable[[], Shards], fit: Callable[[Shards], bool]) -> Shards:
        """Return the shards of these columns: from disk, or made now, and written if possible.

        fit: whether shards from disk have the columns and the number of places that the map has.
        """
        try:
            home = self._home(columns)
        except TypeError:  # an alignment is no fitted state, so it has no digest
            return make()
        try:
            if (home / shards.INDEX).exists():
                return _opened(home, fit)
        except Any2AnyError as error:
            warnings.warn(f"{error.what}: {error.why}. The shards are made again", stacklevel=2)
        self.prepare()
        try:
            files.inside(self.folder, *home.relative_to(self.folder).parts)
        except Any2AnyError as error:
            _warn_not_cached(error)
            return make()
        try:
            with _locked(home.parent):
                return _prepared(home, make, fit)
        except OSError as error:
            _warn_not_cached(error)
            return make()

    def _home(self, columns: Columns) -> Path:
        """Return the folder of these shards. One that an older version wrote keeps the name it has."""
        home = self.folder / self.part / FOLDER
        with suppress(TypeError):
            old = home / self._key(columns, legacy.class_name)
            if (old / shards.INDEX).exists():
                return old
        return home / self._key(columns)

    def _key(self, columns: Columns, class_name: Callable[[Any], str] | None = None) -> str:
        """Return a digest of everything from which the shards are made."""
        made_by = [[name, storage.fingerprint(alignment, class_name)] for name, alignment in columns.items()]
        content = json.dumps([shards.FORMAT, ALIGNED, self.source, made_by])
        return hashlib.blake2b(content.encode(), digest_size=8).hexdigest()


ShardCache = InMemory | ShardFolder


def _opened(home: Path, fit: Callable[[Shards], bool]) -> Shards:
    """Open the shards in `home`. Raises Any2AnyError when they are damaged, or of another map."""
    opened = shards.load(home)
    if not fit(opened):
        why = f"they hold {len(opened)} places, with columns {opened.columns}, and are those of another map"
        raise Any2AnyError(f"Cannot open the shards {home}", why, shards.REMEDY)
    return opened


def _prepared(home: Path, make: Callable[[], Shards], fit: Callable[[Shards], bool]) -> Shards:
    """Make the shards, write them to `home` and open them there, unless another process has done so meanwhile."""
    try:
        return _opened(home, fit)
    except Any2AnyError:  # they do not exist, or they are damaged
        shutil.rmtree(home, ignore_errors=True)
    LOG.info("%s: this large map is opened for the first time; preparing its vectors", home.parent.parent)
    began, new = time.monotonic(), make()
    try:
        new.save(home)
        cached = _opened(home, fit)
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
    """Hold the lock of `folder`; wait while another process holds it. Raises OSError."""
    folder.mkdir(exist_ok=True)
    # A map may come from anyone: a lock that is a link leads to a file that is none of ours.
    opened = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with os.fdopen(opened, "r+b") as lock:  # the system releases the lock of a process that was killed
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            LOG.info("%s: another process is preparing its vectors", folder.parent)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _warn_not_cached(error: Exception) -> None:
    why = error.why if isinstance(error, Any2AnyError) else str(error)
    warnings.warn(
        f"The prepared vectors of a large map cannot be written ({why}): the map is held in memory, and opens slowly "
        "each time. Open it once where its folder can be written to",
        stacklevel=4,
    )
