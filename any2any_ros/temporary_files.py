"""Files and folders under temporary names, and what dead processes have left of them.

A temporary name is .NAME.HOST-PID-RANDOM.unfinished. Its writer holds a lock on it (flock), which ends with the
process. So the next writer can tell what a dead process has left beside its own file, and removes it.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

Write = Callable[[BinaryIO], object]

HOST = re.sub("[^A-Za-z0-9]", "", os.uname().nodename)[:20] or "host"
NAME = re.compile(r"\..*\.([A-Za-z0-9]+)-\d+-[0-9a-f]{8}\.unfinished", re.DOTALL)
FORGOTTEN = 24 * 3600.0  # s, after which what another host has left is taken for dead, if nothing locks it
CANNOT_FLUSH = (errno.EINVAL, errno.EBADF, errno.ENOTSUP)  # folders, on some file systems


def is_unfinished(path: Path) -> bool:
    """Return whether the path leads into a temporary folder."""
    return any(NAME.fullmatch(part) for part in path.parts)


@contextmanager
def temporary_file(path: Path, write: Write) -> Iterator[Path]:
    """Write a temporary file beside `path`, down to the disk, and yield its path; remove it if it is still there."""
    with named(path), _temporary(path, _new_file) as (temporary, descriptor):
        with os.fdopen(os.dup(descriptor), "wb") as stream:
            write(stream)
        os.fsync(descriptor)
        yield temporary


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Let an OSError say what could not be written: that of a full disk often names no file."""
    try:
        yield
    except OSError as error:
        if error.filename is None and error.errno is not None:
            error.filename = str(path)
        raise


@contextmanager
def temporary_folder(path: Path) -> Iterator[Path]:
    """Make a temporary folder beside `path` and yield its path; remove it at the end."""
    with named(path), _temporary(path, _new_folder) as (temporary, _):
        yield temporary


@contextmanager
def _temporary(path: Path, make: Callable[[Path], int]) -> Iterator[tuple[Path, int]]:
    """Make something under a temporary name and lock it; yield path and descriptor; remove it if it is still there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_litter(path.parent)
    while True:
        own = f"{HOST}-{os.getpid()}-{secrets.token_hex(4)}"
        temporary = path.with_name(f".{path.name[:40]}.{own}.unfinished")
        with suppress(_TakenForLitterError), _opened(make(temporary), temporary) as descriptor:
            yield temporary, descriptor
            return


@contextmanager
def _opened(descriptor: int, temporary: Path) -> Iterator[int]:
    """Hold the lock of what was made under a temporary name; remove it and close the descriptor at the end."""
    try:
        if _lock(descriptor) is False or not is_at(descriptor, temporary):
            raise _TakenForLitterError
        yield descriptor
    finally:
        _delete(temporary)
        os.close(descriptor)


class _TakenForLitterError(Exception):
    """Another process has removed what was made here, before it was locked."""


def _new_file(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)


def _new_folder(path: Path) -> int:
    path.mkdir()
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise _TakenForLitterError from None


# --- what dead processes have left ------------------------------------------------------------------------------


def remove_litter(folder: Path) -> None:
    """Remove what dead processes have left in a folder, and nothing of a process that is still writing."""
    with suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            match = NAME.fullmatch(entry.name)
            if match:
                with suppress(OSError):
                    _remove_if_dead(Path(entry.path), match[1] == HOST)


def _remove_if_dead(path: Path, ours: bool) -> None:
    """ours: whether this host made it. Another host's locks are not seen on every disk that hosts share."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        lock = _lock(descriptor)
        forgotten = time.time() - os.fstat(descriptor).st_mtime > FORGOTTEN
        if (lock and ours) or (lock is not False and forgotten):
            _delete(path)
    finally:
        os.close(descriptor)


def _delete(path: Path) -> None:
    with suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


def _lock(descriptor: int) -> bool | None:
    """Return whether the lock was free, and is now held by this process; None where the file system has no locks."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except OSError:
        return None


def is_at(descriptor: int, path: Path) -> bool:
    """Return whether the open file or folder is the one at `path`."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


# --- down to the disk -------------------------------------------------------------------------------------------


def flush(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk. Raises OSError when the disk is full or broken."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in CANNOT_FLUSH:
            raise
    finally:
        os.close(descriptor)


def flush_all(folder: Path) -> None:
    """Wait until a folder and everything in it are on the disk. Raises OSError."""
    for path, _, names in os.walk(folder):
        for name in names:
            if not os.path.islink(os.path.join(path, name)):
                flush(Path(path, name))
        flush(Path(path))
