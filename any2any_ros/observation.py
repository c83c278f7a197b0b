"""What a robot observes. (How a query is answered: ranking.py.)

    Embedding        one modality at one moment
    Observation      all modalities of one moment
    ObservationSet   N observations as arrays: the places of a map, or many queries

Arrays are float32 unless stated otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros import names
from any2any_ros.arrays import Array, Flags, Float64, Floats, Int64, stacked
from any2any_ros.declared import LARGEST
from any2any_ros.errors import Any2AnyError
from any2any_ros.poses import validated
from any2any_ros.ranking import Match, Ranking

__all__ = ["Embedding", "Match", "Observation", "ObservationSet", "Ranking", "finite_vector"]  # forwards ranking.py's

NO_STAMPS: Int64 = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Embedding:
    """The vector of one sample.

    vector: (D,), finite. stamp_ns: when the sensor measured. frame_id: the sensor's frame. encoder: fingerprint of the
    encoder. Raises Any2AnyError when the vector cannot be used, and for a modality whose name is not valid.
    """

    modality: str
    vector: Array
    stamp_ns: int
    frame_id: str = ""
    encoder: str = ""

    def __post_init__(self) -> None:
        names.modality(self.modality)
        object.__setattr__(self, "vector", finite_vector(self.vector, f"embedding '{self.modality}'"))


@dataclass(frozen=True, eq=False)
class Observation:
    """The embeddings of one moment.

    embeddings: vector (D,) by modality; a missing modality is an absent key. stamp_ns: of the moment. stamps_ns: when
    each modality was measured, where that is known. Raises Any2AnyError when a vector cannot be used.
    """

    embeddings: Mapping[str, Array]
    stamp_ns: int = 0
    stamps_ns: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        vectors = {m: finite_vector(v, f"embedding '{m}'") for m, v in self.embeddings.items()}
        object.__setattr__(self, "embeddings", vectors)

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(sorted(self.embeddings))

    def only(self, modalities: Iterable[str]) -> Observation:
        """Return the observation without all modalities but these."""
        return Observation(_select(self.embeddings, modalities), self.stamp_ns, self.stamps_ns)

    def as_set(self) -> ObservationSet:
        """Return a set of this one observation. Its pose is unknown."""
        columns = {m: v[None] for m, v in self.embeddings.items()}
        stamps = np.array([self.stamp_ns], dtype=np.int64)
        return ObservationSet.verified(columns, np.full((1, 4, 4), np.nan), ("",), stamps)


@dataclass(frozen=True, eq=False)
class ObservationSet:
    """N observations.

    embeddings: (N, D) by modality; a row of NaN: the modality is missing there.
    poses: (N, 4, 4) float64, from the robot's frame to the map's, REP-103 axes, metres; with a NaN: unknown.
    ids: N unique names. stamps_ns: (N,) int64, 0: unknown; an empty array: all unknown.

    Raises Any2AnyError when the lengths differ, an id appears twice, a row is finite in part only or a pose is none.
    """

    embeddings: Mapping[str, Array]
    poses: Float64
    ids: tuple[str, ...]
    stamps_ns: Int64 = field(default_factory=lambda: NO_STAMPS)

    def __post_init__(self) -> None:
        self._set_fields(
            {m: np.ascontiguousarray(v, dtype=np.float32) for m, v in self.embeddings.items()},
            np.asarray(self.poses, dtype=np.float64),
            tuple(self.ids),
            np.asarray(self.stamps_ns, dtype=np.int64),
        )
        object.__setattr__(self, "poses", self.validate())
        _validate_ids(self.ids)

    def validate(self) -> Float64:
        """Read all values; return the poses (N, 4, 4) as `poses.validated` does. Raises Any2AnyError, see the class."""
        for modality, column in self.embeddings.items():
            _validate_values(modality, column)
        return validated(self.poses)

    @classmethod
    def verified(
        cls, embeddings: Mapping[str, Array], poses: Float64, ids: tuple[str, ...], stamps_ns: Int64 = NO_STAMPS
    ) -> ObservationSet:
        """Return a set of vectors that were validated before: rows of other sets, or a map's file.

        Only shapes, dtypes and ids are validated. The values are not read, so that gigabytes can stay on disk.
        """
        verified: ObservationSet = object.__new__(cls)
        verified._set_fields(embeddings, poses, ids, stamps_ns)
        _validate_ids(ids)
        return verified

    @staticmethod
    def concatenate(parts: Sequence[ObservationSet]) -> ObservationSet:
        """Return the rows of all parts. A modality that a part lacks is missing in its rows.

        Raises Any2AnyError when a modality has two dimensions, or when an id appears twice.
        """
        columns = {m: np.concatenate([p._column(m, d) for p in parts]) for m, d in _dimensions(parts).items()}
        poses = np.concatenate([p.poses for p in parts]) if parts else np.empty((0, 4, 4))
        stamps = np.concatenate([p.stamps_ns for p in parts]) if parts else NO_STAMPS
        return ObservationSet(columns, poses, tuple(i for p in parts for i in p.ids), stamps)

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Observation]:
        return (self.observation(i) for i in range(len(self)))

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(sorted(self.embeddings))

    def present(self, modality: str) -> Flags:
        """Return (N,): the rows that have this modality. All False for a modality that the set does not know."""
        if modality not in self.embeddings or self.embeddings[modality].shape[1] == 0:
            return np.zeros(len(self), dtype=bool)
        return ~np.isnan(self.embeddings[modality][:, 0])

    def observed(self) -> Flags:
        """Return (N,): the rows that have at least one modality."""
        some = np.zeros(len(self), dtype=bool)
        for modality in self.modalities:
            some |= self.present(modality)
        return some

    def observation(self, i: int) -> Observation:
        """Return row i without its missing modalities."""
        vectors = {m: v[i] for m, v in self.embeddings.items() if not np.isnan(v[i, 0])}
        return Observation(vectors, int(self.stamps_ns[i]))

    def take(self, index: ArrayLike) -> ObservationSet:
        """Return the rows `index`: integers or flags (N,)."""
        rows = np.atleast_1d(np.asarray(index))
        if rows.dtype == bool and len(rows) != len(self):
            raise Any2AnyError(
                "Cannot take these rows", f"there are {len(rows)} flags for {len(self)} rows", "Give one flag per row"
            )
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.intp)
        columns = {m: v[rows] for m, v in self.embeddings.items()}
        ids = tuple(self.ids[i] for i in rows)
        return ObservationSet.verified(columns, self.poses[rows], ids, self.stamps_ns[rows])

    def only(self, modalities: Iterable[str]) -> ObservationSet:
        """Return the same observations without all modalities but these."""
        return ObservationSet.verified(_select(self.embeddings, modalities), self.poses, self.ids, self.stamps_ns)

    def without(self, off: Flags) -> ObservationSet:
        """Return the same observations with sensors off. off: (N, M), in the order of `modalities`."""
        nan = np.float32(np.nan)
        columns = {m: np.where(off[:, [i]], nan, self.embeddings[m]) for i, m in enumerate(self.modalities)}
        return replace(self, embeddings=columns)

    def filled(self, values: Mapping[str, Floats]) -> ObservationSet:
        """Return the same observations with `values` where a modality is missing. values: (D,) or (N, D) by modality;
        modalities without values stay as they are, and unknown ones are not added."""
        columns = {m: np.where(np.isnan(x), values[m], x) for m, x in self.embeddings.items() if m in values}
        return replace(self, embeddings={**self.embeddings, **columns})

    def appended(self, more: ObservationSet) -> ObservationSet:
        """Return `concatenate([self, more])` without copying the rows of this set (arrays.stacked)."""
        if not set(more.ids).isdisjoint(self.ids):
            raise _duplicate_id()
        columns = {m: stacked(self._column(m, d), more._column(m, d)) for m, d in _dimensions([self, more]).items()}
        poses, stamps = stacked(self.poses, more.poses), stacked(self.stamps_ns, more.stamps_ns)
        whole: ObservationSet = object.__new__(ObservationSet)
        whole._set_fields(columns, poses, self.ids + more.ids, stamps)
        return whole

    def _set_fields(
        self, embeddings: Mapping[str, Array], poses: Float64, ids: tuple[str, ...], stamps_ns: Int64
    ) -> None:
        """Set the fields, which have their final dtypes. Raises Any2AnyError when their shapes do not fit together."""
        stamps = stamps_ns if len(stamps_ns) else np.zeros(len(ids), dtype=np.int64)
        _validate_shapes(embeddings, poses, ids, stamps)
        for name, value in {"embeddings": embeddings, "poses": poses, "ids": ids, "stamps_ns": stamps}.items():
            object.__setattr__(self, name, value)

    def _column(self, modality: str, dimension: int) -> Array:
        """Return the rows (N, dimension) of a modality; all NaN when the set does not know it."""
        missing = np.broadcast_to(np.float32(np.nan), (len(self), dimension))  # takes no memory
        return self.embeddings.get(modality, missing)


def finite_vector(values: ArrayLike, owner: str) -> Array:
    """Return values (D,), D >= 1, as a contiguous vector. owner: what it belongs to, for the error.

    Raises Any2AnyError when it has another shape or a value that is not finite.
    """
    vector = np.ascontiguousarray(values, dtype=np.float32)
    if vector.ndim != 1 or vector.size == 0:
        raise Any2AnyError(
            f"{owner} has no usable vector",
            f"its shape is {vector.shape}, not (D,)",
            "Check the encoder that made it",
        )
    if not np.isfinite(vector).all():
        raise Any2AnyError(
            f"{owner} has no usable vector",
            f"{np.count_nonzero(~np.isfinite(vector))} of its {vector.size} values are not finite",
            "Check the sensor message for NaN or infinite values, and the encoder's weights",
        )
    return vector


def _select(embeddings: Mapping[str, Array], modalities: Iterable[str]) -> dict[str, Array]:
    wanted = set(modalities)
    return {m: v for m, v in embeddings.items() if m in wanted}


def _dimensions(parts: Sequence[ObservationSet]) -> dict[str, int]:
    """Return the dimension of each modality. Raises Any2AnyError when two parts have different ones."""
    dimensions: dict[str, int] = {}
    for m, v in ((m, v) for part in parts for m, v in part.embeddings.items()):
        if dimensions.setdefault(m, v.shape[1]) != v.shape[1]:
            raise Any2AnyError(
                f"Embeddings '{m}' cannot be concatenated",
                f"they have {dimensions[m]} and {v.shape[1]} dimensions",
                "Make both with one encoder and the same settings",
            )
    return dimensions


def _validate_shapes(embeddings: Mapping[str, Array], poses: Float64, ids: tuple[str, ...], stamps: Int64) -> None:
    n = len(ids)
    if poses.shape != (n, 4, 4) or poses.dtype != np.float64 or stamps.shape != (n,):
        raise Any2AnyError(
            "The observation set does not fit together",
            f"{n} ids but poses of shape {poses.shape}, {poses.dtype}, and stamps of {stamps.shape}",
            "Give one 4x4 pose of float64 for each id, and one stamp for each id or none at all",
        )
    for modality, column in embeddings.items():
        if len(column.shape) != 2 or len(column) != n or column.dtype != np.float32:
            raise Any2AnyError(
                f"Embeddings '{modality}' do not fit",
                f"their shape is {column.shape} for {n} ids, their type {column.dtype}",
                "Give an (N, D) array of float32 with a NaN row where the modality is missing",
            )


def _validate_values(modality: str, column: Array) -> None:
    finite = np.abs(column) <= LARGEST
    if not (finite.all(axis=1) | np.isnan(column).all(axis=1)).all():
        raise Any2AnyError(
            f"Embeddings '{modality}' are not usable",
            f"a row is finite in part only, or has a value beyond {LARGEST:g}",
            "Make every row either all finite or all NaN (missing)",
        )


def _validate_ids(ids: tuple[str, ...]) -> None:
    # Sorted hashes, because a set of a million ids takes four times as long, and 60 MB.
    hashes = np.sort(np.fromiter(map(hash, ids), dtype=np.int64, count=len(ids)))
    if (hashes[1:] == hashes[:-1]).any() and len(set(ids)) != len(ids):
        raise _duplicate_id()


def _duplicate_id() -> Any2AnyError:
    return Any2AnyError("The observation set does not fit together", "an id appears twice", "Make the ids unique")
