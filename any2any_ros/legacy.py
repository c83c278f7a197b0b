"""Translates files that were written before December 2026. Their fitted state named a class, not a kind and a plug.

The tables are complete. Newer files do not need them, and a name that is not in them is refused.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from any2any_ros.errors import Any2AnyError

FORMAT = 1
CLASSES = {
    "methods.any2any:Any2Any": ("fusion", "any2any"),
    "methods.mixture:Mixture": ("fusion", "mixture"),
    "methods.fusion:RawMean": ("fusion", "raw_mean"),
    "methods.fusion:MinMax": ("fusion", "min_max"),
    "methods.fusion:ZScore": ("fusion", "z_score"),
    "methods.fusion:ReciprocalRank": ("fusion", "reciprocal_rank"),
    "methods.fusion:LikelihoodRatio": ("fusion", "likelihood_ratio"),
    "methods.fusion:BestAvailable": ("fusion", "best_available"),
    "methods.confidence:Confidence": ("confidence", "isotonic"),
    "methods.drift:Difference": ("drift", "difference"),
    "methods.calmrl:CalMRL": ("imputer", "calmrl"),
    "methods.csa:CSA": ("alignment", "csa"),
    "methods.cox:COX": ("learner", "cox"),
    "methods.emma:EMMA": ("heads", "emma"),
    "methods.head:Head": ("alignment", "head"),
    "retrieval.geometry:OverlapEvidence": ("evidence", "overlap"),
    "retrieval.object_memory:MemoryState": ("objects", "memory"),
    "retrieval.objects:Objects": ("objects", "views"),
    "retrieval.similarity:SameSpace": ("alignment", "same_space"),
}
OLD_NAMES = {new: f"any2any_ros.{old}" for old, new in CLASSES.items()}
# Renamed members, by kind and plug of the state: old name -> new name.
FIELDS = {("confidence", "isotonic"): {"lost": "unmapped"}}


def kind_and_plug(name: str) -> tuple[str, str]:
    """Return the kind and the plug of a class that an old file names. Raises Any2AnyError for an unknown class."""
    if name not in CLASSES:
        raise Any2AnyError("Cannot read the fitted state", f"its class '{name}' is unknown", "Fit it again")
    return CLASSES[name]


def renamed(kind: str, plug: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of an old file under today's names. No array was renamed."""
    new_names = FIELDS.get((kind, plug), {})
    return {new_names.get(name, name): value for name, value in values.items()}


def class_name(state: Any) -> str:
    """Return the class of a state as old maps wrote it into the key of their shards. Raises TypeError if newer."""
    known = (getattr(type(state), "kind", ""), getattr(type(state), "plug", ""))
    if known not in OLD_NAMES:
        raise TypeError(f"{type(state).__name__} is newer than these maps")
    return OLD_NAMES[known]


# --- calibrations of format 3, and of format 4, which added an imputer ---------------------------------------------

CALIBRATION_FORMATS = (3, 4)
CALIBRATION_FILES = {"drift-": "usual-", "refiner-evidence": "overlap", "refiner-confidence": "checked_confidence"}
SUMMARY = {"checked_recall@1": "refined_recall@1"}


def calibration_header(header: dict[str, Any], home: Path) -> dict[str, Any]:
    """Return the header of an old calibration with today's keys. home: its folder."""
    summary = header.get("check")
    return header | {
        "confidence": (home / "confidence.npz").exists(),
        "drift": header["usual"],
        "refiner": None if summary is None else {SUMMARY.get(key, key): value for key, value in summary.items()},
        "pairs": header.get("pairs", []),
        "imputer": header.get("imputer", "none"),
    }
