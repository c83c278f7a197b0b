"""A plug is a file: `encoders/thermal.py` with a class whose `plug` is "thermal" is the encoder "thermal".

A name with a dot is somebody else's module on the Python path ("my_robot.thermal"). Fitted state is a
frozen dataclass; `save` and `load` keep it as one .npz (arrays) and one .json (the rest), never as pickle.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import importlib
import json
import math
import os
import pkgutil
import shutil
import typing
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros.errors import Any2AnyError

FORMAT = 1


def _classes(module_name: str) -> Iterator[type]:
    module = importlib.import_module(module_name)
    for value in vars(module).values():
        if isinstance(value, type) and value.__module__ == module_name and "plug" in vars(value):
            yield value


def _modules(kind: str) -> list[str]:
    package = importlib.import_module(f"any2any_ros.{kind}")
    return [name for _, name, _ in pkgutil.iter_modules(package.__path__) if not name.startswith("_")]


@functools.cache
def find(kind: str, name: str) -> type[Any]:
    """Return the class plugged in as `name` among `kind` ("encoders", "methods"); raise when there is none."""
    if "." in name:
        try:
            candidates = list(_classes(name))
        except (ImportError, TypeError) as error:  # TypeError: a leading dot
            raise Any2AnyError(
                f"'{name}' is no plug", str(error), "Give a module on the Python path, and install what it needs"
            ) from error
        if len(candidates) == 1:
            return candidates[0]
        raise Any2AnyError(
            f"'{name}' is no plug", f"it has {len(candidates)} classes with a 'plug'", "Give it exactly one"
        )
    # The file of that name first: looking further imports every file of the folder.
    stems = _modules(kind)
    for stem in sorted(stems, key=lambda stem: stem != name):
        for cls in _classes(f"any2any_ros.{kind}.{stem}"):
            if vars(cls)["plug"] == name:
                return cls
    raise Any2AnyError(
        f"There is no '{name}' among the {kind}",
        f"the plugs are {', '.join(names(kind))}",
        f"Choose one of them, or add any2any_ros/{kind}/{name}.py",
    )


def names(kind: str) -> tuple[str, ...]:
    """Return the keys of all plugs of `kind`; imports them."""
    found = (vars(cls)["plug"] for stem in _modules(kind) for cls in _classes(f"any2any_ros.{kind}.{stem}"))
    return tuple(sorted(found))


def write_atomically(path: Path, write: typing.Callable[[typing.BinaryIO], object]) -> None:
    """Write a file so that a reader, or a crash, sees the old one or the new one and nothing between."""
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


def write_json(path: Path, value: typing.Any) -> None:
    """Write a value as JSON, atomically; a number that is not finite becomes null, which every reader of JSON knows."""
    text = json.dumps(_finite(value), indent=1, allow_nan=False).encode() + b"\n"
    write_atomically(path, lambda stream: stream.write(text))


def _finite(value: typing.Any) -> typing.Any:
    if isinstance(value, dict):
        return {key: _finite(v) for key, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """Give a folder to write into that takes the place of `folder` when all went well, and else vanishes."""
    unfinished = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    try:
        yield unfinished
        if folder.exists():
            old = folder.with_name(f".{folder.name}.{os.getpid()}.old")
            folder.rename(old)
            unfinished.rename(folder)
            shutil.rmtree(old)
        else:
            unfinished.rename(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def save(state: Any, path: Path) -> None:
    """Store fitted state (a frozen dataclass of arrays, numbers, strings, and dicts of arrays) at path.npz/.json."""
    arrays: dict[str, Any] = {}
    plain: dict[str, Any] = {}
    for f in dataclasses.fields(state):
        value = getattr(state, f.name)
        if isinstance(value, np.ndarray):
            arrays[f.name] = value
        elif isinstance(value, dict) and all(isinstance(v, np.ndarray) for v in value.values()):
            arrays |= {f"{f.name}/{key}": v for key, v in value.items()}
            plain[f.name] = {"keys": list(value)}
        else:
            plain[f.name] = value
    module = type(state).__module__
    kind = module.removeprefix("any2any_ros.")
    if kind == module or not _is_ours(kind):
        raise Any2AnyError(
            f"Cannot save the fitted state of {type(state).__name__}", f"nothing of '{module}' is ever read back",
            "Put its file into any2any_ros/methods/",
        )  # fmt: skip
    header = {"format": FORMAT, "class": f"{kind}:{type(state).__qualname__}", "values": plain}
    text = json.dumps(header, indent=1).encode() + b"\n"  # with Infinity, which is a value of a fitted state
    write_atomically(path.with_suffix(".npz"), lambda stream: np.savez(stream, **arrays))
    write_atomically(path.with_suffix(".json"), lambda stream: stream.write(text))


def fingerprint(state: Any) -> str:
    """Return what tells fitted state from all other, its class and all it holds; raise TypeError when it is none."""
    return hashlib.blake2b("".join(_spelt(state)).encode(), digest_size=8).hexdigest()


def _spelt(value: Any) -> Iterator[str]:
    if isinstance(value, np.ndarray):
        content = hashlib.blake2b(np.ascontiguousarray(value).data, digest_size=16).hexdigest()
        yield f"{value.dtype.str}{value.shape}{content};"
    elif dataclasses.is_dataclass(value):
        yield f"{type(value).__module__}:{type(value).__qualname__}("
        for f in dataclasses.fields(value):
            yield f"{f.name}="
            yield from _spelt(getattr(value, f.name))
        yield ");"
    elif isinstance(value, dict):
        yield from _spelt([part for item in value.items() for part in item])
    elif isinstance(value, list | tuple):
        yield f"{len(value)}["
        for item in value:
            yield from _spelt(item)
    elif value is None or isinstance(value, str | int | float | np.generic):
        yield f"{type(value).__name__} {value!r};"
    else:
        raise TypeError(f"{type(value).__name__} is no fitted state")


def load(path: Path) -> Any:
    """Return what `save` stored at `path`; raise Any2AnyError when it is missing, damaged or of another format."""
    try:
        header = json.loads(path.with_suffix(".json").read_text())
        with np.load(path.with_suffix(".npz"), allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
        cls = _state_class(header)
        values = header["values"]
        for f in dataclasses.fields(cls):
            stands_for = values.get(f.name)
            if isinstance(stands_for, dict) and set(stands_for) == {"keys"}:
                values[f.name] = {key: arrays[f"{f.name}/{key}"] for key in stands_for["keys"]}
            elif f.name in arrays:
                values[f.name] = arrays[f.name]
        return cls(**values)
    except Any2AnyError:
        raise
    except Exception as error:  # any damage reads the same to a user
        raise Any2AnyError(
            f"Cannot read the fitted state {path}", f"{type(error).__name__}: {error}", "Fit it again"
        ) from error


def _state_class(header: dict[str, Any]) -> type[Any]:
    if header["format"] != FORMAT:
        raise Any2AnyError(
            "Cannot read the fitted state",
            f"its format is {header['format']}, this program reads {FORMAT}",
            "Fit it again with this version",
        )
    module, name = header["class"].split(":")
    if not _is_ours(module):
        raise Any2AnyError("Cannot read the fitted state", f"'{module}' is not ours", "Fit it again")
    cls: type[Any] = getattr(importlib.import_module(f"any2any_ros.{module}"), name)
    if not dataclasses.is_dataclass(cls):
        raise Any2AnyError("Cannot read the fitted state", f"'{name}' holds no state", "Fit it again")
    return cls


def _is_ours(module: str) -> bool:
    """Whether it is where fitted state lives: a file must not choose what code is imported."""
    return module.split(".")[0] in ("methods", "encoders", "retrieval")
