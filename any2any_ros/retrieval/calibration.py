"""The calibration of a map: fusion, confidence and more, fitted on another drive (calibration/fitting.py). Its files:

MAP/calibration/calibration.json   format, the encoders it belongs to, the table of all fusions compared
MAP/calibration/fusion.npz         the chosen fusion
MAP/calibration/confidence.npz     turns scores into probabilities, place sets and accepted or not
MAP/calibration/drift-<n>.npz      how the vectors of each sensor usually differ from the map's
MAP/calibration/imputer.npz        the imputer, if there is one
MAP/calibration/refiner-*.npz      what an overlap of scans tells, if that was fitted
MAP/calibration/alignment-*.npz    what the alignment of bird's-eye images tells, if that was fitted
MAP/calibration/poses.npz          how far the poses of answers err, if that was fitted
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from any2any_ros import declared, files, imputers, legacy, names, reading, storage
from any2any_ros.alignments import Pair, compared
from any2any_ros.config import PlaceConfig
from any2any_ros.errors import Any2AnyError, explained
from any2any_ros.fusion import FUSIONS
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.geometry.refiner import NO_REFINER, FittedRefiner, OverlapEvidence, Refiner
from any2any_ros.imputers.none import NO_IMPUTER
from any2any_ros.localization.pose_errors import NO_POSE_ERRORS, PoseErrors
from any2any_ros.protocols import Alignment, Fusion, Imputer
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.calibration_header import FORMAT, Header
from any2any_ros.retrieval.image_alignment import ImageAlignment
from any2any_ros.retrieval.large.shard_cache import Prepare, do_nothing
from any2any_ros.retrieval.map_folder import HEADER as HEADER_OF_MAP
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.similarity import one_space, same_modality
from any2any_ros.trust.confidence import Confidence
from any2any_ros.trust.confidence_check import check_features
from any2any_ros.trust.drift import Difference

FOLDER, HEADER, POSES = "calibration", "calibration.json", "poses"
OPTIONAL = ("map", "alignment", "poses")  # keys of the header that are left out where there is nothing to say
REMEDY = "Calibrate again: any2any calibrate MAP DRIVE"


@dataclass(frozen=True, eq=False)
class Calibration:
    """How the vectors of a map are compared and fused, and how confident an answer may be.

    confidence: None before calibration. encoders: fingerprint by modality; the calibration is valid for no map with
    other encoders. same_place: metres within which two references are one place. table: recall@1 and recall@5 of every
    fusion compared, by availability pattern, on held-out calibration places. drift: by modality, how the query's
    vectors usually differ from the map's. refiner: what an overlap of scans tells; None where that was not fitted.
    alignment: the same of bird's-eye images. poses: how far the poses of answers err.
    pairs: (query, reference) modalities that are compared in one space; empty: `ReferenceMap.pairs`. alignments: by
    pair, for modalities that share no space; they replace `pairs`. map: the identity of the map; empty: unknown.
    wanted: by availability pattern, how many calibration queries are wanted at least, where there were fewer; it is
    not stored.
    """

    fusion: Fusion
    confidence: Confidence | None
    encoders: Mapping[str, str]
    same_place: float = PlaceConfig.hit_radius
    table: list[dict[str, Any]] = field(default_factory=list)
    drift: dict[str, Difference] = field(default_factory=dict)
    refiner: FittedRefiner | None = None
    pairs: tuple[Pair, ...] = ()
    imputer: Imputer = NO_IMPUTER
    alignments: Mapping[Pair, Alignment] | None = None
    map: str = ""
    alignment: FittedRefiner | None = None
    poses: PoseErrors = NO_POSE_ERRORS
    wanted: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for modality in (*self.encoders, *self.drift, *(m for pair in self.pairs for m in pair)):
            names.modality(modality)

    def validate(self, reference: ReferenceMap) -> None:
        """Raise Any2AnyError when the calibration was fitted for another map, or for other encoders than the map's."""
        if self.map and reference.identity and self.map != reference.identity:
            why = "it was made for the places of another map"
            raise Any2AnyError(f"The calibration does not fit map '{reference.name}'", why, REMEDY)
        if reference.fingerprints != self.encoders:
            raise Any2AnyError(
                f"The calibration does not fit map '{reference.name}'",
                f"it was made for {self.encoders}, the map has {reference.fingerprints}",
                REMEDY,
            )
        with explained(f"The calibration does not fit map '{reference.name}'", REMEDY):
            self._check_sizes(reference)

    def _check_sizes(self, reference: ReferenceMap) -> None:
        """Raise ValueError when a part was fitted for other dimensions, or other modalities, than the map's."""
        dimensions = {m: record.dimension for m, record in reference.encoders.items()}
        of_drift = {m: len(difference.mean) for m, difference in self.drift.items()}
        for part, fitted in (("drift test", of_drift), ("imputer", self.imputer.dimensions)):
            if wrong := [m for m, dimension in fitted.items() if dimensions.get(m) != dimension]:
                raise ValueError(f"its {part} takes {fitted[wrong[0]]} dimensions of '{wrong[0]}'")
        if unknown := [r for _, r in self.pairs if r not in dimensions]:
            raise ValueError(f"it compares with '{unknown[0]}', which the map does not have")
        sensor = None if self.alignment is None else str(self.alignment.summary.get("sensor"))
        if sensor is not None and sensor not in reference.places.birds_eye:
            raise ValueError(f"it aligns images of '{sensor}', of which the map has none")
        columns = {*reference.places.embeddings, *self.imputer.adds}
        _, *sides = compared(self.alignments_of(reference), columns)
        shape, fitted_shape = tuple(map(len, sides)), getattr(self.fusion, "shape", None)
        if fitted_shape is not None and tuple(fitted_shape) != shape:
            raise ValueError(f"its fusion was fitted for {fitted_shape} pairs of modalities, not {shape}")

    def alignments_of(self, reference: ReferenceMap) -> dict[Pair, Alignment]:
        """Return the alignment of each pair of modalities of this map."""
        pairs = one_space(self.pairs or reference.pairs) if self.alignments is None else self.alignments
        return {**pairs, **same_modality(self.imputer.adds)}

    def refiner_of(self, refiner: Refiner) -> Refiner:
        """Return the refiner with what was fitted for it; NO_REFINER where a calibration has not fitted it."""
        if self.confidence is None:
            return refiner
        return NO_REFINER if self.refiner is None else self.refiner.of(refiner, self.confidence.temperature)

    def image_alignment_of(self, reference: ReferenceMap) -> ImageAlignment:
        """Return what aligns bird's-eye images with those of this map. A calibration that has not fitted it uses
        none."""
        sensors = set(reference.places.birds_eye)
        if self.alignment is not None:
            sensors &= {self.alignment.summary.get("sensor")}
        cells = {m: reference.encoders[m].cell for m in sensors}
        parts = {m: reference.encoders[m].parts for m in sensors}
        if self.confidence is None:
            return ImageAlignment(reference.places, cells, same_place=self.same_place, parts=parts)
        if self.alignment is None:
            return ImageAlignment(reference.places, {})
        rule = self.alignment.of(NO_REFINER, self.confidence.temperature)
        return ImageAlignment(reference.places, cells, rule, self.same_place, rule.candidates, parts=parts)


def uncalibrated(
    reference: ReferenceMap, same_place: float = PlaceConfig.hit_radius, pairs: tuple[Pair, ...] = ()
) -> Calibration:
    """Return a calibration without fitting: the mean of raw similarities, no probability, nothing accepted."""
    return Calibration(RawMean(), None, reference.fingerprints, same_place, pairs=pairs, map=reference.identity)


def save(calibration: Calibration, folder: Path) -> None:
    """Write to folder/calibration. The old calibration stays in place until the new one is complete."""
    with files.replacing(folder / FOLDER) as home:
        storage.save(calibration.fusion, home / "fusion")
        if calibration.confidence is not None:
            storage.save(calibration.confidence, home / "confidence")
        imputers.save(calibration.imputer, home / "imputer")
        for i, difference in enumerate(calibration.drift.values()):
            storage.save(difference, home / f"drift-{i}")
        for stem, fitted in (("refiner", calibration.refiner), ("alignment", calibration.alignment)):
            if fitted is not None:
                storage.save(fitted.evidence, home / f"{stem}-evidence")
                storage.save(fitted.confidence, home / f"{stem}-confidence")
        if calibration.poses is not NO_POSE_ERRORS:
            storage.save(calibration.poses, home / POSES)
        header = vars(_header(calibration))
        files.write_json(home / HEADER, {k: v for k, v in header.items() if k not in OPTIONAL or v})


def _header(calibration: Calibration) -> Header:
    header = Header(
        FORMAT,
        calibration.fusion.plug,
        calibration.confidence is not None,
        calibration.imputer.plug,
        dict(calibration.encoders),
        calibration.same_place,
        tuple(calibration.drift),
        None if calibration.refiner is None else dict(calibration.refiner.summary),
        calibration.pairs,
        calibration.table,
        calibration.map,
        None if calibration.alignment is None else dict(calibration.alignment.summary),
        calibration.poses is not NO_POSE_ERRORS,
    )
    declared.check(header)
    return header


def made_for(folder: Path) -> str:
    """Return the identity of the map that folder/calibration was made for; empty when that is unknown."""
    try:
        return str(reading.json_object(folder / FOLDER / HEADER).get("map", ""))
    except (OSError, ValueError, Any2AnyError):
        return ""


def load(folder: Path) -> Calibration | None:
    """Read folder/calibration; None when there is none. Raises Any2AnyError when it is damaged."""
    with explained(f"Cannot read the calibration in {folder}", REMEDY):
        return files.read_whole(folder / FOLDER, _read)


def _read(home: Path) -> Calibration:
    header = _read_header(home)
    fusion = storage.load(home / "fusion", FUSIONS)
    if fusion.plug != header.fusion:
        raise ValueError(f"its fusion is '{fusion.plug}', not '{header.fusion}'")
    return Calibration(
        fusion,
        _load_confidence(home / "confidence", 0) if header.confidence else None,
        header.encoders,
        header.same_place,
        header.table,
        {m: storage.load(home / header.file("drift-", i), Difference) for i, m in enumerate(header.drift)},
        _load_refiner(home, "refiner", header, header.refiner),
        header.pairs,
        imputers.load(header.imputer, home / "imputer"),
        map=header.map,
        alignment=_load_refiner(home, "alignment", header, header.alignment),
        poses=storage.load(home / POSES, PoseErrors) if header.poses else NO_POSE_ERRORS,
    )


def load_with_map(
    folder: Path, same_place: float = PlaceConfig.hit_radius, prepare: Prepare = do_nothing
) -> tuple[ReferenceMap, Calibration]:
    """Return the map in `folder` and its calibration; without one, `uncalibrated`.

    same_place, prepare: as of `Retriever.open`. Raises Any2AnyError when the map is missing, when one of them is
    damaged, and when they do not fit together.
    """

    def read() -> tuple[ReferenceMap, Calibration]:
        reference = reference_map.load(folder, prepare)
        calibration = load(folder) or uncalibrated(reference, same_place)
        calibration.validate(reference)
        return reference, calibration

    return files.read_again(folder / HEADER_OF_MAP, read)  # another map may be saved between the two


def _read_header(home: Path) -> Header:
    """Read the header. Raises ValueError when the folder has a part that the header does not name."""
    content = reading.json_object(home / HEADER)
    if content["format"] in legacy.CALIBRATION_FORMATS:
        content = legacy.calibration_header(content, home)
    elif content["format"] != FORMAT:
        known = (*legacy.CALIBRATION_FORMATS, FORMAT)
        raise ValueError(f"its format is {content['format']}, this program reads {', '.join(map(str, known))}")
    header = declared.build(Header, content)
    optional = {
        "confidence": header.confidence,
        "imputer": header.imputer != NO_IMPUTER.plug,
        header.file("drift-", len(header.drift)): False,
        header.file("refiner-evidence"): header.refiner is not None,
        "alignment-evidence": header.alignment is not None,
        POSES: header.poses,
    }
    for name, expected in optional.items():
        if not expected and (home / f"{name}.npz").exists():
            raise ValueError(f"it has a file {name}.npz, which {HEADER} does not name")
    return header


def _load_confidence(path: Path, others: int) -> Confidence:
    """Load a confidence. others: its features beside the score and one for each sensor."""
    confidence = storage.load(path, Confidence)
    check_features(confidence, others)
    return confidence


def _load_refiner(home: Path, stem: str, header: Header, summary: dict[str, Any] | None) -> FittedRefiner | None:
    if summary is None:
        return None
    evidence = storage.load(home / header.file(f"{stem}-evidence"), OverlapEvidence)
    return FittedRefiner(evidence, _load_confidence(home / header.file(f"{stem}-confidence"), 1), summary)
