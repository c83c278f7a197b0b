"""The objects that a robot has seen and where they stand: merged when seen again, forgotten when gone, saved on disk.

A sighting is the same object as one before when it is in the same place. An object's vector is the mean over all its
sightings. An object is believed from its second sighting on, because a false one, such as a shadow, appears once. It is
forgotten when several pictures have proven that it is gone.

FOLDER/map.json, places-<hash>.npz   the believed objects as a map (retrieval/reference_map.py)
FOLDER/objects-<hash>.npz            all objects, with everything that is known of them
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np

from any2any_ros import files, storage
from any2any_ros.arrays import Array, Float64, Int64, Names
from any2any_ros.config import Settings, setting
from any2any_ros.declared import NOT_NEGATIVE, POSITIVE
from any2any_ros.errors import Any2AnyError, explained
from any2any_ros.objects.remembered_object import RememberedObject, Sighting, box, centre_inside, corners, distances
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval import map_folder, reference_map
from any2any_ros.retrieval.map_folder import HEADER, OBJECTS
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap

NAME = "object-"  # begins the id of an object; its number follows
SeenGone = Callable[[Sequence[RememberedObject]], Iterable[bool]]  # whether a picture proves that each object is gone


@dataclass(frozen=True)
class MemoryConfig(Settings):
    """When two sightings are one object, and how long an object is remembered."""

    merge: float = setting(
        0.08, "two sightings are one object when their centres are at most this far apart", unit="m", minimum=0,
        maximum=10,
    )  # fmt: skip
    confirm: int = setting(2, "number of sightings from which an object is believed", minimum=1, maximum=1000)
    gone: int = setting(
        3, "an object is forgotten after this many pictures have shown that it is gone", minimum=1, maximum=1000
    )
    capacity: int = setting(
        10_000, "largest number of objects; beyond it, those not seen for longest are forgotten", minimum=1
    )


@dataclass(frozen=True, eq=False)
class MemoryState:
    """What is written of N objects, as arrays only.

    ids (N,). low, high (N, 3): corners in metres. seen_ns, sightings, missed (N,). sums (N, D) of the vectors and their
    counts (N,), by modality. following (): the number that the next new object gets. made_by (M, 2): each modality, and
    the fingerprint and dimension of the encoder that made its vectors.
    """

    kind: ClassVar[str] = "objects"
    plug: ClassVar[str] = "memory"

    ids: Names
    low: Float64
    high: Float64
    seen_ns: Annotated[Int64, NOT_NEGATIVE]
    sightings: Annotated[Int64, POSITIVE]
    missed: Annotated[Int64, NOT_NEGATIVE]
    sums: dict[str, Float64]
    counts: dict[str, Annotated[Int64, NOT_NEGATIVE]]
    following: Annotated[Int64, NOT_NEGATIVE]
    made_by: Names

    def __post_init__(self) -> None:
        modalities = sorted(self.sums)
        if not self._shapes_fit() or self.made_by[:, 0].tolist() != modalities:
            raise ValueError("its parts do not fit together")
        made = [int(text.rpartition(" ")[2]) for text in self.made_by[:, 1].tolist()]
        if made != [self.sums[m].shape[1] for m in modalities]:
            raise ValueError("the vectors of a modality have another dimension than its encoder")
        if not box(self.low, self.high).all():
            raise ValueError("a box is inside out, or too far away")
        names = self.ids.tolist()
        if len({*names}) != len(names) or not all(0 <= _number(name) < self.following for name in names):
            raise ValueError(f"an id is not unique, or not {NAME}N with N below {self.following}")

    def _shapes_fit(self) -> bool:
        n, boxes = self.ids.size, (self.low, self.high)
        of_each = (self.ids, self.seen_ns, self.sightings, self.missed, *self.counts.values())
        return (
            all(values.shape == (n,) for values in of_each)
            and all(corner.shape == (n, 3) for corner in boxes)
            and all(total.ndim == 2 and len(total) == n for total in self.sums.values())
            and {*self.counts} == {*self.sums}
            and self.following.shape == ()
            and self.made_by.shape == (len(self.sums), 2)
        )


class ObjectMemory:
    """Remembers objects. Times are ns of the robot's clock."""

    def __init__(self, encoders: Mapping[str, EncoderRecord], config: MemoryConfig = MemoryConfig()) -> None:
        """encoders: what makes the vectors, by modality."""
        self.encoders, self.config = dict(encoders), config
        self._objects: list[RememberedObject] = []
        self._following = 0
        self.version = 0  # rises with every change

    def __len__(self) -> int:
        return len(self.believed)

    @property
    def believed(self) -> list[RememberedObject]:
        """Return the objects that were seen often enough, in the order of their first sightings."""
        return [o for o in self._objects if o.sightings >= self.config.confirm]

    @property
    def everything(self) -> tuple[RememberedObject, ...]:
        """Return all objects, also those that are not believed yet."""
        return tuple(self._objects)

    def see(
        self, sightings: Sequence[Sighting], stamp_ns: int, seen_gone: SeenGone = lambda objects: ()
    ) -> list[RememberedObject]:
        """Add the sightings of one picture; return the object that each sighting belongs to.

        seen_gone: is called with the objects that have no sighting in this picture.
        """
        self.version += 1
        matched = self._matched(sightings)
        seen = [self._update(s, matched.get(i), stamp_ns) for i, s in enumerate(sightings)]
        seen_ids = {o.id for o in seen}
        others = [o for o in self._objects if o.id not in seen_ids]
        for other, gone in zip(others, seen_gone(others), strict=False):
            other.missed += bool(gone)
        whole = self._joined(seen)
        self._forget()
        return [whole.get(o.id, o) for o in seen]

    def refresh(self, embeddings: Mapping[str, Mapping[str, Array]], stamp_ns: int) -> None:
        """Add vectors (D,), by object and modality, of pictures of the places where objects are known to be.

        Such a picture does not prove that the object is still there, so `missed` stays as it is.
        """
        self.version += bool(embeddings)
        for known in self._objects:
            if known.id in embeddings:
                known.add_vectors(embeddings[known.id], stamp_ns)

    def _matched(self, sightings: Sequence[Sighting]) -> dict[int, RememberedObject]:
        """Return the known object of each sighting: the assignment with the smallest sum of distances."""
        from scipy.optimize import linear_sum_assignment

        if not sightings or not self._objects:
            return {}
        distance = distances(corners(sightings), corners(self._objects))
        # Beyond `merge` all distances count as equal: otherwise a sighting that belongs to no object could push a
        # good pair apart only to get nearer to some object.
        pairs = zip(*linear_sum_assignment(np.minimum(distance, self.config.merge)), strict=True)
        return {int(i): self._objects[j] for i, j in pairs if distance[i, j] <= self.config.merge}

    def _update(self, sighting: Sighting, known: RememberedObject | None, stamp_ns: int) -> RememberedObject:
        if known is None:
            known = RememberedObject(f"{NAME}{self._following}", sighting.low, sighting.high, stamp_ns)
            self._following += 1
            self._objects.append(known)
        known.add_sighting(sighting, stamp_ns)
        return known

    def _joined(self, seen: Sequence[RememberedObject]) -> dict[str, RememberedObject]:
        """Join each object seen in this picture with those that were pieces of it.

        A piece was not seen in this picture, and its centre lies inside of the object's box, or the other way round.
        Return the whole object by the id of each piece.
        """
        everything, whole_of = self.everything, dict[str, RememberedObject]()
        taken = {o.id for o in seen}
        for one, near in zip(seen, centre_inside(corners(seen), corners(everything)), strict=True):
            pieces = [everything[i] for i in np.flatnonzero(near) if everything[i].id not in taken]
            first, *rest = sorted([*pieces, one], key=lambda o: -o.sightings)
            taken |= {o.id for o in pieces}
            for piece in rest:
                first.join(piece)
                whole_of[piece.id] = first
        self._objects = [o for o in everything if o.id not in whole_of]
        return whole_of

    def _forget(self) -> None:
        """Forget objects that are gone and, beyond the capacity, those that were not seen for longest."""
        remaining = [o for o in self._objects if o.missed < self.config.gone]
        excess = max(0, len(remaining) - self.config.capacity)
        oldest = {o.id for o in sorted(remaining, key=lambda o: o.seen_ns)[:excess]}
        self._objects = [o for o in remaining if o.id not in oldest]

    # --- as a map, and on disk ----------------------------------------------------------------------------------

    def as_map(self, name: str = "objects", frame_id: str = "map") -> ReferenceMap:
        """Return the believed objects as references: poses at their centres, upright, and their mean vectors."""
        objects, columns = self.believed, {}
        for m, record in self.encoders.items():
            missing = np.full(record.dimension, np.nan, dtype=np.float32)
            vectors = [missing if v is None else v for v in (o.vector(m) for o in objects)]
            columns[m] = np.array(vectors, dtype=np.float32).reshape(-1, record.dimension)
        poses = np.tile(np.eye(4), (len(objects), 1, 1))
        poses[:, :3, 3] = np.reshape([o.centre for o in objects], (-1, 3))
        return ReferenceMap(ObservationSet(columns, poses, tuple(o.id for o in objects)), self.encoders, name, frame_id)

    def save(self, folder: Path) -> None:
        """Write all objects to a folder. Raises Any2AnyError when the folder cannot be written to."""
        try:
            with files.unfinished(folder / OBJECTS) as home:
                storage.save(self._state(), home / OBJECTS)
                reference_map.save(self.as_map(folder.name), folder, {OBJECTS: home / f"{OBJECTS}.npz"})
        except OSError as error:
            remedy = "Choose a folder that can be written to"
            raise Any2AnyError(f"Cannot save the objects in {folder}", str(error), remedy) from error

    def _state(self) -> MemoryState:
        objects = self._objects
        low, high = corners(objects)

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
        """Read what `save` wrote. Raises Any2AnyError when it is missing or damaged, or other encoders made it."""
        what = f"Cannot use the objects in {folder}"
        remedy = "Remove the folder, and let the robot see the objects again"
        with explained(what, remedy):
            state = files.read_again(folder / HEADER, lambda: _read_state(folder))
        if state.made_by.tolist() != _made_by(encoders).tolist():
            raise Any2AnyError(what, "other encoders or heads made their vectors", f"{remedy}, or use those heads")
        memory = cls(encoders, config)
        memory._following = int(state.following)
        for i, name in enumerate(state.ids.tolist()):
            counts = {m: int(c[i]) for m, c in state.counts.items() if c[i] > 0}
            sums = {m: state.sums[m][i] for m in counts}
            seen_ns, sightings, missed = (int(x[i]) for x in (state.seen_ns, state.sightings, state.missed))
            known = RememberedObject(name, state.low[i], state.high[i], seen_ns, sightings, missed, sums, counts)
            memory._objects.append(known)
        return memory


def _read_state(folder: Path) -> MemoryState:
    """Return the objects that the map in `folder` belongs to."""
    return storage.load(folder / map_folder.read_parts(folder)[OBJECTS], MemoryState)


def _number(name: str) -> int:
    """Return the number in the id of an object; -1 when it is none."""
    number = name.removeprefix(NAME)
    return int(number) if name.startswith(NAME) and number.isdecimal() else -1


def _made_by(encoders: Mapping[str, EncoderRecord]) -> Names:
    rows = [(m, f"{record.fingerprint} {record.dimension}") for m, record in sorted(encoders.items())]
    return np.array(rows, dtype=np.str_).reshape(-1, 2)
