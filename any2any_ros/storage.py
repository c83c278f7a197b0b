"""How fitted state is stored on disk.

Fitted state is a frozen dataclass of arrays, numbers, strings, and dicts of arrays. `save` writes it as one .npz file,
never as pickle. The file holds the arrays, and all else as a text (`unzip -p fusion.npz header.json` shows it). This
header names a kind and a plug, such as fusion and mixture. It never names a Python module, so that code can move, and
so that a file cannot choose what is imported. The caller of `load` says what is expected: one class, or one kind of
plug. Before format 3 the header was a file of its own, PATH.json beside PATH.npz.

What is loaded is whole. Its values have the types that the class declares (declared.py), and the `__post_init__` of
the class compares their shapes and ranges.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, Protocol, TypeVar

import numpy as np

from any2any_ros import declared, legacy, reading
from any2any_ros.errors import Any2AnyError, explained
from any2any_ros.files import read_again, replacing, write_atomically, write_json
from any2any_ros.plugins import Registry

__all__ = ["FORMAT", "State", "fingerprint", "load", "replacing", "save", "write_atomically", "write_json"]

FORMAT = 3
OLDER = (2, legacy.FORMAT)
HEADER = "header.json"
REMEDY = "Fit it again with this version"
T = TypeVar("T")


class State(Protocol):
    """A frozen dataclass of fitted state. No two classes have the same kind and plug."""

    kind: ClassVar[str]  # e.g. "fusion"
    plug: ClassVar[str]  # its name within its kind, e.g. "mixture"


def save(state: State, path: Path) -> None:
    """Write fitted state to path.npz.

    Raises Any2AnyError for a class outside this package, because `load` would not find it. Raises ValueError for values
    that are not of the declared types, because `load` would refuse them.
    """
    cls = type(state)
    if cls.__module__.split(".")[0] != __name__.split(".")[0]:
        raise Any2AnyError(
            f"Cannot save the fitted state of {cls.__name__}",
            f"'{cls.__module__}' is not part of this package, and only its own classes can be loaded again",
            "Put its file into the folder of its kind, such as any2any_ros/fusion/",
        )
    declared.check(state)
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
    text = json.dumps(header, indent=1) + "\n"  # may hold Infinity, which fitted state can have
    write_atomically(path.with_suffix(".npz"), lambda stream: _write(stream, text, arrays))
    _remove_older_header(path.with_suffix(".json"))


def _remove_older_header(path: Path) -> None:
    with suppress(OSError, ValueError, LookupError, TypeError):
        if reading.json_value(path)["format"] in OLDER:
            path.unlink()


def _write(stream: BinaryIO, header: str, arrays: Mapping[str, Any]) -> None:
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo(HEADER), header)  # ZipInfo: the same state gives the same bytes
        for name, array in arrays.items():
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def load(path: Path, expected: Registry[T] | type[T]) -> T:
    """Return the fitted state that `save` wrote to `path`. expected: its class, or the registry of its kind.

    Raises Any2AnyError when it is missing, damaged, of another format, or not what is expected.
    """
    with explained(f"Cannot read the fitted state {path}", REMEDY):
        header, arrays = read_again(path.with_suffix(".npz"), lambda: _read(path))
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
        declared.require([f.name for f in dataclasses.fields(cls)], values)  # `save` writes all, defaults too
        return declared.build(cls, values)  # type: ignore[no-any-return]


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the header and the arrays."""
    arrays = reading.arrays(path.with_suffix(".npz"))
    if HEADER in arrays:
        return reading.parsed(arrays.pop(HEADER)), arrays
    return reading.json_object(path.with_suffix(".json")), arrays


def _class(header: dict[str, Any], expected: Registry[T] | type[T]) -> Any:
    """Return the class that the header names. Raises ValueError when it is not what is expected."""
    if header["format"] == legacy.FORMAT:
        kind, plug = legacy.kind_and_plug(header["class"])
    elif header["format"] in (FORMAT, *OLDER):
        kind, plug = header["kind"], header["plug"]
    else:
        known = ", ".join(map(str, (FORMAT, *OLDER)))
        raise ValueError(f"its format is {header['format']}, this program reads {known}")
    if isinstance(expected, Registry):
        if kind != expected.kind or not isinstance(plug, str) or "." in plug:  # a dot: a file must not name a module
            raise ValueError(f"it holds {kind} '{plug}', a {expected.kind} of this package is expected")
        return expected.find_recorded(plug)
    cls: Any = expected
    if (kind, plug) != (cls.kind, cls.plug):
        raise ValueError(f"it holds {kind} '{plug}', {cls.kind} '{cls.plug}' is expected")
    return expected


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
