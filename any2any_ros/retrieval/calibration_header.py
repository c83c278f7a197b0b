"""What calibration.json says of a calibration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from any2any_ros import legacy
from any2any_ros.alignments import Pair
from any2any_ros.declared import NOT_NEGATIVE

FORMAT = 5


@dataclass(frozen=True)
class Header:
    """The content of calibration.json. fusion, imputer: names. refiner, alignment: summaries of what was fitted."""

    format: int
    fusion: str
    confidence: bool
    imputer: str
    encoders: dict[str, str]
    same_place: Annotated[float, NOT_NEGATIVE]
    drift: tuple[str, ...]
    refiner: dict[str, Any] | None
    pairs: tuple[Pair, ...]
    table: list[dict[str, Any]]
    map: str = ""
    alignment: dict[str, Any] | None = None
    poses: bool = False

    def __post_init__(self) -> None:
        if len({*self.drift}) < len(self.drift):
            raise ValueError("a modality has two drift tests")

    def file(self, stem: str, number: int | str = "") -> str:
        """Return the name of a file in the format of the header."""
        return f"{stem if self.format == FORMAT else legacy.CALIBRATION_FILES[stem]}{number}"
