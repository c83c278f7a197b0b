"""Arrays of an .npz file that stay on disk, memory-mapped. np.savez does not compress, so this is possible."""

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

LOCAL_HEADER = 30  # bytes; the name and the extra field follow, and the last four bytes hold their lengths


def mapped(path: Path, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Return the arrays `names` of the file, memory-mapped, read-only.

    Their positions, sizes and types are validated. Their checksums are not, because that would read the whole file.
    Raises KeyError when an array is missing; ValueError, OSError or BadZipFile when the file is damaged, is compressed
    or holds Python objects.
    """
    try:
        with zipfile.ZipFile(path) as archive, open(path, "rb") as file:
            return {name: _member(path, archive, file, archive.getinfo(f"{name}.npy")) for name in names}
    except NotImplementedError as error:  # a later version of the format, or an unknown compression
        raise ValueError(str(error)) from error
    except EOFError as error:
        raise ValueError("an array begins behind the end of the file") from error


def release(places: ObservationSet) -> None:
    """Free the memory that memory-mapped poses and vectors take. The next access reads them from disk again."""
    for rows in (places.poses, *places.embeddings.values(), *places.birds_eye.values()):
        for part in getattr(rows, "parts", (rows,)):  # arrays.Stacked has parts
            _release(part)


def _release(base: Any) -> None:
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap):
        base.madvise(mmap.MADV_DONTNEED)


def _member(path: Path, archive: zipfile.ZipFile, file: BinaryIO, info: zipfile.ZipInfo) -> NDArray[Any]:
    if info.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"'{info.filename}' is compressed")
    with archive.open(info) as member:  # also compares the name in the local header with the one in the directory
        shape, dtype = _array(member, info.filename)
        header = member.tell()
    if header + math.prod(shape) * dtype.itemsize != info.file_size:
        raise ValueError(f"'{info.filename}' holds {info.file_size - header} bytes, not {shape} {dtype}")
    if 0 in shape:
        return np.empty(shape, dtype=dtype)
    return np.asarray(np.memmap(path, dtype, "r", _start(file, info) + header, shape))


def _array(member: Any, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Return the shape and dtype from the array's own header."""
    version = np.lib.format.read_magic(member)
    if version == (1, 0):
        shape, fortran, dtype = np.lib.format.read_array_header_1_0(member)
    else:
        shape, fortran, dtype = np.lib.format.read_array_header_2_0(member)  # raises ValueError for later ones
    if (fortran and len(shape) > 1) or dtype.hasobject:
        raise ValueError(f"'{name}' holds {dtype}, or is in Fortran order; only plain arrays in C order can be mapped")
    return shape, dtype


def _start(file: BinaryIO, info: zipfile.ZipInfo) -> int:
    """Return where the bytes of a member begin. The directory knows only where the local header begins."""
    file.seek(info.header_offset)
    name, extra = struct.unpack("<HH", file.read(LOCAL_HEADER)[-4:])
    return info.header_offset + LOCAL_HEADER + int(name) + int(extra)
