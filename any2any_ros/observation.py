"""The nouns: what is seen, and what is answered. Arrays are float32 unless said otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from any2any_ros.arrays import Array, stacked
from any2any_ros.errors import Any2AnyError

UNKNOWN: NDArray[np.int64] = np.empty(0, dtype=np.int64)


def finite_vector(values: ArrayLike, owner: str) -> Array:
    """Return `values` as a contiguous float32 vector (D,), D >= 1; raise when it is not finite."""
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


@dataclass(frozen=True, eq=False)
class Embedding:
    """One sensor message, encoded: vector (D,), stamp in ns, frame of the sensor, fingerprint of the encoder."""

    modality: str
    vector: Array
    stamp_ns: int
    frame_id: str = ""
    encoder: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "vector", finite_vector(self.vector, f"embedding '{self.modality}'"))


@dataclass(frozen=True, eq=False)
class Observation:
    """What is alive at one moment: vectors (D,) by modality; a missing modality is an absent key.

    stamps_ns: when each of them was sensed, where that is known apart from the moment's own stamp.
    """

    embeddings: Mapping[str, Array]
    stamp_ns: int = 0
    stamps_ns: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checked = {m: finite_vector(v, f"embedding '{m}'") for m, v in self.embeddings.items()}
        object.__setattr__(self, "embeddings", checked)

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(sorted(self.embeddings))

    def only(self, modalities: Iterable[str]) -> Observation:
        """Return the same moment with no other sensors than `modalities`."""
        wanted = set(modalities)
        kept = {m: v for m, v in self.embeddings.items() if m in wanted}
        return Observation(kept, self.stamp_ns, self.stamps_ns)

    def as_set(self) -> ObservationSet:
        """Return a set of this one observation; its pose is unknown."""
        rows = {m: v[None] for m, v in self.embeddings.items()}
        return ObservationSet(rows, np.full((1, 4, 4), np.nan), ("",), np.array([self.stamp_ns]))


@dataclass(frozen=True, eq=False)
class ObservationSet:
    """N observations: embeddings (N, D) by modality, a NaN row where one is missing; poses (N, 4, 4) float64
    (map from robot, REP-103 axes, metres; NaN where unknown); ids, unique, N of them; stamps_ns (N,) int64, 0 where
    unknown (none given: all of them)."""

    embeddings: Mapping[str, Array]
    poses: NDArray[np.float64]
    ids: tuple[str, ...]
    stamps_ns: NDArray[np.int64] = field(default_factory=lambda: UNKNOWN)

    def __post_init__(self) -> None:
        self._hold(
            {m: np.ascontiguousarray(v, dtype=np.float32) for m, v in self.embeddings.items()},
            np.asarray(self.poses, dtype=np.float64),
            tuple(self.ids),
            np.asarray(self.stamps_ns, dtype=np.int64),
        )
        for modality, column in self.embeddings.items():
            _check_values(modality, column)
        self._check_ids()

    @classmethod
    def verified(
        cls, embeddings: Mapping[str, Array], poses: NDArray[np.float64], ids: tuple[str, ...],
        stamps_ns: NDArray[np.int64] = UNKNOWN,
    ) -> ObservationSet:  # fmt: skip
        """Return a set of vectors that were checked when they first came into one: rows of other sets, or a map's file.

        Their values are not looked at, so that gigabytes may stay on disk; shapes, dtypes and ids are.
        """
        found: ObservationSet = object.__new__(cls)
        found._hold(embeddings, poses, ids, stamps_ns)
        found._check_ids()
        return found

    def _hold(
        self, embeddings: Mapping[str, Array], poses: NDArray[np.float64], ids: tuple[str, ...],
        stamps_ns: NDArray[np.int64],
    ) -> None:  # fmt: skip
        """Take the fields, in their final types; raise when their shapes do not fit together."""
        stamps = stamps_ns if len(stamps_ns) else np.zeros(len(ids), dtype=np.int64)
        for name, value in {"embeddings": embeddings, "poses": poses, "ids": ids, "stamps_ns": stamps}.items():
            object.__setattr__(self, name, value)
        if poses.shape != (len(ids), 4, 4) or poses.dtype != np.float64 or stamps.shape != (len(ids),):
            raise Any2AnyError(
                "The observation set does not fit together",
                f"{len(ids)} ids but poses of shape {poses.shape}, {poses.dtype}, and stamps of {stamps.shape}",
                "Give one 4x4 pose for every id, and one stamp or none at all",
            )
        for modality, column in embeddings.items():
            if len(column.shape) != 2 or len(column) != len(ids) or column.dtype != np.float32:
                raise Any2AnyError(
                    f"Embeddings '{modality}' do not fit",
                    f"their shape is {column.shape} for {len(ids)} ids, their type {column.dtype}",
                    "Give an (N, D) array of float32 with a NaN row where the modality is missing",
                )

    def _check_ids(self) -> None:
        # A set of a million ids takes four times as long, and 60 MB.
        hashes = np.sort(np.fromiter(map(hash, self.ids), dtype=np.int64, count=len(self.ids)))
        if (hashes[1:] == hashes[:-1]).any() and len(set(self.ids)) != len(self.ids):
            raise _twice()

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Observation]:
        return (self.observation(i) for i in range(len(self)))

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(sorted(self.embeddings))

    def present(self, modality: str) -> NDArray[np.bool_]:
        """Return (N,) bool: which rows have `modality`; all False when the set has never heard of it."""
        if modality not in self.embeddings or self.embeddings[modality].shape[1] == 0:
            return np.zeros(len(self), dtype=bool)
        return ~np.isnan(self.embeddings[modality][:, 0])

    def take(self, index: ArrayLike) -> ObservationSet:
        """Return the rows `index`: integers, a slice's range, or a bool mask (N,)."""
        rows = np.atleast_1d(np.asarray(index))
        if rows.dtype == bool and len(rows) != len(self):
            raise Any2AnyError(
                "Cannot take these rows", f"there are {len(rows)} flags for {len(self)}", "Give one a row"
            )
        rows = np.flatnonzero(rows) if rows.dtype == bool else rows.astype(np.intp)
        columns = {m: v[rows] for m, v in self.embeddings.items()}
        return ObservationSet.verified(
            columns, self.poses[rows], tuple(self.ids[i] for i in rows), self.stamps_ns[rows]
        )

    def only(self, modalities: Iterable[str]) -> ObservationSet:
        """Return the same observations with no other sensors than `modalities`."""
        wanted = set(modalities)
        columns = {m: v for m, v in self.embeddings.items() if m in wanted}
        return ObservationSet.verified(columns, self.poses, self.ids, self.stamps_ns)

    def appended(self, more: ObservationSet) -> ObservationSet:
        """Return this set with `more` below it, as `concatenate` does; nothing that stands is copied (arrays.py)."""
        if not set(more.ids).isdisjoint(self.ids):
            raise _twice()
        columns = {m: stacked(self._column(m, d), more._column(m, d)) for m, d in _widths([self, more]).items()}
        poses, stamps = stacked(self.poses, more.poses), stacked(self.stamps_ns, more.stamps_ns)
        found: ObservationSet = object.__new__(ObservationSet)
        found._hold(columns, poses, self.ids + more.ids, stamps)
        return found

    def without(self, off: NDArray[np.bool_]) -> ObservationSet:
        """Return the same observations with sensors off (N, M), in the order of `modalities`."""
        gone = np.float32(np.nan)
        columns = {m: np.where(off[:, [i]], gone, self.embeddings[m]) for i, m in enumerate(self.modalities)}
        return replace(self, embeddings=columns)

    def filled(self, values: Mapping[str, NDArray[np.floating[Any]]]) -> ObservationSet:
        """Return the same observations with `values`, (D,) or (N, D), where one of these modalities is missing."""
        columns = {m: np.where(np.isnan(x), values[m], x) for m, x in self.embeddings.items() if m in values}
        return replace(self, embeddings={**self.embeddings, **columns})

    def observation(self, i: int) -> Observation:
        """Return row `i` with its missing modalities left out."""
        seen = {m: v[i] for m, v in self.embeddings.items() if not np.isnan(v[i, 0])}
        return Observation(seen, int(self.stamps_ns[i]))

    def _column(self, modality: str, width: int) -> Array:
        """Return the column (N, width) of a modality, one of NaN where the set has never heard of it."""
        missing = np.broadcast_to(np.float32(np.nan), (len(self), width))  # which takes no memory
        return self.embeddings.get(modality, missing)

    @staticmethod
    def concatenate(parts: Sequence[ObservationSet]) -> ObservationSet:
        """Stack sets; a modality that a part lacks becomes NaN rows there."""
        columns = {m: np.concatenate([p._column(m, d) for p in parts]) for m, d in _widths(parts).items()}
        poses = np.concatenate([p.poses for p in parts]) if parts else np.empty((0, 4, 4))
        stamps = np.concatenate([p.stamps_ns for p in parts]) if parts else np.empty(0, dtype=np.int64)
        return ObservationSet(columns, poses, tuple(i for p in parts for i in p.ids), stamps)


def _check_values(modality: str, column: Array) -> None:
    finite = np.isfinite(column)
    if not (finite.all(axis=1) | np.isnan(column).all(axis=1)).all():
        raise Any2AnyError(
            f"Embeddings '{modality}' are not usable",
            "a row is finite in part only",
            "A row is either all finite or all NaN (missing)",
        )


def _twice() -> Any2AnyError:
    return Any2AnyError("The observation set does not fit together", "an id stands twice", "Make the ids unique")


def _widths(parts: Sequence[ObservationSet]) -> dict[str, int]:
    """Return the dimension of each modality; raise where two parts have different ones."""
    width: dict[str, int] = {}
    for m, v in ((m, v) for part in parts for m, v in part.embeddings.items()):
        if width.setdefault(m, v.shape[1]) != v.shape[1]:
            raise Any2AnyError(
                f"Embeddings '{m}' cannot be stacked",
                f"they have {width[m]} and {v.shape[1]} dimensions",
                "Make both with one encoder and the same settings",
            )
    return width


@dataclass(frozen=True, eq=False)
class Match:
    """One reference that may be the answer.

    probability: P(this match is right | its score, its rank, the sensors alive); NaN before calibration.
    score: the fusion's, higher is better. pose (4, 4) float64. pair_probability (Mq, Mr): how strongly each
    pair of modalities speaks for it, NaN where a side is missing; order of `Ranking.modalities` by the map's.
    overlap: share of the robot's scan that is there, NaN where no scan was laid; refined: whether the pose is the
    robot's own, from laying its scan over the place's, instead of the place's.
    """

    id: str
    probability: float
    score: float
    pose: NDArray[np.float64]
    pair_probability: NDArray[np.floating]
    overlap: float = float("nan")
    refined: bool = False


@dataclass(frozen=True, eq=False)
class Ranking:
    """The answer: matches best first, the modalities used and missing, whether to act on it, and the place set.

    place_set: ids among which the true place is with the stated coverage; place_positions (n, 3): where they are, in
    metres, NaN where unknown. `reference_modalities` names the columns of every match's `pair_probability`. stamps_ns:
    when each modality used was sensed. differences: by modality, its embedding minus that of the reference it finds
    most alike (D,), where the map has the same sensor. presence: P(what was seen or said is in the map at all); NaN
    before calibration.
    """

    matches: tuple[Match, ...]
    modalities: tuple[str, ...]
    missing: tuple[str, ...] = ()
    accepted: bool = False
    place_set: tuple[str, ...] = ()
    stamp_ns: int = 0
    ambiguous: bool = False
    reference_modalities: tuple[str, ...] = ()
    stamps_ns: tuple[int, ...] = ()
    differences: Mapping[str, Array] = field(default_factory=dict)
    presence: float = float("nan")
    place_positions: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 3)))

    @property
    def probability(self) -> float:
        """P(the first match is right); 0 when there is none."""
        return self.matches[0].probability if self.matches else 0.0
