"""What a set of real data is: frames, which of them are queries and references, and which references are right."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros.arrays import Flags, Float64, Int64, Rows
from any2any_ros.data.sources import DriveSource
from any2any_ros.errors import Any2AnyError
from any2any_ros.protocols import Encoder
from any2any_ros.samples import NS

APART = 1000 * NS  # between two frames that do not belong to one stream


@dataclass(frozen=True, eq=False)
class Frames:
    """Frames of files as a drive (data/drive.py).

    readers: by modality, what reads the sample of a frame of the whole set. rows (N,): numbers of these frames in it.
    poses (N, 4, 4): NaN where the set has none.
    """

    name: str
    poses: Float64
    readers: Mapping[str, Callable[[int], Any]]
    rows: Rows

    @classmethod
    def without_poses(cls, name: str, readers: Mapping[str, Callable[[int], Any]], count: int) -> Frames:
        return cls(name, np.full((count, 4, 4), np.nan), readers, np.arange(count))

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(sorted(self.readers))

    @property
    def stamps_ns(self) -> Int64:
        return np.asarray((self.rows + 1) * APART, dtype=np.int64)

    def ids(self) -> tuple[str, ...]:
        return tuple(f"{self.name}/{row:06d}" for row in self.rows)

    def sample(self, modality: str, i: int) -> Any | None:
        return self.readers[modality](int(self.rows[i])) if modality in self.readers else None

    def odometry(self, i: int) -> None:
        return None

    def take(self, rows: ArrayLike) -> Frames:
        index = np.asarray(rows)
        return replace(self, poses=self.poses[index], rows=self.rows[index])


def same(encoder: Encoder) -> Encoder:
    """Return the encoder as it is."""
    return encoder


@dataclass(frozen=True, eq=False)
class RealSet:
    """One set of real data by its protocol.

    kind: the name of its layout. name: of this set, unique in its kind. licence, protocol: for the page.
    recording: its frames, of which those that are `keyframe` metres apart count (0: all); N are left.
    queries (Q,), references (R,): rows of these N frames. Every query has a right reference that is allowed.
    right, allowed (Q, R): which references are right, and which may be answers. adapted: makes an encoder take what the
    set has, where that is less than a sensor's sample.
    """

    kind: str
    name: str
    licence: str
    protocol: str
    recording: DriveSource
    queries: Rows
    references: Rows
    right: Flags
    allowed: Flags
    keyframe: float = 0.0
    adapted: Callable[[Encoder], Any] = same

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"

    @property
    def modalities(self) -> tuple[str, ...]:
        return self.recording.modalities


@dataclass(frozen=True)
class Options:
    """What the command line says of sets that leave something open.

    tolerance: pictures: a reference is right when its number is at most so far from the query's; None: as is usual for
    the set.
    """

    tolerance: int | None = None


class Kind(Protocol):
    """A file of this folder that reads one layout of data."""

    KIND: str  # the name of the kind
    LAYOUT: str  # what a folder or a file must be, for people

    def find(self, folder: Path) -> list[Path]:
        """Return the sets that lie in this folder itself: the folder, or files of it."""

    def name(self, path: Path) -> str:
        """Return the name of a set."""

    def read(self, path: Path, options: Options) -> RealSet:
        """Read a set. Raises Any2AnyError when something is missing or does not fit together."""


def answerable(right: Flags, allowed: Flags, queries: Rows) -> tuple[Rows, Flags, Flags]:
    """Return the queries (Q,) that have a right reference among those allowed, and their rows of both tables (Q, R)."""
    possible = (right & allowed).any(axis=1)
    return queries[possible], (right & allowed)[possible], allowed[possible]


def unreadable(path: Path, why: str, layout: str) -> Any2AnyError:
    """Return the error of a set that is not as its layout says."""
    return Any2AnyError(f"Cannot read {path}", why, f"The layout is: {layout}")


def refuse_empty(queries: Rows, path: Path, why: str) -> None:
    """Raise Any2AnyError when a set has no query with a right reference."""
    if not len(queries):
        raise Any2AnyError(f"Nothing can be measured on {path}", why, "Check that the set is whole")
