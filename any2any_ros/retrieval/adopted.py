"""Adopted sensors: they query a map that was made without them (calibration/adoption.py teaches them).

MAP/adopted/<modality>/adopted.json   the sensor's encoder and a report of the adoption; written last
                       head-<n>.npz   one head for each of the map's modalities
                       calibration/   the calibration of the adopted sensor alone (calibration.py)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from any2any_ros import declared, files, names, reading, storage
from any2any_ros.alignments import Head
from any2any_ros.errors import Any2AnyError, explained
from any2any_ros.retrieval import calibration as calibrations
from any2any_ros.retrieval.calibration import Calibration
from any2any_ros.retrieval.map_folder import ADOPTED, adopted_homes
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.retrieval.sensor_topic import SensorTopic

FORMAT, HEADER = 1, "adopted.json"
REMEDY = "Adopt it again: any2any adopt MAP DRIVE"


@dataclass(frozen=True, eq=False)
class Adopted:
    """An adopted sensor.

    encoder: the sensor's. heads: by modality of the map; each maps the sensor's vectors into the space of that
    modality. calibration: of the sensor's own rankings; it fits only the encoders of the map and of the sensor that it
    was made with. report: figures of the adoption. topic: that the sensor was recorded on.
    """

    modality: str
    encoder: EncoderRecord
    heads: Mapping[str, Head]
    calibration: Calibration
    report: Mapping[str, Any] = field(default_factory=dict)
    topic: SensorTopic | None = None

    def __post_init__(self) -> None:
        for modality in (self.modality, *self.heads):
            names.modality(modality)

    def retriever(self, reference: ReferenceMap) -> Retriever:
        """Return a retriever for queries of this sensor alone. Raises Any2AnyError when the map has other encoders."""
        expected = fingerprints(reference, self.modality, self.encoder)
        if self.calibration.encoders != expected:
            raise Any2AnyError(
                f"The adopted '{self.modality}' does not fit map '{reference.name}'",
                f"it was made for {self.calibration.encoders}, the map and the sensor have {expected}",
                REMEDY,
            )
        dimensions = {m: record.dimension for m, record in reference.encoders.items()}
        for known, head in self.heads.items():
            if (len(head.query_mean), len(head.reference_mean)) != (self.encoder.dimension, dimensions.get(known)):
                raise Any2AnyError(
                    f"The adopted '{self.modality}' does not fit map '{reference.name}'",
                    f"its head for '{known}' takes vectors of other dimensions than the encoders make",
                    REMEDY,
                )
        alignments = {(self.modality, known): head for known, head in self.heads.items()}
        calibration = replace(self.calibration, encoders=reference.fingerprints, alignments=alignments)
        return Retriever(reference.cached_in(f"{ADOPTED}/{self.modality}"), calibration)


def fingerprints(reference: ReferenceMap, modality: str, encoder: EncoderRecord) -> dict[str, str]:
    """Return the fingerprints that an adoption is valid for: of the map's encoders and of the sensor's own."""
    return reference.fingerprints | {modality: encoder.fingerprint}


def save(adopted: Adopted, folder: Path) -> None:
    """Write to folder/adopted/<modality>. An older adoption stays in place until the new one is complete."""
    with files.replacing(files.inside(folder, ADOPTED) / adopted.modality) as home:
        for i, head in enumerate(adopted.heads.values()):
            storage.save(head, home / f"head-{i}")
        calibrations.save(adopted.calibration, home)
        header = {
            "format": FORMAT, "encoder": vars(adopted.encoder), "heads": list(adopted.heads), "report": adopted.report
        }  # fmt: skip
        header |= {"topic": vars(adopted.topic)} if adopted.topic else {}
        files.write_json(home / HEADER, header)


def load(folder: Path) -> dict[str, Adopted]:
    """Read all adopted sensors of the map in `folder`, by modality. Raises Any2AnyError when one is damaged."""
    adopted = {p.name: files.read_whole(p, partial(_load_one, p.name)) for p in adopted_homes(folder)}
    return {modality: one for modality, one in adopted.items() if one is not None}


@dataclass(frozen=True)
class Header:
    """The content of adopted.json. heads: modalities of the map, in the order of the files."""

    format: int
    encoder: EncoderRecord
    heads: tuple[str, ...]
    report: dict[str, Any]
    topic: SensorTopic | None = None


def _load_one(modality: str, home: Path) -> Adopted:
    with explained(f"Cannot read the adopted sensor {home}", REMEDY):
        content = reading.json_object(home / HEADER)
        if content["format"] != FORMAT:
            raise ValueError(f"its format is {content['format']}, this program reads {FORMAT}")
        header = declared.build(Header, content)
        heads = {m: storage.load(home / f"head-{i}", Head) for i, m in enumerate(header.heads)}
        if not heads or len(heads) != len(list(home.glob("head-*.npz"))):
            raise ValueError(f"{HEADER} names {len(heads)} heads, which are not the files beside it")
        calibration = calibrations.load(home)
        if calibration is None:
            raise ValueError("its calibration is missing")
        return Adopted(modality, header.encoder, heads, calibration, header.report, header.topic)
