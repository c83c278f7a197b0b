"""Folders of files as dictionaries, path -> bytes, None for a folder; and what damage and malice make of them."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from .choices import Choices
from .mutation import WORDS, array, mutated, raw

Files = dict[str, bytes | None]
HEADER = "header.json"  # of fitted state, a text among the arrays
MEMORY = Path("/dev/shm")


@cache
def scratch() -> Path:
    """Return a folder of this process, in memory where that is possible."""
    return Path(tempfile.mkdtemp(prefix="any2any-fuzz-", dir=MEMORY if os.access(MEMORY, os.W_OK) else None))


def clean() -> None:
    """Remove the folder of this process."""
    shutil.rmtree(scratch(), ignore_errors=True)


def read(folder: Path) -> Files:
    """Return the files of a folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def on_disk(cross: Callable[[Path], Any]) -> Callable[[Files], Any]:
    """Return a function that writes the files to a folder for `cross`, and removes them afterwards."""

    def crossed(files: Files) -> Any:
        folder = scratch() / "input"
        write(files, folder)
        try:
            return cross(folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    return crossed


def write(files: Files, folder: Path) -> None:
    folder.mkdir(parents=True)
    for name, data in files.items():
        path = Path(os.path.normpath(folder / name))
        if folder not in path.parents:
            continue
        with suppress(OSError, ValueError):  # a name that no file can have, or a file where a folder should be
            path.parent.mkdir(parents=True, exist_ok=True)
            if data is None:
                path.mkdir(exist_ok=True)
            else:
                path.write_bytes(data)


def mutated_files(choices: Choices, files: Files) -> Files:
    """Return the files with one of them changed, missing, exchanged or in another place."""
    if not files:
        return files
    name, changed, how = choices.choice(sorted(files)), dict(files), choices.random()
    data = files[name]
    if how < 0.8 and data is not None:
        changed[name] = content(choices, name, data)
    elif how < 0.86:
        del changed[name]
    elif how < 0.9:
        changed[name] = choices.one(b"", None)
    elif how < 0.95:
        changed[name] = files[choices.choice(sorted(files))]
    else:
        changed[_renamed(choices, name)] = changed.pop(name)
    return changed


def _renamed(choices: Choices, name: str) -> str:
    folder, _, last = name.rpartition("/")
    stem, dot, end = last.rpartition(".")
    return f"{folder}/{choices.one(*WORDS, stem + '0', '9' * 12)}{dot}{end}".strip("/").replace("\x00", "")


def content(choices: Choices, name: str, data: bytes) -> bytes:
    """Return the content of a file with something changed that its format can hold, or any bytes."""
    change = STRUCTURED.get(Path(name).suffix)
    if change is not None and choices.often(0.75):
        with suppress(Exception):  # it is of its format no longer
            return change(choices, data)
    return raw(choices, data)


def json_file(choices: Choices, data: bytes) -> bytes:
    value = json.loads(data)
    for _ in range(choices.one(1, 1, 2)):
        value = mutated(choices, value)
    return json.dumps(value).encode("utf-8", "surrogatepass")


def npz_file(choices: Choices, data: bytes) -> bytes:
    with np.load(io.BytesIO(data), allow_pickle=False) as stored:
        arrays: dict[str, Any] = {name: stored[name] for name in stored.files}
    name, how = choices.choice(sorted(arrays)), choices.random()
    if how < 0.8:
        value = arrays[name]
        arrays[name] = json_file(choices, value) if isinstance(value, bytes) else array(choices, value)
    elif how < 0.9:
        del arrays[name]
    else:
        arrays[choices.one(*WORDS[:40], name + "/a")] = np.zeros(choices.one(0, 1, 5))
    return npz(arrays, choices.one(zipfile.ZIP_STORED, zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))


def npz(arrays: dict[str, Any], compression: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, value in arrays.items():
            if isinstance(value, bytes):
                archive.writestr(name, value)
            else:
                archive.writestr(f"{name}.npy", npy(value))
    return out.getvalue()


def npy(value: Any) -> bytes:
    out = io.BytesIO()
    np.save(out, value, allow_pickle=True)  # a file may hold a pickle; it must not be loaded
    return out.getvalue()


def npy_file(choices: Choices, data: bytes) -> bytes:
    return npy(array(choices, np.load(io.BytesIO(data), allow_pickle=False)))


def lines_file(choices: Choices, data: bytes) -> bytes:
    """Return a text whose lines or words are changed."""
    lines = data.decode("latin-1").split("\n")
    at, how = choices.randrange(len(lines)), choices.random()
    if how < 0.6:
        words = lines[at].split(" ")
        words[choices.randrange(len(words))] = choices.one(*WORDS).encode("utf-8", "surrogatepass").decode("latin-1")
        lines[at] = " ".join(words)
    elif how < 0.7:
        del lines[at]
    elif how < 0.8:
        lines.insert(at, lines[choices.randrange(len(lines))])
    elif how < 0.9:
        lines[at] = lines[at][: choices.randint(0, len(lines[at]))]
    else:
        lines = lines[:at]
    return "\n".join(lines).encode("latin-1")


def gzip_file(choices: Choices, data: bytes) -> bytes:
    return gzip.compress(lines_file(choices, gzip.decompress(data)), 1, mtime=0)


STRUCTURED: dict[str, Callable[[Choices, bytes], bytes]] = {
    ".json": json_file, ".npz": npz_file, ".npy": npy_file, ".txt": lines_file, ".log": lines_file, ".tsv": lines_file,
    ".yaml": lines_file, ".gz": gzip_file,
}  # fmt: skip
