"""Reads files that may come from anyone, and never more of them than limits.py allows.

The functions raise OSError for a file that cannot be read, and ValueError for one that is too large or no ordinary
file. Their callers say what the file was for, and what to do.
"""

from __future__ import annotations

import errno
import gzip
import json
import os
import stat
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from any2any_ros import limits

GZIP = b"\x1f\x8b"  # how a gzipped file begins


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open an ordinary file. A pipe would make us wait, and a device may never end."""
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as stream:
        if not stat.S_ISREG(os.fstat(stream.fileno()).st_mode):
            raise ValueError(f"{path.name} is no ordinary file")
        yield stream


def content(path: Path, most: int) -> bytes:
    """Return the bytes of a file that has at most `most` of them."""
    with opened(path) as stream:
        data = stream.read(most + 1) if _size(stream) <= most else b""
        _few(path, max(_size(stream), len(data)), most, "bytes")
        return data


def text(path: Path, most: int = limits.TEXT_BYTES) -> str:
    """Return a file of text in UTF-8. Bytes that are no UTF-8 become U+FFFD."""
    return content(path, most).decode("utf-8", errors="replace")


def json_value(path: Path) -> Any:
    """Return the value in a JSON file."""
    return parsed(content(path, limits.TEXT_BYTES))


def json_object(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file. Raises ValueError when it holds another value."""
    value = json_value(path)
    if not isinstance(value, dict):
        raise ValueError(f"{path.name} holds no JSON object")
    return value


def parsed(data: bytes) -> Any:
    """Return the value in the bytes of a JSON file. Raises ValueError when they are damaged or too many."""
    if len(data) > limits.TEXT_BYTES:
        raise ValueError(f"its header has {len(data):,} bytes, and at most {limits.TEXT_BYTES:,} are read")
    try:
        return json.loads(data.decode())
    except RecursionError:
        raise ValueError("its values are nested too deeply") from None


def values(path: Path, dtype: str, most: int) -> NDArray[Any]:
    """Return a file of at most `most` bytes as an array (N,). Bytes after the last whole value are left out."""
    with opened(path) as stream:
        _few(path, _size(stream), most, "bytes")
        return np.fromfile(stream, dtype=dtype, count=_size(stream) // np.dtype(dtype).itemsize)


def unpacked(path: Path, most: int) -> bytes:
    """Return the bytes of a file, plain or gzipped, that has at most `most` of them when it is unpacked.

    Raises also EOFError and zlib.error, where a gzipped file is damaged.
    """
    with _unpacking(path) as stream:
        data = stream.read(most + 1)
        _few(path, len(data), most, "bytes or more")
        return data


def lines(path: Path, most: int) -> Iterator[bytes]:
    """Yield the lines of a text, plain or gzipped, with their line breaks; the last line may have none.

    most: bytes that it may have when it is unpacked. Raises also EOFError and zlib.error, as `unpacked` does.
    """
    with _unpacking(path) as stream:
        total = 0
        while line := stream.readline(limits.LINE_BYTES + 1):
            total += len(line)
            _few(path, total, most, "bytes or more")
            _few(path, len(line), limits.LINE_BYTES, "bytes in a line")
            yield line


@contextmanager
def _unpacking(path: Path) -> Iterator[BinaryIO]:
    with opened(path) as file:
        packed = file.read(len(GZIP)) == GZIP
        file.seek(0)
        yield gzip.GzipFile(fileobj=file) if packed else file  # type: ignore[misc]


def arrays(path: Path) -> dict[str, Any]:
    """Return all arrays of a .npz file, and what else is in it as bytes.

    Raises also BadZipFile, EOFError and zlib.error, where it is damaged.
    """
    check_arrays(path)
    with np.load(path, allow_pickle=False) as stored:
        return {name: with_content(stored[name], name) for name in stored.files}


def check_arrays(path: Path) -> None:
    """Raise ValueError when a .npz file is far smaller than its arrays.

    An array that is not compressed may be as large as the file is, as far as the disk really holds it.
    """
    with opened(path) as stream, zipfile.ZipFile(stream) as archive:
        plain = sum(m.file_size for m in archive.infolist() if m.compress_type == zipfile.ZIP_STORED)
        packed = sum(m.file_size for m in archive.infolist()) - plain
        _few(path, packed, limits.UNPACKED_BYTES, "bytes when it is unpacked")
        _few(path, plain, _size(stream), "bytes in arrays that overlap")
        if _size(stream) > limits.UNPACKED_BYTES and 2 * _on_disk(stream) < _size(stream):
            raise ValueError(f"most of {path.name} is a hole that no disk holds")


def with_content(array: Any, name: str) -> Any:
    """Return an array, or bytes. Raises ValueError for one of many rows that take no bytes: as a list, it would."""
    if isinstance(array, np.ndarray) and array.nbytes == 0 and max(array.shape, default=0) > limits.VECTOR:
        raise ValueError(f"'{name}' holds {array.shape} {array.dtype}, which takes no bytes")
    return array


def _few(path: Path, count: int, most: int, unit: str) -> None:
    if count > most:
        raise ValueError(f"{path.name} has {count:,} {unit}, and at most {most:,} are read")


def _size(stream: BinaryIO) -> int:
    return os.fstat(stream.fileno()).st_size


def _on_disk(stream: BinaryIO) -> int:
    """Return how many bytes of a file are not in holes; where a file system does not tell, all of them."""
    at, held, size = 0, 0, _size(stream)
    while at < size:
        try:
            start = os.lseek(stream.fileno(), at, os.SEEK_DATA)
        except OSError as error:
            return held if error.errno == errno.ENXIO else size  # there is no more data; the file system cannot tell
        at = os.lseek(stream.fileno(), start, os.SEEK_HOLE)
        held += at - start
    return held
