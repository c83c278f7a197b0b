"""A process that is copied (fork), and stopped before an operation on a file, for killing.py.

A step is an operation on a file of one folder: one is looked for, opened, made, renamed, removed or flushed.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

EVENTS = {"open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.scandir", "os.listdir"}

_current: dict[str, Any] = {"home": "", "call": None, "installed": False}


def at_steps(home: Path, call: Callable[[], object] | None) -> None:
    """Call a function before each operation of this process on a file of the folder `home`, from now on."""
    _current.update(home=str(home), call=call)
    if not _current["installed"]:
        sys.addaudithook(_hook)
        os.fsync = _stepping(os.fsync)  # no event tells of it
        _current["installed"] = True


def _stepping(function: Callable[..., Any]) -> Callable[..., Any]:
    def stepping(*arguments: Any) -> Any:
        _step()
        return function(*arguments)

    return stepping


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    if _current["call"] is not None and event in EVENTS:
        path = arguments[0]
        text = os.fsdecode(path) if isinstance(path, str | bytes | os.PathLike) else "/"
        if text.startswith(_current["home"]) or not text.startswith("/"):  # relative: to a folder that is open
            _step()


def _step() -> None:
    call = _current["call"]
    if call is not None:
        _current["call"] = None  # what it does itself is no step
        call()
        if _current["call"] is None:
            _current["call"] = call


# --- processes --------------------------------------------------------------------------------------------------

_pipe = -1


def fork() -> int:
    """Copy this process. The copy cannot answer in its place."""
    global _pipe
    child = os.fork()
    if child == 0:
        _pipe = os.open(os.devnull, os.O_WRONLY)
    return child


def copied(work: Callable[[], Any]) -> dict[str, Any]:
    """Do the work in a copy of this process. Return {"result": what it returned} or {"error": what it raised}."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        global _pipe
        os.close(reading)
        _pipe, _current["call"] = writing, None
        try:
            answer({"result": work()})
        except BaseException:
            answer({"error": traceback.format_exc()})
    os.close(writing)
    with open(reading, "rb") as stream:
        content = stream.read()
    _, status = os.waitpid(child, 0)
    return dict(json.loads(content)) if content else {"error": f"it ended with {status}"}


def answer(result: dict[str, Any]) -> None:
    """End this copy of the process, and answer to the one that made it."""
    try:
        text = json.dumps(result)
    except TypeError:
        text = json.dumps({"result": None})
    with open(_pipe, "wb") as stream:
        stream.write(text.encode())
    os._exit("error" in result)


def done(result: dict[str, Any]) -> Any:
    if "error" in result:
        raise RuntimeError(result["error"])
    return result["result"]
