"""The calibration of a map: fusion, confidence and more, fitted on another drive (calibration/fitting.py). Its files:

MAP/calibration/calibration.json   format, the encoders it belongs to, the table of all fusions compared
MAP/calibration/fusion.npz         the chosen fusion
MAP/calibration/confidence.npz     turns scores into probabilities, place sets and accepted or not
MAP/calibration/drift-<n>.npz      how the vectors of each sensor usually differ from the map's
MAP/calibration/imputer.npz        the imputer, if there is one
MAP/calibration/refiner-*.npz      what an overlap of scans tells, if that was fitted
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from any2any_ros import files, imputers, legacy, names, reading, storage
from any2any_ros.config import PlaceConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion import FUSIONS
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.geometry.refiner import NO_REFINER, FittedRefiner, OverlapEvidence, Refiner
from any2any_ros.imputers.none import NO_IMPUTER
from any2any_ros.protocols import Alignment, Fusion, Imputer
from any2any_ros.retrieval import reference_map
from any2any_ros.retrieval.large.shard_cache import Prepare, do_nothing
from any2any_ros.retrieval.map_folder import HEADER as HEADER_OF_MAP
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.similarity import Pair, one_space, same_modality
from any2any_ros.trust.confidence import Confidence
from any2any_ros.trust.drift import Difference

FORMAT = 5
FOLDER, HEADER = "calibration", "calibration.json"
REMEDY = "Calibrate again: any2any calibrate MAP DRIVE"


@dataclass(frozen=True, eq=False)
class Calibration:
    """How the vectors of a map are compared and fused, and how confident an answer may be.

    confidence: None before calibration. encoders: fingerprint by modality; the calibration is valid for no map with
    other encoders. same_place: metres within which two references are one place. table: recall@1 and recall@5 of every
    fusion compared, by availability pattern, on held-out calibration places. drift: by modality, how the query's
    vectors usually differ from the map's. refiner: what an overlap of scans tells; None where that was not fitted.
    pairs: (query, reference) modalities that are compared in one space; empty: `ReferenceMap.pairs`. alignments: by
    pair, for modalities that share no space; they replace `pairs`.
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

    def __post_init__(self) -> None:
        for modality in (*self.encoders, *self.drift, *(m for pair in self.pairs for m in pair)):
            names.modality(modality)

    def validate(self, reference: ReferenceMap) -> None:
        """Raise Any2AnyError when the calibration was fitted for other encoders than the map's."""
        if reference.fingerprints != self.encoders:
            raise Any2AnyError(
                f"The calibration does not fit map '{reference.name}'",
                f"it was made for {self.encoders}, the map has {reference.fingerprints}",
                REMEDY,
            )

    def alignments_of(self, reference: ReferenceMap) -> dict[Pair, Alignment]:
        """Return the alignment of each pair of modalities of this map."""
        pairs = one_space(self.pairs or reference.pairs) if self.alignments is None else self.alignments
        return {**pairs, **same_modality(self.imputer.adds)}

    def refiner_of(self, refiner: Refiner) -> Refiner:
        """Return the refiner with what was fitted for it; NO_REFINER where a calibration has not fitted it."""
        if self.confidence is None:
            return refiner
        return NO_REFINER if self.refiner is None else self.refiner.of(refiner, self.confidence.temperature)


def uncalibrated(
    reference: ReferenceMap, same_place: float = PlaceConfig.hit_radius, pairs: tuple[Pair, ...] = ()
) -> Calibration:
    """Return a calibration without fitting: the mean of raw similarities, no probability, nothing accepted."""
    return Calibration(RawMean(), None, reference.fingerprints, same_place, pairs=pairs)


def save(calibration: Calibration, folder: Path) -> None:
    """Write to folder/calibration. The old calibration stays in place until the new one is complete."""
    with files.replacing(folder / FOLDER) as home:
        storage.save(calibration.fusion, home / "fusion")
        if calibration.confidence is not None:
            storage.save(calibration.confidence, home / "confidence")
        imputers.save(calibration.imputer, home / "imputer")
        for i, difference in enumerate(calibration.drift.values()):
            storage.save(difference, home / f"drift-{i}")
        if calibration.refiner is not None:
            storage.save(calibration.refiner.evidence, home / "refiner-evidence")
            storage.save(calibration.refiner.confidence, home / "refiner-confidence")
        files.write_json(home / HEADER, _header(calibration))


def _header(calibration: Calibration) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "fusion": calibration.fusion.plug,
        "confidence": calibration.confidence is not None,
        "imputer": calibration.imputer.plug,
        "encoders": dict(calibration.encoders),
        "same_place": calibration.same_place,
        "drift": list(calibration.drift),
        "refiner": None if calibration.refiner is None else calibration.refiner.summary,
        "pairs": calibration.pairs,
        "table": calibration.table,
    }


def load(folder: Path) -> Calibration | None:
    """Read folder/calibration; None when there is none. Raises Any2AnyError when it is damaged."""
    try:
        return files.read_whole(folder / FOLDER, _read)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Any2AnyError(f"Cannot read the calibration in {folder}", str(error), REMEDY) from error


def _read(home: Path) -> Calibration:
    header = reading.json_value(home / HEADER)
    if header["format"] in legacy.CALIBRATION_FORMATS:
        header = legacy.calibration_header(header, home)
    elif header["format"] != FORMAT:
        known = (*legacy.CALIBRATION_FORMATS, FORMAT)
        raise ValueError(f"its format is {header['format']}, this program reads {', '.join(map(str, known))}")
    return Calibration(
        storage.load(home / "fusion", FUSIONS),
        storage.load(home / "confidence", Confidence) if header["confidence"] else None,
        header["encoders"],
        header["same_place"],
        header["table"],
        {m: storage.load(home / _file(header, "drift-", i), Difference) for i, m in enumerate(header["drift"])},
        _load_refiner(home, header),
        tuple((q, r) for q, r in header["pairs"]),
        imputers.load(header["imputer"], home / "imputer"),
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


def _load_refiner(home: Path, header: dict[str, Any]) -> FittedRefiner | None:
    if header["refiner"] is None:
        return None
    evidence = storage.load(home / _file(header, "refiner-evidence"), OverlapEvidence)
    confidence = storage.load(home / _file(header, "refiner-confidence"), Confidence)
    return FittedRefiner(evidence, confidence, header["refiner"])


def _file(header: dict[str, Any], stem: str, number: int | str = "") -> str:
    """Return the name of a file in the format that the header names."""
    return f"{stem if header['format'] == FORMAT else legacy.CALIBRATION_FILES[stem]}{number}"
