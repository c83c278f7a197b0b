"""The objects a robot has seen: merged when seen again, forgotten when they are gone, kept like a map.

A sighting is what one picture shows of one thing: its box in the map, and vectors by modality, in the common space of
the heads (learning/emma.py). A thing is the same one where it is in the same place, and stays what it was: its vector
is the mean over all sightings. It is believed from the second sighting on, because a shadow is seen once; and
forgotten when it was looked through several times.

FOLDER/objects.npz, objects.json     everything that is known of the objects
FOLDER/map.json, places-<hash>.npz   those that are believed, as a map (retrieval/reference_map.py)
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros import storage
from any2any_ros.arrays import Array, Flags, Float64, Int64
from any2any_ros.config import Settings, setting
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import ObservationSet, finite_vector
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.reference_map import EncoderRecord, ReferenceMap

INSIDE = 0.01  # factor of a distance that the extent of a thing explains


@dataclass(frozen=True)
class MemoryConfig(Settings):
    """When two sightings are one object, and how long it is remembered."""

    merge: float = setting(0.08, "sightings whose middles are nearer are one object", unit="m", minimum=0, maximum=10)
    confirm: int = setting(2, "sightings from which an object is believed", minimum=1, maximum=1000)
    gone: int = setting(3, "times it was looked through until it is forgotten", minimum=1, maximum=1000)
    capacity: int = setting(10_000, "objects; beyond, those not seen for longest are forgotten", minimum=1)


@dataclass(frozen=True, eq=False)
class Sighting:
    """One thing in one picture: vectors (D,) by modality, low and high corner (3,) of its box in the map, metres."""

    embeddings: Mapping[str, Array]
    low: Float64
    high: Float64

    def __post_init__(self) -> None:
        vectors = {m: finite_vector(v, f"the sighting's '{m}'") for m, v in self.embeddings.items()}
        object.__setattr__(self, "embeddings", vectors)
        low, high = np.shape(self.low), np.shape(self.high)
        if low != (3,) or high != (3,) or not (np.isfinite(self.high - self.low) & (self.low <= self.high)).all():
            why = f"its box goes from {self.low} to {self.high}"
            raise Any2AnyError("A sighting cannot be used", why, "Check the camera's pose and its depth")

    @property
    def centre(self) -> Float64:
        return np.asarray((self.low + self.high) / 2)


@dataclass(eq=False)
class Remembered:
    """One object: its mean box, low and high corner (3,); when it was seen last, how often it was seen, and looked
    through since; sums (D,) and counts of its vectors by modality."""

    id: str
    low: Float64
    high: Float64
    seen_ns: int
    sightings: int = 0
    missed: int = 0
    sums: dict[str, Float64] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def centre(self) -> Float64:
        return np.asarray((self.low + self.high) / 2)

    def take(self, sighting: Sighting, stamp_ns: int) -> None:
        """Add one sighting."""
        self.sightings, self.missed = self.sightings + 1, 0
        self.low = self.low + (sighting.low - self.low) / self.sightings
        self.high = self.high + (sighting.high - self.high) / self.sightings
        self.add(sighting.embeddings, stamp_ns)

    def add(self, embeddings: Mapping[str, Array], stamp_ns: int) -> None:
        """Add vectors (D,) by modality alone."""
        self.seen_ns = stamp_ns
        for m, vector in embeddings.items():
            self.sums[m] = self.sums.get(m, 0.0) + vector.astype(np.float64)
            self.counts[m] = self.counts.get(m, 0) + 1

    def join(self, other: Remembered) -> None:
        """Take over what was seen of another object that turned out to be a piece of this one."""
        self.low, self.high = np.minimum(self.low, other.low), np.maximum(self.high, other.high)
        self.seen_ns, self.missed = max(self.seen_ns, other.seen_ns), min(self.missed, other.missed)
        for m in other.sums:
            self.sums[m] = self.sums.get(m, 0.0) + other.sums[m]
            self.counts[m] = self.counts.get(m, 0) + other.counts[m]

    def vector(self, modality: str) -> Array | None:
        """Return the mean of its vectors (D,), at length 1; None where this modality never saw it."""
        if modality not in self.sums:
            return None
        length = max(float(np.linalg.norm(self.sums[modality])), 1e-12)
        return np.asarray(self.sums[modality] / length, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class MemoryState:
    """What is on disk of N objects: ids (N,); low, high (N, 3); seen_ns, sightings, missed (N,); by modality, sums
    (N, D) of the vectors and their counts (N,); following (): number of the next object; made_by (M, 2): modalities,
    and what made their vectors. Arrays throughout, so that one file holds it all."""

    kind: ClassVar[str] = "objects"
    plug: ClassVar[str] = "memory"

    ids: NDArray[np.str_]
    low: Float64
    high: Float64
    seen_ns: Int64
    sightings: Int64
    missed: Int64
    sums: dict[str, Float64]
    counts: dict[str, Int64]
    following: Int64
    made_by: NDArray[np.str_]

    def __post_init__(self) -> None:
        one, n = (self.seen_ns, self.sightings, self.missed, *self.counts.values()), len(self.ids)
        wide = (self.low, self.high, *self.sums.values())
        whole = all(len(a) == n and a.ndim == 1 for a in one) and all(len(a) == n and a.ndim == 2 for a in wide)
        if not whole or len(set(self.ids.tolist())) != n or not all(np.isfinite(a).all() for a in wide):
            raise ValueError("its parts do not fit together")


class ObjectMemory:
    """Remembers objects. Times are ns of the robot's clock."""

    def __init__(self, encoders: Mapping[str, EncoderRecord], config: MemoryConfig = MemoryConfig()) -> None:
        """encoders: what made the vectors, by modality."""
        self.encoders, self.config = dict(encoders), config
        self._objects: list[Remembered] = []
        self._following = 0
        self.version = 0  # rises with every change

    def __len__(self) -> int:
        return len(self.believed)

    @property
    def believed(self) -> list[Remembered]:
        """Return the objects that were seen often enough, in the order of their discovery."""
        return [o for o in self._objects if o.sightings >= self.config.confirm]

    @property
    def everything(self) -> tuple[Remembered, ...]:
        """Return these, and what is not believed yet."""
        return tuple(self._objects)

    def see(
        self,
        sightings: Sequence[Sighting],
        stamp_ns: int,
        looked_through: Callable[[Sequence[Remembered]], Iterable[bool]] = lambda objects: (),
    ) -> list[Remembered]:
        """Take what one picture shows; return the object that each sighting is of.

        looked_through: of which of the objects that it does not show it shows what is behind; none by default.
        """
        self.version += 1
        matched = self._matched(sightings)
        found = [self._object(s, matched.get(i), stamp_ns) for i, s in enumerate(sightings)]
        shown = {o.id for o in found}
        others = [o for o in self._objects if o.id not in shown]
        for other, through in zip(others, looked_through(others), strict=False):
            other.missed += bool(through)
        whole = self._joined(found)
        self._forget()
        return [whole.get(o.id, o) for o in found]

    def refresh(self, embeddings: Mapping[str, Mapping[str, Array]], stamp_ns: int) -> None:
        """Add vectors (D,), by object and modality, of what was seen where objects are known to be.

        That something was seen there does not prove that it is still the object: what was looked through stays so.
        """
        self.version += bool(embeddings)
        for known in self._objects:
            if known.id in embeddings:
                known.add(embeddings[known.id], stamp_ns)

    def _matched(self, sightings: Sequence[Sighting]) -> dict[int, Remembered]:
        """Return which sighting is of which object: as many as possible as near as possible, none of two."""
        from scipy.optimize import linear_sum_assignment

        if not sightings or not self._objects:
            return {}
        apart = _apart(_boxes(sightings), _boxes(self._objects))
        # Beyond `merge` all are equally far: no pair is moved apart to bring nearer what does not belong together.
        pairs = zip(*linear_sum_assignment(np.minimum(apart, self.config.merge)), strict=True)
        return {int(i): self._objects[j] for i, j in pairs if apart[i, j] <= self.config.merge}

    def _object(self, sighting: Sighting, known: Remembered | None, stamp_ns: int) -> Remembered:
        if known is None:
            known = Remembered(f"object-{self._following}", sighting.low, sighting.high, stamp_ns)
            self._following += 1
            self._objects.append(known)
        known.take(sighting, stamp_ns)
        return known

    def _joined(self, found: Sequence[Remembered]) -> dict[str, Remembered]:
        """Make one of two objects of which one's middle is inside of the other, and only one was in this picture: they
        were pieces of it. Return what has become of the pieces, by their ids."""
        everything, became = self.everything, dict[str, Remembered]()
        spoken_for = {o.id for o in found}
        for one, near in zip(found, _inside(_boxes(found), _boxes(everything)), strict=True):
            pieces = [everything[i] for i in np.flatnonzero(near) if everything[i].id not in spoken_for]
            first, *rest = sorted([*pieces, one], key=lambda o: -o.sightings)
            spoken_for |= {o.id for o in pieces}
            for piece in rest:
                first.join(piece)
                became[piece.id] = first
        self._objects = [o for o in everything if o.id not in became]
        return became

    def _forget(self) -> None:
        """Forget what is gone, and what was not seen for longest of what is too much."""
        here = [o for o in self._objects if o.missed < self.config.gone]
        beyond = {o.id for o in sorted(here, key=lambda o: o.seen_ns)[: max(0, len(here) - self.config.capacity)]}
        self._objects = [o for o in here if o.id not in beyond]

    # --- as a map -----------------------------------------------------------------------------------------------

    def as_map(self, name: str = "objects", frame_id: str = "map") -> ReferenceMap:
        """Return the objects that are believed as references: their middles, upright, and their mean vectors."""
        objects, columns = self.believed, {}
        for m, record in self.encoders.items():
            missing = np.full(record.dimension, np.nan, dtype=np.float32)
            vectors = [missing if v is None else v for v in (o.vector(m) for o in objects)]
            columns[m] = np.array(vectors, dtype=np.float32).reshape(-1, record.dimension)
        poses = np.tile(np.eye(4), (len(objects), 1, 1))
        poses[:, :3, 3] = np.reshape([o.centre for o in objects], (-1, 3))
        return ReferenceMap(ObservationSet(columns, poses, tuple(o.id for o in objects)), self.encoders, name, frame_id)

    def save(self, folder: Path) -> None:
        """Write everything to a folder; raise Any2AnyError where that cannot be done."""
        try:
            storage.save(self._state(), folder / "objects")
        except OSError as error:
            remedy = "Choose a folder that can be written to"
            raise Any2AnyError(f"Cannot keep the objects in {folder}", str(error), remedy) from error
        reference_map.save(self.as_map(folder.name), folder)

    def _state(self) -> MemoryState:
        objects = self._objects
        low, high = _boxes(objects)

        def numbers(values: Iterable[int]) -> Int64:
            return np.array(list(values), dtype=np.int64)

        return MemoryState(
            np.array([o.id for o in objects], dtype=np.str_), low, high, numbers(o.seen_ns for o in objects),
            numbers(o.sightings for o in objects), numbers(o.missed for o in objects),
            {m: np.array([o.sums.get(m, np.zeros(r.dimension)) for o in objects]).reshape(-1, r.dimension)
             for m, r in self.encoders.items()},
            {m: numbers(o.counts.get(m, 0) for o in objects) for m in self.encoders},
            np.array(self._following), _made_by(self.encoders),
        )  # fmt: skip

    @classmethod
    def load(
        cls, folder: Path, encoders: Mapping[str, EncoderRecord], config: MemoryConfig = MemoryConfig()
    ) -> ObjectMemory:
        """Read what `save` wrote; raise Any2AnyError where it is damaged, or other encoders made it."""
        what, remedy = f"Cannot use the objects in {folder}", "Remove the folder, and look at the objects again"
        try:
            state = storage.load(folder / "objects", MemoryState)
        except Any2AnyError as error:
            raise Any2AnyError(what, error.why, remedy) from error
        if state.made_by.tolist() != _made_by(encoders).tolist():
            raise Any2AnyError(what, "other encoders or heads made their vectors", f"{remedy}, or use those heads")
        memory = cls(encoders, config)
        memory._following = int(state.following)
        for i, name in enumerate(state.ids.tolist()):
            counts = {m: int(c[i]) for m, c in state.counts.items() if c[i] > 0}
            sums = {m: state.sums[m][i] for m in counts}
            seen_ns, sightings, missed = (int(x[i]) for x in (state.seen_ns, state.sightings, state.missed))
            known = Remembered(name, state.low[i], state.high[i], seen_ns, sightings, missed, sums, counts)
            memory._objects.append(known)
        return memory


def _made_by(encoders: Mapping[str, EncoderRecord]) -> NDArray[np.str_]:
    rows = [(m, f"{record.fingerprint} {record.dimension}") for m, record in sorted(encoders.items())]
    return np.array(rows, dtype=np.str_).reshape(-1, 2)


def _boxes(things: Sequence[Sighting] | Sequence[Remembered]) -> tuple[Float64, Float64]:
    """Return the low and the high corners (N, 3)."""
    low, high = ([t.low for t in things], [t.high for t in things])
    return np.reshape(low, (-1, 3)).astype(np.float64), np.reshape(high, (-1, 3)).astype(np.float64)


def _apart(a: tuple[Float64, Float64], b: tuple[Float64, Float64]) -> Float64:
    """Return how far apart the middles of boxes (A, 3), (B, 3) are (A, B), in metres; next to nothing where one's is
    inside of the other: from another side more of a thing is seen, and its middle moves by as much as half of it."""
    distance = np.linalg.norm((a[0] + a[1])[:, None] - (b[0] + b[1]), axis=-1) / 2
    return np.asarray(np.where(_inside(a, b), INSIDE * distance, distance))


def _inside(a: tuple[Float64, Float64], b: tuple[Float64, Float64]) -> Flags:
    """Return (A, B): whether one's middle is inside of the other's box."""
    one, other = (a[0] + a[1])[:, None] / 2, (b[0] + b[1]) / 2
    in_b = ((b[0] <= one) & (one <= b[1])).all(axis=-1)
    in_a = ((a[0][:, None] <= other) & (other <= a[1][:, None])).all(axis=-1)
    return np.asarray(in_a | in_b)
