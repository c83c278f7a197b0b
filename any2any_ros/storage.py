"""How fitted state is stored on disk, and how a file or a folder is replaced as a whole.

Fitted state is a frozen dataclass of arrays, numbers, strings, and dicts of arrays. `save` writes it as one .npz file
(the arrays) and one .json file (the rest), never as pickle. The .json file names a kind and a plug, such as fusion and
mixture. It never names a Python module, so that code can move, and so that a file cannot choose what is imported. The
caller of `load` says what is expected: one class, or one kind of plug.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Protocol, TypeVar

import numpy as np

from any2any_ros import legacy
from any2any_ros.errors import Any2AnyError
from any2any_ros.plugins import Registry

FORMAT = 2
T = TypeVar("T")


class State(Protocol):
    """A frozen dataclass of fitted state. No two classes have the same kind and plug."""

    kind: ClassVar[str]  # e.g. "fusion"
    plug: ClassVar[str]  # its name within its kind, e.g. "mixture"


def save(state: State, path: Path) -> None:
    """Write fitted state to path.npz and path.json.

    Raises Any2AnyError for a class outside this package, because `load` would not find it. Raises TypeError for values
    that JSON cannot hold.
    """
    cls = type(state)
    if cls.__module__.split(".")[0] != __name__.split(".")[0]:
        raise Any2AnyError(
            f"Cannot save the fitted state of {cls.__name__}",
            f"'{cls.__module__}' is not part of this package, and only its own classes can be loaded again",
            "Put its file into the folder of its kind, such as any2any_ros/fusion/",
        )
    arrays: dict[str, Any] = {}
    plain: dict[str, Any] = {}
    for name, value in _fields(state):
        if isinstance(value, np.ndarray):
            arrays[name] = value
        elif isinstance(value, dict) and all(isinstance(v, np.ndarray) for v in value.values()):
            arrays |= {f"{name}/{key}": v for key, v in value.items()}
            plain[name] = {"keys": list(value)}
        else:
            plain[name] = value
    header = {"format": FORMAT, "kind": state.kind, "plug": state.plug, "values": plain}
    text = json.dumps(header, indent=1).encode() + b"\n"  # may hold Infinity, which fitted state can have
    write_atomically(path.with_suffix(".npz"), lambda stream: np.savez(stream, **arrays))
    write_atomically(path.with_suffix(".json"), lambda stream: stream.write(text))


def load(path: Path, expected: Registry[T] | type[T]) -> T:
    """Return the fitted state that `save` wrote to `path`. expected: its class, or the registry of its kind.

    Raises Any2AnyError when it is missing, damaged, of another format, or not what is expected.
    """
    try:
        header = json.loads(path.with_suffix(".json").read_text())
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        cls: Any = _class(header, expected)
        values = header["values"]
        if header["format"] == legacy.FORMAT:
            values = legacy.renamed(cls.kind, cls.plug, values)
        for f in dataclasses.fields(cls):
            value = values.get(f.name)
            if isinstance(value, dict) and set(value) == {"keys"}:  # a dict of arrays
                values[f.name] = {key: arrays[f"{f.name}/{key}"] for key in value["keys"]}
            elif f.name in arrays:
                values[f.name] = arrays[f.name]
        return cls(**values)  # type: ignore[no-any-return]
    except Any2AnyError:
        raise
    except Exception as error:  # the user does the same about any damage
        raise _unreadable(f"{path}: {type(error).__name__}: {error}") from error


def _class(header: dict[str, Any], expected: Registry[T] | type[T]) -> Any:
    """Return the class that the header names. Raises Any2AnyError when it is not what is expected."""
    if header["format"] == legacy.FORMAT:
        kind, plug = legacy.kind_and_plug(header["class"])
    elif header["format"] == FORMAT:
        kind, plug = header["kind"], header["plug"]
    else:
        raise _unreadable(f"its format is {header['format']}, this program reads {FORMAT} and {legacy.FORMAT}")
    if isinstance(expected, Registry):
        if kind != expected.kind or not isinstance(plug, str) or "." in plug:  # a dot: a file must not name a module
            raise _unreadable(f"it holds {kind} '{plug}', a {expected.kind} of this package is expected")
        return expected.find_recorded(plug)
    cls: Any = expected
    if (kind, plug) != (cls.kind, cls.plug):
        raise _unreadable(f"it holds {kind} '{plug}', {cls.kind} '{cls.plug}' is expected")
    return expected


def _unreadable(why: str) -> Any2AnyError:
    return Any2AnyError("Cannot read the fitted state", why, "Fit it again with this version")


def fingerprint(state: Any, class_name: Callable[[Any], str] | None = None) -> str:
    """Return a digest of fitted state: of its kind, its plug and all its values.

    class_name: returns how the class of a state is written into the digest; legacy.py has the function for old maps.
    Raises TypeError for anything else than fitted state.
    """
    text = "".join(_digest_parts(state, class_name or _kind_and_plug))
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def _kind_and_plug(state: Any) -> str:
    cls = type(state)
    if not (hasattr(cls, "kind") and hasattr(cls, "plug")):
        raise TypeError(f"{cls.__name__} is no fitted state")
    return f"{cls.kind}:{cls.plug}"


def _digest_parts(value: Any, class_name: Callable[[Any], str]) -> Iterator[str]:
    if isinstance(value, np.ndarray):
        content = hashlib.blake2b(np.ascontiguousarray(value).data, digest_size=16).hexdigest()
        yield f"{value.dtype.str}{value.shape}{content};"
    elif dataclasses.is_dataclass(value):
        yield f"{class_name(value)}("
        for name, member in _fields(value):
            yield f"{name}="
            yield from _digest_parts(member, class_name)
        yield ");"
    elif isinstance(value, dict):
        yield from _digest_parts([part for item in value.items() for part in item], class_name)
    elif isinstance(value, list | tuple):
        yield f"{len(value)}["
        for item in value:
            yield from _digest_parts(item, class_name)
    elif value is None or isinstance(value, str | int | float | np.generic):
        yield f"{type(value).__name__} {value!r};"
    else:
        raise TypeError(f"{type(value).__name__} is no fitted state")


def _fields(state: Any) -> Iterator[tuple[str, Any]]:
    return ((f.name, getattr(state, f.name)) for f in dataclasses.fields(state))


# --- files and folders ------------------------------------------------------------------------------------------


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file so that a reader sees the old content or the new one and nothing between, even after a crash."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with open(temporary, "wb") as stream:
            write(stream)
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


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


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Yield an empty folder to write into. It replaces `folder` at the end, or is removed after an exception.

    A kill between the two renames leaves the old folder under the name of its backup, where `existing` finds it.
    """
    unfinished, old = folder.with_name(f".{folder.name}.{os.getpid()}"), _backup(folder)
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        if folder.exists():
            shutil.rmtree(old, ignore_errors=True)
            folder.rename(old)
        unfinished.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def existing(folder: Path) -> Path | None:
    """Return `folder` if `replacing` has written it, its backup after a kill, None when there is neither."""
    return next((path for path in (folder, _backup(folder)) if path.exists()), None)


def remove(folder: Path) -> None:
    """Remove `folder`, and its backup that a kill has left."""
    for path in (_backup(folder), folder):
        shutil.rmtree(path, ignore_errors=True)


def _backup(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.old")
