"""How a file or a folder is replaced as a whole: a reader sees the old one or the new one, even after a kill.

A file is written under a temporary name, flushed to the disk and renamed. A folder is written inside a temporary folder
and then swapped with the old one, which the kernel does in one step (renameat2). Some file systems cannot swap. There
the new folder first becomes .NAME.new, where `read_whole` looks first, until it has replaced the old one.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, TypeVar

from any2any_ros.errors import Any2AnyError
from any2any_ros.temporary_files import (
    NAME,
    Write,
    flush,
    flush_all,
    is_at,
    is_unfinished,
    temporary_file,
    temporary_folder,
)

T = TypeVar("T")

ANYTHING = ("*",)
TRIES = 20  # times that a reader begins again because a writer has replaced what it reads
CANNOT_SWAP = (errno.ENOSYS, errno.EINVAL, errno.EXDEV, errno.ENOTSUP)

# --- files ------------------------------------------------------------------------------------------------------


def write_atomically(path: Path, write: Write) -> None:
    """Write a file so that a reader sees the old content or the new one, even after a kill or a power failure.

    Inside a folder that `replacing` has yielded, the file is written directly: the folder is replaced as a whole.
    """
    if is_unfinished(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as stream:
            write(stream)
        return
    with temporary_file(path, write) as temporary:
        os.replace(temporary, path)
        flush(path.parent)


def write_digested(path: Path, write: Write) -> str:
    """Write a file whose name holds a digest of its content: a.npz is written as a-<digest>.npz. Return the name."""
    with temporary_file(path, write) as temporary:
        name = f"{path.stem}-{_digest(temporary)}{path.suffix}"
        os.replace(temporary, path.with_name(name))
        flush(path.parent)
    return name


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON, atomically. NaN and infinite numbers become null, because standard JSON has none."""
    text = json.dumps(_finite(value), indent=1, allow_nan=False).encode() + b"\n"
    write_atomically(path, lambda stream: stream.write(text))


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _digest(file: Path) -> str:
    digest = hashlib.sha256()
    with open(file, "rb") as stream:
        for chunk in iter(lambda: stream.read(1 << 20), b""):
            digest.update(chunk)
    return digest.hexdigest()[:16]


# --- folders ----------------------------------------------------------------------------------------------------


@contextmanager
def replacing(folder: Path, parts: Iterable[str] = ANYTHING) -> Iterator[Path]:
    """Yield an empty folder of the same name to write into. At the end it replaces `folder` in one step.

    After an exception it is removed, and the old folder stays. parts: patterns of the names that an old folder may
    hold. Raises Any2AnyError when it holds anything else, which would be lost.
    """
    folder = Path(os.path.abspath(folder))
    refuse_other_files(folder, parts)
    with unfinished(folder) as new:
        yield new
        refuse_other_files(folder, parts)
        put(new, folder)


@contextmanager
def unfinished(folder: Path) -> Iterator[Path]:
    """Yield an empty folder of the same name inside a temporary folder, which is removed at the end."""
    with temporary_folder(folder) as home:
        new = home / folder.name
        new.mkdir()
        yield new


def refuse_other_files(folder: Path, parts: Iterable[str]) -> None:
    """Raise Any2AnyError when the folder holds a name that fits none of the patterns `parts`, or is no folder."""
    what = f"Cannot replace the folder {folder}"
    try:
        names = sorted(name for name in os.listdir(folder) if not NAME.fullmatch(name))
    except (FileNotFoundError, NotADirectoryError) as error:
        if folder.exists():
            raise Any2AnyError(what, "it is a file", "Choose another folder, or remove that file") from error
        return
    other = [name for name in names if not any(fnmatch(name, part) for part in parts)]
    if other:
        remedy = f"Choose another folder, or move '{other[0]}' away"
        raise Any2AnyError(what, f"'{other[0]}' in it would be lost", remedy)


def inside(home: Path, *parts: str) -> Path:
    """Return home / parts, a path that is going to be written.

    Raises Any2AnyError when a part is a symbolic link: a folder that came from somebody else could lead writing and
    deleting anywhere. `home` itself may be a link.
    """
    path = home
    for part in parts:
        path = path / part
        if path.is_symlink():
            why = "it is a symbolic link, which may lead out of the folder"
            raise Any2AnyError(f"Cannot write to {path}", why, "Put a real folder there")
    return path


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Make the folder, and wait while another process holds this lock on it."""
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def remove(folder: Path) -> None:
    """Remove a folder that `replacing` has written, in one step."""
    with temporary_folder(folder) as home:
        _finish(folder, home / "older")
        with suppress(FileNotFoundError):
            folder.rename(home / "old")
    shutil.rmtree(_before_swaps(folder), ignore_errors=True)


def put(new: Path, folder: Path) -> None:
    """Put a folder that `unfinished` has yielded, and that is complete now, in the place of `folder`, in one step."""
    if not is_unfinished(folder):
        flush_all(new)
    _finish(folder, new.with_name("older"))
    try:
        _swap(new, folder)
    except FileNotFoundError:
        new.rename(folder)
    except OSError as error:
        if error.errno not in CANNOT_SWAP:
            raise
        new.rename(_complete(folder))
        _finish(folder, new)
    flush(folder.parent)
    shutil.rmtree(_before_swaps(folder), ignore_errors=True)


def _finish(folder: Path, aside: Path) -> None:
    """Finish what `put` has begun where folders cannot be swapped. aside: where the old folder may be moved."""
    complete = _complete(folder)
    if complete.exists():
        try:
            with suppress(FileNotFoundError):
                folder.rename(aside)
        except OSError:  # it belongs to the image of a container, and can only be removed
            shutil.rmtree(folder)
        complete.rename(folder)


def _complete(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.new")


def _before_swaps(folder: Path) -> Path:
    """Return where version 0.1.0 left the old folder when it was killed while replacing it."""
    return folder.with_name(f".{folder.name}.old")


def _swap(one: Path, other: Path) -> None:
    """Swap two folders in one step. Raises OSError, with a number of CANNOT_SWAP where that is not possible."""
    import ctypes

    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    here, exchange = -100, 2  # AT_FDCWD and RENAME_EXCHANGE
    if rename is None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
    if rename(here, os.fsencode(one), here, os.fsencode(other), exchange):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(other))


# --- reading while somebody writes ------------------------------------------------------------------------------


def read_whole(folder: Path, read: Callable[[Path], T]) -> T | None:
    """Return read(home), where home is the folder that `replacing` has written; None when there is none.

    All that `read` sees belongs to one folder: when the folder is replaced meanwhile, it is read again.
    """
    for _ in range(TRIES):
        home = _existing(folder)
        if home is None:
            return None
        with _watched(home) as is_there:
            try:
                result = read(home)
            except Exception:
                if is_there():
                    raise
            else:
                if is_there():
                    return result
    raise _restless(folder)


def replaced(parent: Path) -> list[Path]:
    """Return the folders in `parent` that `replacing` has written, as `read_whole` and `replacing` expect them."""
    names = {path.name for path in parent.glob("[!.]*") if path.is_dir()}
    for unseen in (_complete(parent / "*"), _before_swaps(parent / "*")):
        names |= {path.stem.removeprefix(".") for path in parent.glob(unseen.name)}
    return [parent / name for name in sorted(names)]


def read_again(path: Path, read: Callable[[], T]) -> T:
    """Return read(). When it fails because `path` was replaced meanwhile, read again."""
    for _ in range(TRIES):
        with _watched(path) as is_there:
            try:
                return read()
            except Exception:
                if is_there():
                    raise
    raise _restless(path)


def _existing(folder: Path) -> Path | None:
    """Return where the newest complete folder lies. Looks twice, because a writer may rename it between two looks."""
    places = (_complete(folder), folder) * 2
    return next((path for path in (*places, _before_swaps(folder)) if path.exists()), None)


@contextmanager
def _watched(path: Path) -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether the same file or folder is still there, or still none."""
    try:
        descriptor = os.open(path, os.O_PATH)  # while it is open, no other file gets its number
    except OSError:
        yield lambda: not path.exists()
        return
    try:
        yield lambda: is_at(descriptor, path)
    finally:
        os.close(descriptor)


def _restless(path: Path) -> Any2AnyError:
    return Any2AnyError(f"Cannot read {path}", "it is replaced over and over", "Try again when it is saved less often")
