"""Fits the imputer of a map (imputers/), chosen by its plug."""

from __future__ import annotations

from collections.abc import Callable

from any2any_ros.errors import Any2AnyError
from any2any_ros.imputers.none import NO_IMPUTER
from any2any_ros.learning import calmrl
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Imputer

FITS: dict[str, Callable[[ObservationSet], Imputer]] = {"calmrl": calmrl.fit, "none": lambda places: NO_IMPUTER}


def fit(plug: str, places: ObservationSet) -> Imputer:
    """Fit the imputer `plug` on the places of a map, which may be incomplete.

    Raises Any2AnyError for a plug that is not in FITS, and for places that nothing can be learnt from.
    """
    if plug not in FITS:
        raise Any2AnyError(
            f"The imputer '{plug}' cannot be fitted", f"known are {', '.join(FITS)}", "Choose one of these"
        )
    return FITS[plug](places)
