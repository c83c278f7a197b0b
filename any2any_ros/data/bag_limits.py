"""Limits for rosbags, which unpacks and parses whatever a bag holds.

rosbags has no setting for this. So its functions that unpack are replaced here, by functions that stop at a limit.
"""

from __future__ import annotations

import bz2
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from types import SimpleNamespace
from typing import Any

import apsw
import lz4.frame
from rosbags.rosbag1 import reader as rosbag1
from rosbags.rosbag2 import reader, storage_mcap, storage_sqlite3

from any2any_ros import limits

MODULES: tuple[Any, ...] = (reader, storage_mcap, storage_sqlite3)
ZSTD = MODULES[0].zstd
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"  # how a file or a message begins that zstd has packed
SPARE = 1 << 30  # bytes that stay free on the disk


class _Unpacking:
    """A stream that raises ValueError once more than `most` bytes were read from it."""

    def __init__(self, stream: Any, most: int) -> None:
        self._stream, self._most, self._left = stream, most, most

    def __enter__(self) -> _Unpacking:
        return self

    def __exit__(self, *error: object) -> None:
        self._stream.close()

    def read(self, size: int = -1) -> bytes:
        wanted = self._left + 1 if size < 0 else min(size, self._left + 1)
        data: bytes = self._stream.read(wanted)
        self._left -= len(data)
        if self._left < 0:
            raise _burst(self._most)
        return data


def _burst(most: int) -> ValueError:
    return ValueError(f"a part of it has more than {most:,} bytes when it is unpacked")


def _unpacker(open_packed: Callable[..., Any]) -> Callable[..., bytes]:
    """Return a function that unpacks a chunk or a message. size: what the bag says of the unpacked size."""

    def unpack(data: bytes, size: int = limits.MESSAGE_BYTES) -> bytes:
        if size > limits.MESSAGE_BYTES:
            raise _burst(limits.MESSAGE_BYTES)
        with _Unpacking(open_packed(BytesIO(data), "rb"), size) as stream:
            return stream.read()

    return unpack


def _opened(file: Any, mode: str) -> _Unpacking:
    """Open a packed file, which rosbags unpacks into the folder of temporary files."""
    free = shutil.disk_usage(tempfile.gettempdir()).free
    return _Unpacking(ZSTD.open(file, mode), max(0, free - SPARE))


def _short(parse: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return rosbags' parser of QoS settings, for texts of ordinary length."""

    def parse_short(text: Any) -> Any:
        if isinstance(text, str) and len(text) > limits.CHARACTERS:
            raise ValueError(f"the QoS settings of a topic have {len(text):,} characters")
        return parse(text)

    return parse_short


def _limit_values(connection: apsw.Connection) -> None:
    connection.limit(apsw.SQLITE_LIMIT_LENGTH, limits.MESSAGE_BYTES)


@contextmanager
def limited_databases() -> Iterator[None]:
    """Limit the values of SQLite databases that are opened meanwhile. A database can compute a value of a gigabyte."""
    apsw.connection_hooks.append(_limit_values)
    try:
        yield
    finally:
        apsw.connection_hooks.remove(_limit_values)


unpacked = _unpacker(ZSTD.open)  # a message, unpacked
rosbag1.decompressors.update({"bz2": _unpacker(bz2.open), "lz4": _unpacker(lz4.frame.open)})
storage_mcap.DECOMPRESSORS.update({"lz4": _unpacker(lz4.frame.open), "zstd": unpacked})
MODULES[0].zstd = SimpleNamespace(open=_opened, decompress=unpacked)
for module in MODULES:
    module.parse_qos = _short(module.parse_qos)
