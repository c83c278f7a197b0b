"""The nouns: what is seen, and what is answered. Arrays are float32 unless said otherwise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from any2any_ros.errors import Any2AnyError

Array = NDArray[np.float32]


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
    stamps_ns: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))

    def __post_init__(self) -> None:
        object.__setattr__(self, "poses", np.asarray(self.poses, dtype=np.float64))
        object.__setattr__(self, "ids", tuple(self.ids))
        stamps = self.stamps_ns if len(self.stamps_ns) else np.zeros(len(self.ids))
        object.__setattr__(self, "stamps_ns", np.asarray(stamps, dtype=np.int64))
        object.__setattr__(self, "embeddings", {m: self._column(m, v) for m, v in self.embeddings.items()})
        if self.poses.shape != (len(self.ids), 4, 4) or self.stamps_ns.shape != (len(self.ids),):
            raise Any2AnyError(
                "The observation set does not fit together",
                f"{len(self.ids)} ids but poses of shape {self.poses.shape} and stamps of {self.stamps_ns.shape}",
                "Give one 4x4 pose for every id, and one stamp or none at all",
            )
        if len(set(self.ids)) != len(self.ids):
            raise Any2AnyError("The observation set does not fit together", "an id stands twice", "Make the ids unique")

    def _column(self, modality: str, values: ArrayLike) -> Array:
        column = np.ascontiguousarray(values, dtype=np.float32)
        if column.ndim != 2 or len(column) != len(self.ids):
            raise Any2AnyError(
                f"Embeddings '{modality}' do not fit",
                f"their shape is {column.shape} for {len(self.ids)} ids",
                "Give an (N, D) array with a NaN row where the modality is missing",
            )
        finite = np.isfinite(column)
        if not (finite.all(axis=1) | np.isnan(column).all(axis=1)).all():
            raise Any2AnyError(
                f"Embeddings '{modality}' are not usable",
                "a row is finite in part only",
                "A row is either all finite or all NaN (missing)",
            )
        return column

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
        return ObservationSet(columns, self.poses[rows], tuple(self.ids[i] for i in rows), self.stamps_ns[rows])

    def only(self, modalities: Iterable[str]) -> ObservationSet:
        """Return the same observations with no other sensors than `modalities`."""
        wanted = set(modalities)
        columns = {m: v for m, v in self.embeddings.items() if m in wanted}
        return ObservationSet(columns, self.poses, self.ids, self.stamps_ns)

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

    @staticmethod
    def concatenate(parts: Sequence[ObservationSet]) -> ObservationSet:
        """Stack sets; a modality that a part lacks becomes NaN rows there."""
        width: dict[str, int] = {}
        for m, v in ((m, v) for part in parts for m, v in part.embeddings.items()):
            if width.setdefault(m, v.shape[1]) != v.shape[1]:
                raise Any2AnyError(
                    f"Embeddings '{m}' cannot be stacked",
                    f"they have {width[m]} and {v.shape[1]} dimensions",
                    "Make both with one encoder and the same settings",
                )
        columns = {
            m: np.concatenate([p.embeddings.get(m, np.full((len(p), d), np.nan, dtype=np.float32)) for p in parts])
            for m, d in width.items()
        }
        poses = np.concatenate([p.poses for p in parts]) if parts else np.empty((0, 4, 4))
        stamps = np.concatenate([p.stamps_ns for p in parts]) if parts else np.empty(0, dtype=np.int64)
        return ObservationSet(columns, poses, tuple(i for p in parts for i in p.ids), stamps)


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

    place_set: ids among which the true place is with the stated coverage. `reference_modalities` names the
    columns of every match's `pair_probability`. stamps_ns: when each modality used was sensed. differences: by
    modality, its embedding minus that of the reference it finds most alike (D,), where the map has the same sensor.
    presence: P(what was seen or said is in the map at all); NaN before calibration.
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

    @property
    def probability(self) -> float:
        """P(the first match is right); 0 when there is none."""
        return self.matches[0].probability if self.matches else 0.0
