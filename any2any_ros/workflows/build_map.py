"""From a recording to a map of reference places."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from any2any_ros import files
from any2any_ros.encoders import build as build_encoder
from any2any_ros.errors import Any2AnyError
from any2any_ros.geometry import clouds
from any2any_ros.geometry.clouds import LIDAR
from any2any_ros.observation import ObservationSet
from any2any_ros.place_map import PlaceMap, open_map
from any2any_ros.progress import Progress, silent
from any2any_ros.protocols import Encoder
from any2any_ros.retrieval import calibration, map_folder, reference_map
from any2any_ros.retrieval.map_folder import SCANS
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.workflows.inputs import EncoderChoice, Source, chosen_encoders, opened
from any2any_ros.workflows.scans import MOUNTING, mounted, mounting_of, robot_scans

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class MapOptions:
    """How a map is built.

    name: of the map; empty: the name of its folder. keyframe: distance between two places in metres; None: what is
    usual for the kind of recording. query_only: modalities that are not stored in the map, and may still be compared
    with it, because their encoder shares an embedding space with one of the map's. scans: whether every place's LiDAR
    scan is stored, too (about 20 kB each; docs/geometry.md). mounting: pose of the LiDAR in the robot's
    frame, "x y z roll pitch yaw" in metres and radians; "": what a bag's /tf_static says, or that the poses are the
    LiDAR's.
    """

    name: str = ""
    keyframe: float | None = None
    query_only: tuple[str, ...] = ()
    scans: bool = False
    mounting: str = MOUNTING


def write_map(
    source: Source,
    folder: str | os.PathLike[str],
    encoders: EncoderChoice = None,
    options: MapOptions = MapOptions(),
    progress: Progress[Any] = silent,
) -> ReferenceMap:
    """Encode the frames of a recording, and write them as the places of a map.

    Raises Any2AnyError when the recording cannot be read, when it has nothing to encode, and when the map cannot be
    written. An older map in the folder stays until the new one is whole.
    """
    recording, folder = opened(source), Path(folder)
    _refuse_absent_scans(recording.modalities, recording.name, options)
    if options.mounting:
        clouds.mounting(options.mounting)  # refused before anything is encoded
    built = chosen_encoders(tuple(dict.fromkeys([*recording.modalities, *options.query_only])), encoders)
    query_only = {m: built.pop(m) if m in built else build_encoder(m) for m in options.query_only}
    usual = recording.place
    place = usual if options.keyframe is None else replace(usual, keyframe=options.keyframe)
    places = mounted(recording.observe(built, place.keyframe, progress), options.mounting)
    reference = as_map(places, built, options.name or folder.resolve().name, recording.report.refusal)
    records = {**reference.encoders, **_query_only(reference, query_only)}
    reference = replace(reference, encoders=records, topics=recording.sensor_topics(), origin=recording.origin)
    reference = replace(reference, base_frame=recording.base_frame)
    if not options.scans:
        saved = reference_map.save(reference, folder)
    else:
        mounting = mounting_of(places)
        with files.unfinished(folder / SCANS) as home:
            clouds.write(home, robot_scans(recording, reference.places, mounting, progress))
            saved = reference_map.save(reference, folder, {SCANS: home})
    _remove_what_was_fitted_for_another(folder, reference.identity)
    return saved


def build_map(
    source: Source,
    path: str | os.PathLike[str],
    encoders: EncoderChoice = None,
    options: MapOptions = MapOptions(),
    progress: Progress[Any] = silent,
) -> PlaceMap:
    """Encode a recording, write its frames as the places of a map, and open it.

    source: a path, or what `open_recording` returns. path: the folder to write. encoders: names of modalities, or a
    mapping from modality to the name of an encoder or to an encoder; None: every modality of the recording by its
    default encoder. progress: wraps the loops, e.g. `progress_bar`. Raises Any2AnyError when the recording cannot be
    read, when it has nothing to encode, and when the map cannot be written.
    """
    write_map(source, path, encoders, options, progress)
    return open_map(path)


def _remove_what_was_fitted_for_another(folder: Path, identity: str) -> None:
    """Remove the calibration and the adopted sensors of the map that was here before, unless it had the same places."""
    for home, part in ((folder, folder / calibration.FOLDER), *((p, p) for p in map_folder.adopted_homes(folder))):
        if part.exists() and calibration.made_for(home) != identity:
            files.remove(part)
            LOG.warning("%s was fitted for the places of another map: removed", part)


def _refuse_absent_scans(modalities: tuple[str, ...], name: str, options: MapOptions) -> None:
    if options.scans and LIDAR not in modalities:
        raise Any2AnyError(
            f"Cannot store the scans of {name}",
            f"it has no '{LIDAR}', only {', '.join(modalities) or 'nothing'}",
            "Build the map without scans, or name the topic of the clouds in a bag: --topic lidar=/points",
        )


def _query_only(reference: ReferenceMap, encoders: Mapping[str, Encoder]) -> dict[str, EncoderRecord]:
    """Return the records of the query-only encoders; raise when one shares no space with an encoder of the map."""
    records = {m: EncoderRecord.of(encoder) for m, encoder in encoders.items()}
    spaces = {record.space or record.fingerprint for record in reference.encoders.values()}
    for modality, record in records.items():
        if (record.space or record.fingerprint) not in spaces:
            raise Any2AnyError(
                f"'{modality}' cannot be a query for map '{reference.name}'",
                f"its encoder '{record.plug}' shares no embedding space with {', '.join(reference.encoders)}",
                "Choose encoders of one network, such as vision and language of one CLIP (--encoder camera=vision ...)",
            )
    return records


def as_map(places: ObservationSet, encoders: Mapping[str, Encoder], name: str, refusal: str = "") -> ReferenceMap:
    """Return a map of these places. A place that no sensor observed is left out; one without a pose is kept.

    refusal: end of the sentence that says why, in the error. Raises Any2AnyError when no place has an embedding.
    """
    observed = places.observed()
    if not observed.any():
        raise Any2AnyError(
            f"Cannot make map '{name}'",
            f"none of its {len(places)} frames has anything that was encoded "
            f"({', '.join(encoders) or 'nothing'}){refusal}",
            "Choose other modalities, or another drive",
        )
    records = {m: EncoderRecord.of(e) for m, e in encoders.items() if m in places.embeddings}
    places = places.take(observed)
    return ReferenceMap(places, records, name, identity=_identity(places, records))


def _identity(places: ObservationSet, records: Mapping[str, EncoderRecord]) -> str:
    """Return a digest of the places and of their encoders."""
    digest = hashlib.sha256(repr(sorted((m, r.fingerprint) for m, r in records.items())).encode())
    arrays: list[Any] = [places.poses, places.stamps_ns, *(places.embeddings[m] for m in places.modalities)]
    for array in arrays:
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]
