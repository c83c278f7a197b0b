"""The map: reference places and the encoders of their vectors, on disk as plain files.

MAP/map.json            format, name, frame, names of the places' file and of other parts, encoders. It is written
                        last: until then a reader sees the old map (map_folder.py)
MAP/places-<hash>.npz   ids, poses, stamps where they are known, one array (N, D) for each modality, and one of packed
                        bird's-eye images (N, PACKED) for those that have them
MAP/shards/             of a large map only: its vectors as a search reads them (retrieval/large/shard_cache.py)
MAP/calibration/        what `any2any calibrate` fitted for this map (retrieval/calibration.py)
MAP/adopted/            adopted sensors, which query the map but are not part of it (retrieval/adopted.py)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros import declared, files, names, reading
from any2any_ros.alignments import Pair
from any2any_ros.arrays import Int64
from any2any_ros.errors import Any2AnyError, explained
from any2any_ros.geometry import clouds
from any2any_ros.geometry.mountings import differ
from any2any_ros.observation import NO_STAMPS, Embedding, ObservationSet
from any2any_ros.poses import validated
from any2any_ros.protocols import Encoder
from any2any_ros.retrieval import map_folder
from any2any_ros.retrieval.large import LARGE, npz
from any2any_ros.retrieval.large.shard_cache import IN_MEMORY, Prepare, ShardCache, ShardFolder, do_nothing
from any2any_ros.retrieval.map_folder import HEADER
from any2any_ros.retrieval.map_header import OPTIONAL, EncoderRecord, MapHeader
from any2any_ros.retrieval.sensor_topic import SensorTopic

FORMAT = 1
COLUMN, STAMPS, IMAGES = "embedding/", "stamps", "birds_eye/"


@dataclass(frozen=True, eq=False)
class ReferenceMap:
    """Reference places, the encoder of each modality, and the frame of the poses.

    encoders: by modality; also includes query-only modalities whose encoder shares an embedding space with one of the
    map's. adopted: the encoders of adopted sensors. topics: of the sensors, in a map from a bag. origin: where its
    frame lies on Earth, if its poses came from satellites: latitude and longitude in degrees, height in m; x points
    east. base_frame: the robot's frame, whose poses the map has, and in which `places` says where its sensors are
    mounted; "": unknown. identity: names the places that the map was built with, and stays when it grows; what was
    fitted for another map does not fit it. Empty: unknown. parts: names of what else in the map's folder belongs to
    these places, by kind (map_folder.py). shard_cache: where the shards of exactly these places are, if the map was
    read from a folder and has not changed since.
    """

    places: ObservationSet
    encoders: Mapping[str, EncoderRecord]
    name: str = "map"
    frame_id: str = "map"
    adopted: Mapping[str, EncoderRecord] = field(default_factory=dict)
    parts: Mapping[str, str] = field(default_factory=dict)
    topics: Mapping[str, SensorTopic] = field(default_factory=dict)
    origin: tuple[float, float, float] | None = None
    base_frame: str = ""
    identity: str = ""
    shard_cache: ShardCache = field(default=IN_MEMORY, init=False)  # not passed on by replace()

    def part(self, kind: str, folder: Path) -> Path | None:
        """Return where a part of the map in `folder` lies, e.g. map_folder.SCANS; None when the map has none."""
        return folder / self.parts[kind] if kind in self.parts else None

    @property
    def mounting(self) -> str:
        """Return how the LiDAR is mounted, "x y z roll pitch yaw" in the robot's frame, m and rad; "": unknown."""
        known = self.places.mountings.get(clouds.LIDAR)
        return "" if known is None else clouds.mounting_text(known)

    @property
    def sensors(self) -> dict[str, EncoderRecord]:
        """Return the encoders of all modalities that may query the map, adopted ones included."""
        return {**self.adopted, **self.encoders}

    @property
    def fingerprints(self) -> dict[str, str]:
        """Return the fingerprints of the map's own encoders, by modality."""
        return {m: record.fingerprint for m, record in self.encoders.items()}

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """Return the (query, reference) modalities that can be compared: those of one space, or of one encoder."""
        spaces = {m: record.space or record.fingerprint or m for m, record in self.encoders.items()}
        return tuple((q, r) for q in sorted(spaces) for r in sorted(spaces) if q == r or spaces[q] == spaces[r])

    @classmethod
    def bare(cls, places: ObservationSet) -> ReferenceMap:
        """Return a map of vectors whose encoders are unknown, and so what their bird's-eye images show."""
        places = replace(places, birds_eye={}) if places.birds_eye else places
        return cls(places, {m: EncoderRecord("", "", v.shape[1]) for m, v in places.embeddings.items()})

    def __post_init__(self) -> None:
        for modality in self.sensors:
            names.modality(modality)
        if strange := [m for m in self.places.birds_eye if m not in self.encoders or not self.encoders[m].cell]:
            raise Any2AnyError(
                f"Map '{self.name}' does not fit together",
                f"it has bird's-eye images of '{strange[0]}', whose encoder makes none",
                "Build the map again",
            )
        for modality, column in self.places.embeddings.items():
            record = self.encoders.get(modality)
            if record is None or record.dimension != column.shape[1]:
                raise Any2AnyError(
                    f"Map '{self.name}' does not fit together",
                    f"its '{modality}' vectors have {column.shape[1]} dimensions, "
                    + ("and no encoder is recorded" if record is None else f"their encoder has {record.dimension}"),
                    "Build the map again",
                )

    def __len__(self) -> int:
        return len(self.places)

    def validate(self, embedding: Embedding, demand_fingerprint: bool = False) -> None:
        """Raise Any2AnyError when the embedding cannot be compared with the map's vectors.

        demand_fingerprint: refuse an embedding without one, too, unless the map's own encoder is unknown.
        """
        record = self.sensors.get(embedding.modality)
        what = f"The '{embedding.modality}' embedding cannot be used with map '{self.name}'"
        if record is None:
            known = ", ".join(sorted(self.sensors)) or "none"
            raise Any2AnyError(
                what,
                f"the map's modalities are {known}",
                "Build a map with this sensor, adopt it (any2any adopt), or stop its encoder",
            )
        if len(embedding.vector) != record.dimension:
            raise Any2AnyError(
                what,
                f"it has {len(embedding.vector)} dimensions, the map's have {record.dimension}",
                "Run the encoder with the map's settings, or build the map again",
            )
        if (embedding.encoder or demand_fingerprint) and embedding.encoder != record.fingerprint:
            made = f"encoder '{embedding.encoder}' made it" if embedding.encoder else "it does not name its encoder"
            raise Any2AnyError(
                what,
                f"{made}, and '{record.fingerprint}' made the map",
                "Run the encoder with the map's settings and weights, or build the map again",
            )

    def cached_in(self, folder: str) -> ReferenceMap:
        """Return the same map with its shards cached in `folder`, a folder inside the map's own."""
        other = replace(self)
        object.__setattr__(other, "shard_cache", self.shard_cache.of(folder))
        return other

    def with_places(self, more: ObservationSet) -> ReferenceMap:
        """Return the map with `more` places appended.

        Raises Any2AnyError for an id that is none, or is known, and for a sensor that is mounted elsewhere.
        """
        names.places(np.array(more.ids, dtype=np.str_))
        known = self.places.mountings
        if moved := [m for m, pose in more.mountings.items() if m in known and differ(pose, known[m])]:
            raise Any2AnyError(
                f"The place cannot be added to map '{self.name}'",
                f"its '{moved[0]}' is mounted at {clouds.mounting_text(more.mountings[moved[0]])}, that of the map's "
                f"places at {clouds.mounting_text(known[moved[0]])}",
                "Add places by a robot like the map's, or build a map of this robot's own",
            )
        return replace(self, places=self.places.appended(more))


def map_encoders(reference: ReferenceMap, modalities: Iterable[str]) -> dict[str, Encoder]:
    """Build the encoders of those of `modalities` that may query the map, adopted ones included."""
    known = {m: reference.sensors[m] for m in modalities if m in reference.sensors}
    return {m: record.build() for m, record in known.items()}


def save(reference: ReferenceMap, folder: Path, parts: Mapping[str, Path] | None = None) -> ReferenceMap:
    """Write the map to `folder`, and return it with its new parts. Until the last rename a reader sees the old map.

    parts: complete new parts by kind, on the disk of `folder`; they are moved. The parts that the map has already stay.
    Raises Any2AnyError when the map cannot be written.
    """
    what, ids = f"Cannot write the map {folder}", np.array(reference.places.ids, dtype=np.str_)
    with explained(what, "Correct the map"):
        records, unnamed = dict(reference.encoders), f"places-{0:016x}.npz"
        topics = {m: t for m, t in reference.topics.items() if m in records}
        described = (FORMAT, reference.name, reference.frame_id, len(reference), records)
        header = MapHeader(*described, unnamed, {}, topics, reference.origin, identity=reference.identity)
        mountings = {m: clouds.mounting_text(pose) for m, pose in reference.places.mountings.items()}
        header = replace(header, base_frame=reference.base_frame, mountings=mountings)
        declared.check(header)
        names.places(ids)
    # Locked, because otherwise one process could remove what another is going to name.
    with explained(what, "Choose a folder that can be written to"), files.locked(folder):
        places = _write_places(reference.places, ids, folder)
        old = {kind: name for kind, name in reference.parts.items() if (folder / name).exists()}
        named = old | map_folder.put(parts or {}, folder, places.removeprefix("places-").removesuffix(".npz"))
        content = asdict(replace(header, places=places, parts=named))
        files.write_json(folder / HEADER, {k: v for k, v in content.items() if v or k not in OPTIONAL})
        map_folder.clean(folder, places, named)
    return replace(reference, parts=named)


def _write_places(places: ObservationSet, ids: NDArray[np.str_], folder: Path) -> str:
    """Write the places to a file whose name holds a digest of its content; return the name."""
    columns: dict[str, Any] = {f"{COLUMN}{m}": v for m, v in places.embeddings.items()}
    columns |= {f"{IMAGES}{m}": v for m, v in places.birds_eye.items()}
    stamps = np.asarray(places.stamps_ns)
    if stamps.any():
        columns[STAMPS] = stamps
    return files.write_digested(folder / "places.npz", lambda s: np.savez(s, ids=ids, poses=places.poses, **columns))


def _read_places(folder: Path, header: MapHeader) -> ObservationSet:
    """Read the places. Those of a large map stay on disk, memory-mapped: the values of their vectors are validated
    later, once, when they are prepared for searching."""
    file = folder / header.places
    reading.check_arrays(file)
    with np.load(file, allow_pickle=False) as stored:
        ids = names.places(reading.with_content(stored["ids"], "ids"))
        others = [name for name in stored.files if name != "ids"]
        arrays = npz.mapped(file, others) if len(ids) >= LARGE else {name: stored[name] for name in others}
    if len(ids) != header.count:
        raise ValueError(f"it has {len(ids)} places, and {HEADER} says {header.count}")
    columns = {n.removeprefix(COLUMN): values for n, values in arrays.items() if n.startswith(COLUMN)}
    images = {n.removeprefix(IMAGES): values for n, values in arrays.items() if n.startswith(IMAGES)}
    stamps, mountings = _stamps(arrays, len(ids)), header.sensor_mountings()
    places = ObservationSet.verified(columns, arrays["poses"], ids, stamps, images, mountings)
    if len(ids) < LARGE:
        return replace(places)  # made anew, its values are read and validated
    validated(places.poses)
    npz.release(places)
    return places


def _stamps(arrays: Mapping[str, Any], count: int) -> Int64:
    """Return the stamps (N,), which a map from before version 0.2 does not have. Raises ValueError for other arrays."""
    stamps = arrays.get(STAMPS, NO_STAMPS)
    if stamps.dtype != np.int64 or (STAMPS in arrays and stamps.shape != (count,)):
        raise ValueError(f"its stamps are {stamps.dtype} {stamps.shape}")
    return np.asarray(stamps)


def _check_spaces(reference: ReferenceMap) -> None:
    """Raise ValueError when modalities of one space have different dimensions, or one can be compared with nothing."""
    dimensions = {m: record.dimension for m, record in reference.encoders.items()}
    for modality, dimension in dimensions.items():
        others = {dimensions[r] for q, r in reference.pairs if q == modality and r in reference.places.embeddings}
        if others != {dimension}:
            raise ValueError(f"its '{modality}' vectors are missing, and can be compared with no others")


@dataclass(frozen=True)
class AdoptedSensor:
    """What adopted.json says of the sensor."""

    encoder: EncoderRecord
    topic: SensorTopic | None = None


def _adopted_sensor(home: Path) -> AdoptedSensor:
    """Return the adopted sensor in the folder `home`."""
    remedy = f"Remove {home}, and adopt the sensor again (any2any adopt MAP DRIVE)"
    with explained(f"Cannot read the adopted sensor {home}", remedy):
        return declared.build(AdoptedSensor, reading.json_object(home / "adopted.json"))


def load(folder: Path, prepare: Prepare = do_nothing) -> ReferenceMap:
    """Read a map. prepare: as in `Retriever.open`. Raises Any2AnyError when it is missing, damaged or of another
    format."""
    return files.read_again(folder / HEADER, lambda: _load(folder, prepare))


def _load(folder: Path, prepare: Prepare) -> ReferenceMap:
    what, remedy = f"Cannot read the map {folder}", "Build the map again"
    if not (folder / HEADER).exists():
        raise Any2AnyError(what, f"it has no {HEADER}", "Make one: any2any build-map DRIVE MAP")
    with explained(what, remedy):
        content = reading.json_object(folder / HEADER)
        if content.get("format") != FORMAT:
            raise ValueError(f"its format is {content.get('format')}, this program reads {FORMAT}")
        header = declared.build(MapHeader, content | {"parts": map_folder.parts_of(content)})
        places = _read_places(folder, header)
    sensors = {p.name: files.read_whole(p, _adopted_sensor) for p in map_folder.adopted_homes(folder)}
    adopted = {m: sensor.encoder for m, sensor in sensors.items() if sensor}
    topics = header.topics | {m: sensor.topic for m, sensor in sensors.items() if sensor and sensor.topic}
    with explained(what, remedy):
        described = (header.encoders, header.name, header.frame_id, adopted, header.parts, topics, header.origin)
        reference = ReferenceMap(places, *described, header.base_frame, header.identity)
        _check_spaces(reference)
    object.__setattr__(reference, "shard_cache", ShardFolder(folder, header.places, prepare))
    return reference
