"""The aligned vectors of a large map, in half precision, split into shards.

A column holds one vector for each place: of one reference modality, in the space of one or more alignments. A shard
holds one array (rows, S) float16 for each column. Only the last shard has room for more rows, so adding places never
copies stored vectors. Where a place lacks a column its row is zeros. Its pattern tells which columns it has.

FOLDER/shards.json                       columns, rows, names and checksums of the files; written last: until then a
                                         reader sees the old shards
FOLDER/<column>-<shard>-<checksum>.npy   (rows, S) float16, memory-mapped when opened
FOLDER/present-<shard>-<checksum>.npy    (rows, C) bool: which columns a place has
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from any2any_ros import declared, reading
from any2any_ros.arrays import Flags, Halves, Rows
from any2any_ros.declared import NOT_NEGATIVE, POSITIVE
from any2any_ros.errors import Any2AnyError, explained
from any2any_ros.files import write_atomically, write_json
from any2any_ros.retrieval.large import blocks
from any2any_ros.retrieval.large.blocks import Block, multiplier

FORMAT = 1
INDEX = "shards.json"
NAME = re.compile(r"[a-z0-9]+-\d{5,}-[0-9a-f]{16}\.npy")
REMEDY = "Write them again from the map"
SHARD_ROWS = 1 << 17
BLOCK_ROWS = 1 << 15  # places whose keys are computed together


@dataclass(frozen=True)
class Header:
    """The content of shards.json. columns: dimensions by name. shards: names of files, and the number of rows."""

    format: int
    columns: dict[str, Annotated[int, POSITIVE]]
    shard_rows: Annotated[int, POSITIVE]
    longest: tuple[Annotated[float, NOT_NEGATIVE], ...]
    shards: tuple[dict[str, Any], ...]

    def __post_init__(self) -> None:
        sizes = [shard["rows"] for shard in self.shards]
        if not self.columns or self.shard_rows > SHARD_ROWS:  # rows could then be any number
            raise ValueError(f"they have {len(self.columns)} columns, and {self.shard_rows} rows in a shard")
        if not all(type(size) is int and 1 <= size <= self.shard_rows for size in sizes):
            raise ValueError("the rows of a shard are out of range")
        if len(self.longest) != len(self.columns):
            raise ValueError("there is no norm of the longest vector for each column")


class Shards:
    """The vectors (N, S) of each column, and which columns each place has."""

    def __init__(self, dimensions: Mapping[str, int], shard_rows: int = SHARD_ROWS) -> None:
        """dimensions: S by name of column. shard_rows: places in a full shard."""
        if len(dimensions) > 62 or not all(s >= 1 for s in dimensions.values()):
            raise Any2AnyError(
                "Cannot store vectors",
                f"there are {len(dimensions)} columns, with dimensions {set(dimensions.values())}",
                "Give up to 62 columns, each with at least one dimension",
            )
        self.columns = tuple(dimensions)
        self.dimensions = tuple(dimensions.values())
        self.longest = np.zeros(len(self.columns))  # upper bound of the norm of each column's vectors
        self.patterns: Flags = np.empty((0, len(self.columns)), dtype=bool)  # (P, C): the patterns that occur
        self._shard_rows = shard_rows
        self._shards: list[tuple[Halves, ...]] = []
        self._sizes: list[int] = []
        self._bits = 1 << np.arange(len(self.columns), dtype=np.int64)
        self._pattern = np.empty(0, dtype=np.intp)  # (capacity,): see `pattern`
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def nbytes(self) -> int:
        """Return how many bytes the vectors and patterns take."""
        return self._count * (2 * sum(self.dimensions) + self._pattern.itemsize)

    @property
    def pattern(self) -> Rows:
        """Return (N,): the row of `patterns` of each place."""
        return self._pattern[: self._count]

    def add(self, vectors: Mapping[str, ArrayLike], count: int | None = None) -> None:
        """Append places. vectors: (n, S) by column, NaN rows where missing; an absent column is missing in all rows.

        count: n, needed where `vectors` has no column. Raises Any2AnyError when the shapes do not fit, and for values
        that half precision cannot hold.
        """
        values = {c: np.asarray(v) for c, v in vectors.items()}
        if unknown := [c for c in values if c not in self.columns]:
            why, remedy = f"the columns are {', '.join(self.columns)}", "Give vectors of these columns only"
            raise Any2AnyError(f"Cannot store vectors of '{unknown[0]}'", why, remedy)
        n = next((len(v) for v in values.values()), 0) if count is None else count
        rows = [self._half(values.get(c), n, c, s) for c, s in zip(self.columns, self.dimensions, strict=True)]
        present = np.stack([~np.isnan(half).any(axis=1) for half in rows], axis=1) if rows else np.empty((n, 0), bool)
        rows = [np.where(has[:, None], half, np.float16(0)) for half, has in zip(rows, present.T, strict=True)]
        self.longest = np.maximum(self.longest, [_longest(half) for half in rows])
        self._append(rows, n)
        self._mark(present)

    def _half(self, values: NDArray[Any] | None, n: int, column: str, dimension: int) -> Halves:
        if values is None:
            return np.full((n, dimension), np.nan, dtype=np.float16)
        what = f"Cannot store vectors of '{column}'"
        if values.shape != (n, dimension):
            raise Any2AnyError(
                what, f"their shape is {values.shape}, not {(n, dimension)}", "Use the encoder that made the map"
            )
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        missing = np.isnan(values).all(axis=1)
        if not (np.isfinite(half).all(axis=1) | missing).all():
            raise Any2AnyError(
                what, "a value is not finite, or beyond 65504", "Normalise the vectors, and make a missing row all NaN"
            )
        return half

    def _append(self, rows: list[Halves], n: int) -> None:
        done = 0
        while done < n:
            if not self._shards or self._sizes[-1] >= min(self._shard_rows, self._last_capacity()):
                # The array of a whole shard costs nothing at first: the system provides memory as rows are written.
                self._shards.append(tuple(np.empty((self._shard_rows, s), np.float16) for s in self.dimensions))
                self._sizes.append(0)
            at = self._sizes[-1]
            now = min(n - done, self._shard_rows - at)
            for stored, half in zip(self._shards[-1], rows, strict=True):
                stored[at : at + now] = half[done : done + now]
            self._sizes[-1] += now
            done += now

    def _last_capacity(self) -> int:
        """Return how many rows the last shard can hold. One that was read from disk holds no more than it has."""
        return min((len(stored) for stored in self._shards[-1]), default=self._shard_rows)

    def _mark(self, present: Flags) -> None:
        """Store the patterns of new places. present (n, C): which columns they have."""
        codes = present.astype(np.int64) @ self._bits
        known = (self.patterns.astype(np.int64) @ self._bits).tolist()
        occurring, which = np.unique(codes, return_inverse=True)
        known += [code for code in occurring.tolist() if code not in known]
        self.patterns = (np.array(known, dtype=np.int64)[:, None] & self._bits) > 0
        rank = np.array([known.index(code) for code in occurring.tolist()], dtype=np.intp)
        end = self._count + len(present)
        if end > len(self._pattern):  # doubled, so that adding places one by one rarely copies
            grown = np.empty(max(end, 2 * len(self._pattern)), dtype=np.intp)
            grown[: self._count] = self.pattern
            self._pattern = grown
        self._pattern[self._count : end] = rank[which]
        self._count = end

    def blocks(self, first: int = 0, step: int = 1) -> Iterator[Block]:
        """Yield blocks of places, each inside one shard. A missing vector is a row of zeros.

        first, step: yield only every step-th block, so that threads can share the work: iterators share no memory that
        they write to.
        """
        scratch = np.empty(max((blocks.CACHED, *self.dimensions)), dtype=np.float32)
        for start, stop, columns in islice(self._spans(), first, None, step):
            yield Block(start, stop, multiplier(columns, scratch))

    def _spans(self) -> Iterator[tuple[int, int, list[Halves]]]:
        """Yield start and stop of each block, and its columns (n, S)."""
        first = 0
        for shard, size in zip(self._shards, self._sizes, strict=True):
            for at in range(0, size, BLOCK_ROWS):
                end = min(at + BLOCK_ROWS, size)
                yield first + at, first + end, [stored[at:end] for stored in shard]
            first += size

    def stored(self) -> Iterator[tuple[tuple[Halves, ...], int]]:
        """Yield the columns (capacity, S) of each shard, and how many of their rows are in use."""
        yield from zip(self._shards, self._sizes, strict=True)

    def take(self, column: int, rows: Rows) -> NDArray[np.float64]:
        """Return the vectors (n, S) of ascending `rows`; NaN where the column is missing."""
        ends = np.cumsum([0, *self._sizes])
        cuts = np.searchsorted(rows, ends)
        vectors = np.empty((len(rows), self.dimensions[column]))
        for shard, start, low, high in zip(self._shards, ends[:-1], cuts[:-1], cuts[1:], strict=True):
            if high > low:
                vectors[low:high] = shard[column][rows[low:high] - start]
        vectors[~self.patterns[self.pattern[rows], column]] = np.nan
        return vectors

    def save(self, folder: Path) -> None:
        """Write the shards to `folder`. Files that exist already are not written again. Raises Any2AnyError."""
        try:
            shards = []
            first = 0
            for i, (shard, size) in enumerate(zip(self._shards, self._sizes, strict=True)):
                present = self.patterns[self.pattern[first : first + size]]
                parts = [(str(c), stored[:size]) for c, stored in enumerate(shard)] + [("present", present)]
                shards.append(
                    {name: _write(folder, f"{name}-{i:05d}", array) for name, array in parts} | {"rows": size}
                )
                first += size
            header = {
                "format": FORMAT,
                "columns": dict(zip(self.columns, self.dimensions, strict=True)),
                "shard_rows": self._shard_rows,
                "longest": self.longest.tolist(),
                "shards": shards,
            }
            write_json(folder / INDEX, header)
            in_use = {name for shard in shards for name in shard.values()}
            for old in folder.glob("*.npy"):
                if old.name not in in_use:
                    old.unlink()
        except OSError as error:
            raise Any2AnyError(
                f"Cannot write the shards {folder}", str(error), "Choose a folder that can be written to"
            ) from error


def load(folder: Path, verify: bool = False) -> Shards:
    """Open shards with their vectors memory-mapped. Takes a second for 1e6 places, whatever their dimension.

    verify: also read every file and compare its checksum. Raises Any2AnyError when a file is missing or damaged.
    """
    with explained(f"Cannot open the shards {folder}", REMEDY):
        content = reading.json_object(folder / INDEX)
        if content["format"] != FORMAT:
            raise ValueError(f"their format is {content['format']}, this program reads {FORMAT}")
        header = declared.build(Header, content)
        opened = Shards(header.columns, header.shard_rows)
        for shard in header.shards:
            size, widths = shard["rows"], enumerate(opened.dimensions)
            columns = (_read(folder, shard[str(c)], (size, s), np.float16, verify) for c, s in widths)
            opened._shards.append(tuple(columns))
            opened._sizes.append(size)
            opened._mark(_read(folder, shard["present"], (size, len(opened.columns)), np.bool_, verify))
        opened.longest = np.array(header.longest, dtype=np.float64).reshape(len(opened.columns))
        return opened


def _longest(half: Halves) -> float:
    """Return the norm of the longest row (n, S), rounded up."""
    wide = half.astype(np.float32)
    square = float(np.einsum("ns,ns->n", wide, wide).max(initial=0.0))
    return float(np.sqrt(square) * (1 + half.shape[1] * 2.0**-22))


def _write(folder: Path, stem: str, array: NDArray[Any]) -> str:
    """Write an array to a file whose name holds a checksum; return the name."""
    content = np.ascontiguousarray(array)
    name = f"{stem}-{_checksum(content)}.npy"
    if not (folder / name).exists():
        write_atomically(folder / name, lambda s: np.save(s, content, allow_pickle=False))
    return name


def _read(folder: Path, name: str, shape: tuple[int, int], dtype: type[Any], verify: bool) -> NDArray[Any]:
    if not NAME.fullmatch(name):
        raise ValueError(f"'{name}' is no name of a shard")
    if 0 in shape:
        return np.empty(shape, dtype=dtype)
    path = folder / name
    array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.shape != shape or array.dtype != dtype or not array.flags.c_contiguous:
        raise ValueError(f"{path.name} holds {array.shape} {array.dtype}, not {shape} {np.dtype(dtype)}")
    if verify and not path.stem.endswith(_checksum(array)):
        raise ValueError(f"the checksum of {path.name} is wrong")
    return np.asarray(array)


def _checksum(array: NDArray[Any]) -> str:
    return hashlib.blake2b(array.data, digest_size=8).hexdigest()
