"""A task: queries whose right references are known. Calibration and evaluation work on tasks."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros.arrays import Flags, Rows
from any2any_ros.config import PlaceConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import ObservationSet

ALL: Flags = np.empty((0, 0), dtype=bool)
POSITIVE: Flags = np.empty((0, 0), dtype=bool)
ONE_FOLD: Rows = np.empty(0, dtype=np.intp)


@dataclass(frozen=True, eq=False)
class Task:
    """Q queries and the R references of a map.

    positive (Q, R): the right references. allowed (Q, R): the references that may answer; all by default; not all where
    the queries come from the map's own drive. hidden (Q, R): the references that a map without the place of the query
    would not have; by default the right ones. folds (Q,): number of each query's fold; by default all are in one.
    Queries of one fold are neighbours, and are evaluated with what was fitted on the other folds. same_place: metres
    within which two references are one place.

    Raises Any2AnyError when the shapes do not fit together.
    """

    queries: ObservationSet
    positive: Flags
    allowed: Flags = field(default_factory=lambda: ALL)
    hidden: Flags = field(default_factory=lambda: POSITIVE)
    folds: Rows = field(default_factory=lambda: ONE_FOLD)
    same_place: float = PlaceConfig.hit_radius

    def __post_init__(self) -> None:
        allowed = np.ones_like(self.positive) if self.allowed is ALL else self.allowed
        folds = np.zeros(len(self.queries), dtype=np.intp) if self.folds is ONE_FOLD else self.folds
        positive = self.positive & allowed if self.positive.shape == allowed.shape else self.positive
        hidden = positive if self.hidden is POSITIVE else self.hidden
        for name, value in {"allowed": allowed, "folds": folds, "positive": positive, "hidden": hidden}.items():
            object.__setattr__(self, name, value)
        shapes = {"positive": positive.shape, "allowed": allowed.shape, "hidden": hidden.shape}
        if positive.ndim != 2 or {*shapes.values()} != {(len(self.queries), positive.shape[1])}:
            raise _does_not_fit(f"there are {len(self.queries)} queries, and the arrays have shapes {shapes}")
        if folds.shape != (len(self.queries),):
            raise _does_not_fit(f"there are {len(self.queries)} queries, and the folds have shape {folds.shape}")

    def __len__(self) -> int:
        return len(self.queries)

    @property
    def answerable(self) -> Flags:
        """Return (Q,): the queries that have a right reference."""
        return np.asarray(self.positive.any(axis=1))

    @property
    def stretches(self) -> Rows:
        """Return (Q,): number of each query's stretch. A stretch is a run of queries of one fold."""
        return np.cumsum(np.diff(self.folds, prepend=self.folds[:1]) != 0)

    @property
    def unmapped(self) -> Flags:
        """Return (Q, R): the references that may answer as if the map had no place at the query."""
        return self.allowed & ~(self.hidden | self.positive)

    def take(self, index: ArrayLike) -> Task:
        """Return the task of some of the queries. index: integers, or flags (Q,)."""
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
    remedy = "Give one row for each query, and one column for each reference"
    return Any2AnyError("The task does not fit together", why, remedy)
