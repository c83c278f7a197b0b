"""What files written before December 2026 say otherwise: fitted state named a class instead of a kind and a plug.

The tables are closed: nothing written since needs them, and a name that is not in them is refused.
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
# Members that were renamed since then: kind and plug of the state, then old and new name.
FIELDS = {("confidence", "isotonic"): {"lost": "unmapped"}}


def kind_and_plug(name: str) -> tuple[str, str]:
    """Return the kind and the plug of a class that an old file names; raise Any2AnyError when it is none of ours."""
    if name not in CLASSES:
        raise Any2AnyError("Cannot read the fitted state", f"'{name}' is not ours", "Fit it again")
    return CLASSES[name]


def renamed(kind: str, plug: str, values: dict[str, Any]) -> dict[str, Any]:
    """Return the members of a state that an old file holds, under today's names. No array was renamed."""
    new_names = FIELDS.get((kind, plug), {})
    return {new_names.get(name, name): value for name, value in values.items()}


def spelling(state: Any) -> str:
    """Return how old maps wrote the class of a state into the key of their shards; raise TypeError for newer ones."""
    known = (getattr(type(state), "kind", ""), getattr(type(state), "plug", ""))
    if known not in OLD_NAMES:
        raise TypeError(f"{type(state).__name__} is newer than the old keys")
    return OLD_NAMES[known]


# --- calibrations of format 3, and of format 4, which has an imputer ---------------------------------------------

CALIBRATION_FORMATS = (3, 4)
CALIBRATION_FILES = {"drift-": "usual-", "refiner-evidence": "overlap", "refiner-confidence": "checked_confidence"}
SUMMARY = {"checked_recall@1": "refined_recall@1"}


def calibration_header(header: dict[str, Any], home: Path) -> dict[str, Any]:
    """Return the header of an old calibration in the folder `home` with today's keys."""
    summary = header.get("check")
    return header | {
        "confidence": (home / "confidence.json").exists(),
        "drift": header["usual"],
        "refiner": None if summary is None else {SUMMARY.get(key, key): value for key, value in summary.items()},
        "pairs": header.get("pairs", []),
        "imputer": header.get("imputer", "none"),
    }
