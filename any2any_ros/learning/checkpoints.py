"""A training loop's checkpoints: the validation score every few steps, the best state so far, and when to stop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class Checkpoint(Generic[T]):
    """Where a training stands.

    number: steps done. loss: mean since the last checkpoint. score: of the validation, NaN without one. best: the best
    state so far, and its score, highest.
    """

    number: int
    loss: float
    score: float
    best: T
    highest: float


class Schedule(Protocol):
    """The settings of a training that say when there is a checkpoint, and when training ends."""

    @property
    def steps(self) -> int:
        """At most so many steps."""

    @property
    def interval(self) -> int:
        """Steps from one checkpoint to the next."""

    @property
    def patience(self) -> int:
        """Checkpoints without a better score after which training ends."""


def checkpoints(
    losses: Iterable[float], schedule: Schedule, snapshot: Callable[[], T], validation: Callable[[T], float] | None
) -> Iterator[Checkpoint[T]]:
    """Train by taking `losses`, one a step, and yield a checkpoint every `interval` steps and after the last one.

    snapshot: returns a copy of what is trained. validation: the score of a snapshot, higher is better; without it, the
    newest snapshot is the best.
    """
    best, highest, since, recent = snapshot(), -np.inf, 0, list[float]()
    for number, loss in enumerate(losses, start=1):
        recent.append(loss)
        if number % schedule.interval and number < schedule.steps:
            continue
        now = snapshot()
        score = float("nan") if validation is None else float(validation(now))
        better = validation is None or score > highest
        best, highest, since = (now, score, 0) if better else (best, highest, since + 1)
        yield Checkpoint(number, float(np.mean(recent)), score, best, float(highest))
        recent = []
        if since >= schedule.patience:
            return
