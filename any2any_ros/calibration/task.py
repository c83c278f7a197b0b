"""Queries whose right references are known: what a map is calibrated with, and what it is judged by."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros.arrays import Flags, Rows
from any2any_ros.config import PlaceConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import ObservationSet

EVERY: Flags = np.empty((0, 0), dtype=bool)
ONE_FOLD: Rows = np.empty(0, dtype=np.intp)


@dataclass(frozen=True, eq=False)
class Task:
    """Q queries and the R references of a map.

    positive (Q, R): the right references. allowed (Q, R): which references may answer; all, unless the queries come
    from the map's own drive. hidden (Q, R): what the map would lack if it lacked the place of a query; the right
    references, unless said otherwise. folds (Q,): queries of one number are neighbours, and are judged together by what
    was fitted on the others; one fold, unless said otherwise. same_place: metres within which two references are one
    place.

    Raises Any2AnyError when the shapes do not fit together.
    """

    queries: ObservationSet
    positive: Flags
    allowed: Flags = field(default_factory=lambda: EVERY)
    hidden: Flags = field(default_factory=lambda: EVERY)
    folds: Rows = field(default_factory=lambda: ONE_FOLD)
    same_place: float = PlaceConfig.hit_radius

    def __post_init__(self) -> None:
        allowed = np.ones_like(self.positive) if self.allowed is EVERY else self.allowed
        folds = np.zeros(len(self.queries), dtype=np.intp) if self.folds is ONE_FOLD else self.folds
        positive = self.positive & allowed if self.positive.shape == allowed.shape else self.positive
        hidden = positive if self.hidden is EVERY else self.hidden
        for name, value in {"allowed": allowed, "folds": folds, "positive": positive, "hidden": hidden}.items():
            object.__setattr__(self, name, value)
        shapes = {"positive": positive.shape, "allowed": allowed.shape, "hidden": hidden.shape}
        if positive.ndim != 2 or {*shapes.values()} != {(len(self.queries), positive.shape[1])}:
            raise _does_not_fit(f"there are {len(self.queries)} queries, and the shapes are {shapes}")
        if folds.shape != (len(self.queries),):
            raise _does_not_fit(f"there are {len(self.queries)} queries, and the folds have shape {folds.shape}")

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def answerable(self) -> Flags:
        """Return (Q,): which queries have a right reference that may answer."""
        return np.asarray(self.positive.any(axis=1))

    @property
    def unmapped(self) -> Flags:
        """Return (Q, R): which references may answer when the map lacks the place of the query."""
        return self.allowed & ~(self.hidden | self.positive)

    def take(self, index: ArrayLike) -> Task:
        """Return the task of some of the queries: integers, or flags (Q,)."""
        rows = np.asarray(index)
        return replace(
            self,
            queries=self.queries.take(rows),
            positive=self.positive[rows],
            allowed=self.allowed[rows],
            hidden=self.hidden[rows],
            folds=self.folds[rows],
        )


@dataclass(frozen=True, eq=False)
class Trial:
    """The places of a map, the task that calibrates it, and the task that tests it. The tasks share no query."""

    reference: ObservationSet
    calibration: Task
    test: Task


def _does_not_fit(why: str) -> Any2AnyError:
    return Any2AnyError("The task does not fit together", why, "Give one row a query, and one column a reference")
