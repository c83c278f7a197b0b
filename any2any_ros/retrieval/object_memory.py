"""The objects a robot has seen: merged when seen again, forgotten when they are gone, kept like a map.

A sighting is what one picture shows of one thing: its box in the map, and vectors by modality, in the common space of
the heads (methods/emma.py). A thing is the same one where it is in the same place, and stays what it was: its vector
is the mean over all sightings. It is believed from the second sighting on, because a shadow is seen once; and
forgotten when it was looked through several times.

FOLDER/map.json, places-<hash>.npz   the objects as a map (retrieval/reference_map.py): ids, poses, vectors
FOLDER/objects.npz, objects.json     their boxes, how often and when they were seen
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros import plugins
from any2any_ros.config import Checked, setting
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import Array, ObservationSet
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.reference_map import EncoderRecord, ReferenceMap

Float64 = NDArray[np.float64]
INSIDE = 0.01  # factor of a distance that the extent of a thing explains


@dataclass(frozen=True)
class MemoryConfig(Checked):
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

    @property
    def centre(self) -> Float64:
        return np.asarray((self.low + self.high) / 2)


@dataclass(eq=False)
class Remembered:
    """One object: sums (D,) and counts of its vectors by modality, its box, how often and when it was seen."""

    id: str
    low: Float64
    high: Float64
    seen_ns: int
    sightings: int = 1
    missed: int = 0
    sums: dict[str, Float64] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def centre(self) -> Float64:
        return np.asarray((self.low + self.high) / 2)

    def take(self, sighting: Sighting, stamp_ns: int) -> None:
        """Add one sighting."""
        share = 1 / self.sightings
        self.low, self.high = (
            (1 - share) * self.low + share * sighting.low,
            (1 - share) * self.high + share * sighting.high,
        )
        self.seen_ns, self.missed = stamp_ns, 0
        for m, vector in sighting.embeddings.items():
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
        """Return the mean of its vectors (D,), of length 1; None where this modality never saw it."""
        if modality not in self.sums:
            return None
        length = max(float(np.linalg.norm(self.sums[modality])), 1e-12)
        return np.asarray(self.sums[modality] / length, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class MemoryState:
    """What is on disk beside the map: boxes (N, 3) twice, counts and stamps (N,), sums (N, D) and their counts (N,)."""

    ids: tuple[str, ...]
    low: Float64
    high: Float64
    seen_ns: NDArray[np.int64]
    sightings: NDArray[np.int64]
    sums: dict[str, Float64]
    counts: dict[str, NDArray[np.int64]]
    following: int


class ObjectMemory:
    """Remembers objects. Times are ns of the robot's clock."""

    def __init__(self, encoders: Mapping[str, EncoderRecord], config: MemoryConfig = MemoryConfig()) -> None:
        """encoders: what made the vectors, by modality."""
        self.encoders, self.config = dict(encoders), config
        self._objects: list[Remembered] = []
        self._next = itertools.count()
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
        self, sightings: Sequence[Sighting], stamp_ns: int, looked_through: Callable[[Float64], bool] = lambda c: False
    ) -> list[Remembered]:
        """Take what one picture shows; return the object that each sighting is of.

        looked_through: whether the picture shows something behind a centre (3,), so that nothing is there any more.
        """
        self.version += 1
        known = self._matched(sightings)
        found = [self._object(s, known.get(i), stamp_ns) for i, s in enumerate(sightings)]
        for other in self._objects:
            if all(other is not o for o in found) and looked_through(other.centre):
                other.missed += 1
        self._join()
        gone = [o for o in self._objects if o.missed >= self.config.gone]
        beyond = sorted(self._objects, key=lambda o: o.seen_ns)[: max(0, len(self._objects) - self.config.capacity)]
        self._objects = [o for o in self._objects if all(o is not g for g in (*gone, *beyond))]
        return found

    def refresh(self, embeddings: Mapping[str, Mapping[str, Array]], stamp_ns: int) -> None:
        """Add vectors, by object and modality, of objects that were seen where they are known to be."""
        self.version += 1
        for other in self._objects:
            if other.id in embeddings:
                other.take(Sighting(embeddings[other.id], other.low, other.high), stamp_ns)

    def _matched(self, sightings: Sequence[Sighting]) -> dict[int, Remembered]:
        """Return which sighting is of which object: as near as possible together, none of two."""
        from scipy.optimize import linear_sum_assignment

        if not sightings or not self._objects:
            return {}
        apart = np.array([[_apart(s, o) for o in self._objects] for s in sightings])
        rows, columns = linear_sum_assignment(np.minimum(apart, 1e3))
        return {
            int(i): self._objects[j] for i, j in zip(rows, columns, strict=True) if apart[i, j] <= self.config.merge
        }

    def _object(self, sighting: Sighting, known: Remembered | None, stamp_ns: int) -> Remembered:
        if known is None:
            known = Remembered(f"object-{next(self._next)}", sighting.low, sighting.high, stamp_ns)
            self._objects.append(known)
        else:
            known.sightings += 1
        known.take(sighting, stamp_ns)
        return known

    def _join(self) -> None:
        """Make one of two objects of which one's middle is inside of the other: they were pieces of it."""
        kept: list[Remembered] = []
        for one in sorted(self._objects, key=lambda o: -o.sightings):
            whole = next((o for o in kept if _inside(one.centre, o) or _inside(o.centre, one)), None)
            if whole is None:
                kept.append(one)
            else:
                whole.join(one)
        self._objects = [o for o in self._objects if any(o is k for k in kept)]

    # --- as a map -----------------------------------------------------------------------------------------------

    def as_map(self, name: str = "objects", frame_id: str = "map") -> ReferenceMap:
        """Return the objects that are believed as references: their middles, upright, and their mean vectors."""
        objects = self.believed
        columns = {}
        for m, record in self.encoders.items():
            missing = np.full(record.dimension, np.nan, dtype=np.float32)
            vectors = [o.vector(m) for o in objects]
            columns[m] = np.array([missing if v is None else v for v in vectors], np.float32).reshape(
                -1, record.dimension
            )
        poses = np.tile(np.eye(4), (len(objects), 1, 1))
        for pose, o in zip(poses, objects, strict=True):
            pose[:3, 3] = o.centre
        return ReferenceMap(ObservationSet(columns, poses, tuple(o.id for o in objects)), self.encoders, name, frame_id)

    def save(self, folder: Path) -> None:
        """Write everything to a folder that may be a map's already."""
        o, widths = self._objects, {m: r.dimension for m, r in self.encoders.items()}
        following = next(self._next)
        self._next = itertools.count(following)
        state = MemoryState(
            tuple(x.id for x in o), np.array([x.low for x in o]).reshape(-1, 3),
            np.array([x.high for x in o]).reshape(-1, 3), np.array([x.seen_ns for x in o], np.int64),
            np.array([x.sightings for x in o], np.int64),
            {m: np.array([x.sums.get(m, np.zeros(d)) for x in o]).reshape(-1, d) for m, d in widths.items()},
            {m: np.array([x.counts.get(m, 0) for x in o], np.int64) for m in widths}, following,
        )  # fmt: skip
        plugins.save(state, folder / "objects")
        reference_map.save(self.as_map(folder.name), folder)

    @classmethod
    def load(
        cls, folder: Path, encoders: Mapping[str, EncoderRecord], config: MemoryConfig = MemoryConfig()
    ) -> ObjectMemory:
        """Read what `save` wrote; raise Any2AnyError where it is damaged, or other encoders made it."""
        found = reference_map.load(folder).encoders
        if {m: r.fingerprint for m, r in found.items()} != {m: r.fingerprint for m, r in encoders.items()}:
            raise Any2AnyError(
                f"The objects in {folder} cannot be used",
                "other encoders or heads made their vectors",
                "Look at the objects again, or use the heads they were made with",
            )
        state: Any = plugins.load(folder / "objects")
        memory = cls(encoders, config)
        memory._next = itertools.count(state.following)
        for i, name in enumerate(state.ids):
            counts = {m: int(c[i]) for m, c in state.counts.items() if c[i] > 0}
            memory._objects.append(
                Remembered(
                    str(name), state.low[i], state.high[i], int(state.seen_ns[i]), int(state.sightings[i]), 0,
                    {m: state.sums[m][i] for m in counts}, counts,
                )
            )  # fmt: skip
        return memory


def _apart(sighting: Sighting, known: Remembered) -> float:
    """Return how far apart two middles are, in metres; next to nothing where one is inside of the other's box.

    From another side more of a thing is seen, and its middle moves by as much as half of it.
    """
    distance = float(np.linalg.norm(sighting.centre - known.centre))
    return INSIDE * distance if _inside(sighting.centre, known) or _inside(known.centre, sighting) else distance


def _inside(point: Float64, box: Sighting | Remembered) -> bool:
    return bool((box.low <= point).all() and (point <= box.high).all())
