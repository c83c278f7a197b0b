"""Arrays of an .npz file that stay on disk: np.savez does not compress, so each lies there as it does in memory."""

from __future__ import annotations

import math
import mmap
import struct
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from any2any_ros.observation import ObservationSet

LOCAL_HEADER = 30  # bytes, before the member's name and extra field, whose lengths are its last four


def mapped(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Return the arrays `names` of the file, memory-mapped, read-only.

    What is looked at is where they lie, how large they are and of what type; their checksums are not, which would read
    them. Raises KeyError for one that is not there, ValueError, OSError or BadZipFile for damage and for a file that is
    compressed or holds objects.
    """
    with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
        return {name: _member(path, archive, file, archive.getinfo(f"{name}.npy")) for name in names}


def forget(places: ObservationSet) -> None:
    """Let go of what was read of poses and vectors on disk: they are read again when they are looked at."""
    for rows in (places.poses, *places.embeddings.values()):
        for part in getattr(rows, "parts", (rows,)):  # of stacked rows
            _forget(part)


def _forget(base: Any) -> None:
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap):
        base.madvise(mmap.MADV_DONTNEED)


def _member(path: Path, archive: zipfile.ZipFile, file: BinaryIO, info: zipfile.ZipInfo) -> NDArray[Any]:
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"'{info.filename}' is compressed")
    with archive.open(info) as member:  # compares the name here with the directory's
        shape, dtype = _array(member, info.filename)
        header = member.tell()
    if header + math.prod(shape) * dtype.itemsize != info.file_size:
        raise ValueError(f"'{info.filename}' holds {info.file_size - header} bytes, not {shape} {dtype}")
    if 0 in shape:
        return np.empty(shape, dtype=dtype)
    return np.asarray(np.memmap(path, dtype, "r", _start(file, info) + header, shape))


def _array(member: Any, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and type that an array's own header tells."""
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(member)
    else:
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(member)  # raises ValueError for later ones
    if (fortran and len(shape) > 1) or dtype.hasobject:
        raise ValueError(f"'{name}' holds {dtype} in another order than C's")
    return shape, dtype


def _start(file: BinaryIO, info: zipfile.ZipInfo) -> int:
    """Return where a member's bytes begin: the directory tells only where its local header does."""
    file.seek(info.header_offset)
    name, extra = struct.unpack("<HH", file.read(LOCAL_HEADER)[-4:])
    return info.header_offset + LOCAL_HEADER + int(name) + int(extra)
