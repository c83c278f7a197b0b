"""What a robot observes. (How a query is answered: ranking.py.)

    Embedding        one modality at one moment
    Observation      all modalities of one moment
    ObservationSet   N observations as arrays: the places of a map, or many queries

Arrays are float32 unless stated otherwise.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros import names
from any2any_ros.arrays import Array, Flags, Float64, Floats, Int64, stacked
from any2any_ros.birds_eye.image import NONE, PACKED, Levels
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation_checks import (
    check_ids,
    check_images,
    check_mountings,
    check_shapes,
    check_values,
    dimensions,
    duplicate_id,
    finite_vector,
    named,
    select,
)
from any2any_ros.poses import validated
from any2any_ros.ranking import Match, Ranking

__all__ = ["Embedding", "Match", "Observation", "ObservationSet", "Ranking", "finite_vector"]  # forwards ranking.py's

NO_STAMPS: Int64 = np.empty(0, dtype=np.int64)
UNKNOWN_POSE: Float64 = np.full((4, 4), np.nan)
NO_IMAGES: Mapping[str, Levels] = MappingProxyType({})
NO_MOUNTINGS: Mapping[str, Float64] = MappingProxyType({})


@dataclass(frozen=True, eq=False)
class Embedding:
    """The vector of one sample.

    vector: (D,), finite. stamp_ns: when the sensor measured. frame_id: the sensor's frame. encoder: fingerprint of the
    encoder. birds_eye: packed bird's-eye image (PACKED,) uint8; empty: none. mounting (4, 4): pose of the sensor in the
    robot's frame; None: unknown. Raises Any2AnyError when the vector or the image cannot be used, and for a modality
    whose name is not valid.
    """

    modality: str
    vector: Array
    stamp_ns: int
    frame_id: str = ""
    encoder: str = ""
    birds_eye: Levels = field(default_factory=lambda: NONE)
    mounting: Float64 | None = None

    def __post_init__(self) -> None:
        names.modality(self.modality)
        object.__setattr__(self, "vector", finite_vector(self.vector, f"embedding '{self.modality}'"))
        check_images(self.modality, self.birds_eye, (len(self.birds_eye) and PACKED,))


@dataclass(frozen=True, eq=False)
class Observation:
    """The embeddings of one moment.

    embeddings: vector (D,) by modality; a missing modality is an absent key. stamp_ns: of the moment. stamps_ns: when
    each modality was measured, where that is known. birds_eye: packed bird's-eye image (PACKED,) uint8, of the
    modalities that have one; without its vector an image is dropped. mountings: pose (4, 4) of each sensor in the
    robot's frame, where that is known. Raises Any2AnyError when a vector cannot be used.
    """

    embeddings: Mapping[str, Array]
    stamp_ns: int = 0
    stamps_ns: Mapping[str, int] = field(default_factory=dict)
    birds_eye: Mapping[str, Levels] = field(default_factory=dict)
    mountings: Mapping[str, Float64] = field(default_factory=dict)

    def __post_init__(self) -> None:
        vectors = {m: finite_vector(v, f"embedding '{m}'") for m, v in self.embeddings.items()}
        object.__setattr__(self, "embeddings", vectors)
        object.__setattr__(self, "birds_eye", select(self.birds_eye, vectors))
        object.__setattr__(self, "mountings", select(self.mountings, vectors))

    @classmethod
    def of(cls, embeddings: Iterable[Embedding], stamp_ns: int) -> Observation:
        """Return the observation of a moment, by its embeddings, one for each modality."""
        by_modality = {e.modality: e for e in embeddings}
        return cls(
            {m: e.vector for m, e in by_modality.items()},
            stamp_ns,
            {m: e.stamp_ns for m, e in by_modality.items()},
            {m: e.birds_eye for m, e in by_modality.items() if len(e.birds_eye)},
            {m: e.mounting for m, e in by_modality.items() if e.mounting is not None},
        )

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(sorted(self.embeddings))

    def only(self, modalities: Iterable[str]) -> Observation:
        """Return the observation without all modalities but these."""
        return replace(self, embeddings=select(self.embeddings, modalities))

    def as_set(self, pose: Float64 = UNKNOWN_POSE, id: str = "") -> ObservationSet:
        """Return a set of this one observation. pose (4, 4)."""
        columns = {m: v[None] for m, v in self.embeddings.items()}
        stamps = np.array([self.stamp_ns], dtype=np.int64)
        images = {m: image[None] for m, image in self.birds_eye.items()}
        return ObservationSet.verified(columns, pose[None], (id,), stamps, images, self.mountings)


@dataclass(frozen=True, eq=False)
class ObservationSet:
    """N observations.

    embeddings: (N, D) by modality; a row of NaN: the modality is missing there.
    poses: (N, 4, 4) float64, from the robot's frame to the map's, REP-103 axes, metres; with a NaN: unknown.
    ids: N unique names. stamps_ns: (N,) int64, 0: unknown; an empty array: all unknown.
    birds_eye: packed bird's-eye images (N, PACKED) uint8 by modality; zeros: none. Where the modality is missing, its
    image is not used.
    mountings: pose (4, 4) of each sensor in the robot's frame, where that is known; one for all rows.

    Raises Any2AnyError when the lengths differ, an id appears twice, a row is finite in part only or a pose is none.
    """

    embeddings: Mapping[str, Array]
    poses: Float64
    ids: tuple[str, ...]
    stamps_ns: Int64 = field(default_factory=lambda: NO_STAMPS)
    birds_eye: Mapping[str, Levels] = field(default_factory=dict)
    mountings: Mapping[str, Float64] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._set_fields(
            {m: np.ascontiguousarray(v, dtype=np.float32) for m, v in self.embeddings.items()},
            np.asarray(self.poses, dtype=np.float64),
            tuple(self.ids),
            np.asarray(self.stamps_ns, dtype=np.int64),
            self.birds_eye,
            self.mountings,
        )
        object.__setattr__(self, "poses", self.validate())
        check_ids(self.ids)

    def validate(self) -> Float64:
        """Read all values; return the poses (N, 4, 4) as `poses.validated` does. Raises Any2AnyError, see the class."""
        for modality, column in self.embeddings.items():
            check_values(modality, column)
        return validated(self.poses)

    @classmethod
    def verified(
        cls,
        embeddings: Mapping[str, Array],
        poses: Float64,
        ids: tuple[str, ...],
        stamps_ns: Int64 = NO_STAMPS,
        birds_eye: Mapping[str, Levels] = NO_IMAGES,
        mountings: Mapping[str, Float64] = NO_MOUNTINGS,
    ) -> ObservationSet:
        """Return a set of vectors that were validated before: rows of other sets, or a map's file.

        Only shapes, dtypes and ids are validated. The values are not read, so that gigabytes can stay on disk.
        """
        verified: ObservationSet = object.__new__(cls)
        verified._set_fields(embeddings, poses, ids, stamps_ns, birds_eye, mountings)
        check_ids(ids)
        return verified

    @staticmethod
    def concatenate(parts: Sequence[ObservationSet]) -> ObservationSet:
        """Return the rows of all parts. A modality that a part lacks is missing in its rows.

        Raises Any2AnyError when a modality has two dimensions, or when an id appears twice.
        """
        columns = {
            m: np.concatenate([p._column(m, d) for p in parts])
            for m, d in dimensions([p.embeddings for p in parts]).items()
        }
        poses = np.concatenate([p.poses for p in parts]) if parts else np.empty((0, 4, 4))
        stamps = np.concatenate([p.stamps_ns for p in parts]) if parts else NO_STAMPS
        images = {m: np.concatenate([p._images(m) for p in parts]) for m in named([p.birds_eye for p in parts])}
        mountings = {m: pose for part in reversed(parts) for m, pose in part.mountings.items()}
        return ObservationSet(columns, poses, tuple(i for p in parts for i in p.ids), stamps, images, mountings)

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
        images = {m: v[i] for m, v in self.birds_eye.items() if m in vectors and v[i].any()}
        return Observation(vectors, int(self.stamps_ns[i]), birds_eye=images, mountings=self.mountings)

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
        images = {m: v[rows] for m, v in self.birds_eye.items()}
        return ObservationSet.verified(columns, self.poses[rows], ids, self.stamps_ns[rows], images, self.mountings)

    def only(self, modalities: Iterable[str]) -> ObservationSet:
        """Return the same observations without all modalities but these."""
        selected = select(self.embeddings, modalities)
        fixed = (self.poses, self.ids, self.stamps_ns, self.birds_eye, self.mountings)
        return ObservationSet.verified(selected, *fixed)

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
            raise duplicate_id()
        columns = {
            m: stacked(self._column(m, d), more._column(m, d))
            for m, d in dimensions([self.embeddings, more.embeddings]).items()
        }
        poses, stamps = stacked(self.poses, more.poses), stacked(self.stamps_ns, more.stamps_ns)
        images = {m: stacked(self._images(m), more._images(m)) for m in named([self.birds_eye, more.birds_eye])}
        whole: ObservationSet = object.__new__(ObservationSet)
        mountings = {**more.mountings, **self.mountings}
        whole._set_fields(columns, poses, self.ids + more.ids, stamps, images, mountings)
        return whole

    def _set_fields(
        self,
        embeddings: Mapping[str, Array],
        poses: Float64,
        ids: tuple[str, ...],
        stamps_ns: Int64,
        birds_eye: Mapping[str, Levels],
        mountings: Mapping[str, Float64],
    ) -> None:
        """Set the fields, which have their final dtypes. Raises Any2AnyError when their shapes do not fit together."""
        stamps = stamps_ns if len(stamps_ns) else np.zeros(len(ids), dtype=np.int64)
        check_shapes(embeddings, poses, ids, stamps)
        for modality, images in birds_eye.items():
            check_images(modality, images, (len(ids), PACKED))
        check_mountings(mountings)
        values = {"embeddings": embeddings, "poses": poses, "ids": ids, "stamps_ns": stamps, "birds_eye": birds_eye}
        values |= {"mountings": mountings}
        for name, value in values.items():
            object.__setattr__(self, name, value)

    def _column(self, modality: str, dimension: int) -> Array:
        """Return the rows (N, dimension) of a modality; all NaN when the set does not know it."""
        missing = np.broadcast_to(np.float32(np.nan), (len(self), dimension))  # takes no memory
        return self.embeddings.get(modality, missing)

    def _images(self, modality: str) -> Levels:
        """Return the bird's-eye images (N, PACKED) of a modality; zeros when the set has none."""
        missing = np.broadcast_to(np.uint8(0), (len(self), PACKED))
        return self.birds_eye.get(modality, missing)
