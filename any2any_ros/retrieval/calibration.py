"""Calibration: what a map needs to answer well, fitted on other drives (calibration/fitting.py), as it lies on disk.

MAP/calibration/calibration.json   format, the encoders it belongs to, the table of all fusions compared
MAP/calibration/fusion.*           the chosen fusion
MAP/calibration/confidence.*       how far its answers can be trusted
MAP/calibration/drift-<n>.*        how each sensor usually differs from the map
MAP/calibration/imputer.*          the imputer, where there is one
MAP/calibration/refiner-*.*        what the registration of scans is worth, where that was fitted
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from any2any_ros import imputers, legacy, storage
from any2any_ros.config import PlaceConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion import FUSIONS
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.geometry.refiner import NO_REFINER, FittedRefiner, OverlapEvidence, Refiner
from any2any_ros.imputers.none import NO_IMPUTER
from any2any_ros.protocols import Alignment, Fusion, Imputer
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.similarity import Pair, one_space, same_modality
from any2any_ros.trust.confidence import Confidence
from any2any_ros.trust.drift import Difference

FORMAT = 5
FOLDER, HEADER = "calibration", "calibration.json"
REMEDY = "Calibrate again: any2any calibrate MAP DRIVE"


@dataclass(frozen=True, eq=False)
class Calibration:
    """How a map compares and fuses, and how far to trust the result.

    encoders: fingerprint by modality; the calibration fits no map of other encoders. same_place: metres within which
    two references are one place. table: recall@1 and recall@5 of every fusion compared, by availability pattern, on
    held-out calibration places. drift: how each sensor usually differs from the map. refiner: what the registration of
    scans is worth. pairs: (query, reference) modalities that are compared in one space; none: those that the map says.
    alignments: what makes pairs comparable that share no space, by pair; they take the place of `pairs`.
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

    def check(self, reference: ReferenceMap) -> None:
        """Raise Any2AnyError when it was fitted for other encoders than the map's."""
        if reference.fingerprints != self.encoders:
            raise Any2AnyError(
                f"The calibration does not fit map '{reference.name}'",
                f"it was made for {self.encoders}, the map has {reference.fingerprints}",
                REMEDY,
            )

    def alignments_of(self, reference: ReferenceMap) -> dict[Pair, Alignment]:
        """Return what makes each pair of modalities of this map comparable."""
        pairs = one_space(self.pairs or reference.pairs) if self.alignments is None else self.alignments
        return {**pairs, **same_modality(self.imputer.adds)}

    def refiner_of(self, refiner: Refiner) -> Refiner:
        """Return the refiner with what was fitted; one that does nothing, where the calibration never fitted it."""
        if self.confidence is None:
            return refiner
        return NO_REFINER if self.refiner is None else self.refiner.of(refiner, self.confidence.temperature)


def uncalibrated(
    reference: ReferenceMap, same_place: float = PlaceConfig.hit_radius, pairs: tuple[Pair, ...] = ()
) -> Calibration:
    """Return what works without calibration: the mean of raw similarities, no probability, nothing accepted."""
    return Calibration(RawMean(), None, reference.fingerprints, same_place, pairs=pairs)


def save(calibration: Calibration, folder: Path) -> None:
    """Write to folder/calibration; the old one stands until the new one is whole."""
    with storage.replacing(folder / FOLDER) as home:
        storage.save(calibration.fusion, home / "fusion")
        if calibration.confidence is not None:
            storage.save(calibration.confidence, home / "confidence")
        imputers.save(calibration.imputer, home / "imputer")
        for i, difference in enumerate(calibration.drift.values()):
            storage.save(difference, home / f"drift-{i}")
        if calibration.refiner is not None:
            storage.save(calibration.refiner.evidence, home / "refiner-evidence")
            storage.save(calibration.refiner.confidence, home / "refiner-confidence")
        storage.write_json(home / HEADER, _header(calibration))


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
    """Read folder/calibration; None when there is none; raise Any2AnyError when it is damaged."""
    home = storage.standing(folder / FOLDER)
    if home is None:
        return None
    try:
        header = json.loads((home / HEADER).read_text())
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
            {m: storage.load(home / _name(header, "drift-", i), Difference) for i, m in enumerate(header["drift"])},
            _load_refiner(home, header),
            tuple((q, r) for q, r in header["pairs"]),
            imputers.load(header["imputer"], home / "imputer"),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Any2AnyError(f"Cannot read the calibration in {folder}", str(error), REMEDY) from error


def _load_refiner(home: Path, header: dict[str, Any]) -> FittedRefiner | None:
    if header["refiner"] is None:
        return None
    evidence = storage.load(home / _name(header, "refiner-evidence"), OverlapEvidence)
    return FittedRefiner(
        evidence, storage.load(home / _name(header, "refiner-confidence"), Confidence), header["refiner"]
    )


def _name(header: dict[str, Any], stem: str, number: int | str = "") -> str:
    """Return a file's name in the format of the header."""
    return f"{stem if header['format'] == FORMAT else legacy.CALIBRATION_FILES[stem]}{number}"
