"""The imputer that adds nothing: observations are compared by what their sensors observed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from any2any_ros.observation import ObservationSet


@dataclass(frozen=True)
class NoImputer:
    """An imputer (protocols.py) without fitted state."""

    kind: ClassVar[str] = "imputer"
    plug: ClassVar[str] = "none"
    adds: ClassVar[tuple[str, ...]] = ()
    dimensions: ClassVar[dict[str, int]] = {}

    def extend(self, observations: ObservationSet) -> ObservationSet:
        """Return the observations as they are."""
        return observations

    def training_queries(self, queries: ObservationSet, seed: int) -> ObservationSet:
        """Return the queries as they are."""
        return queries


NO_IMPUTER = NoImputer()
