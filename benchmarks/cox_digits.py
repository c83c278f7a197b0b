"""The digits of benchmarks/cox.py, split into known, new and test ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from cox_rivals import CLASSES, Task

from any2any_ros.arrays import Float64, Rows
from any2any_ros.observation import ObservationSet
from any2any_ros.sim import mfeat

TEST, KNOWN, NEW = 500, 700, 800
TEST_SEED = 1234  # draws the test digits, the same for all seeds


def observed(views: Mapping[str, Float64], rows: Rows) -> ObservationSet:
    columns = {m: v[rows].astype(np.float32) for m, v in views.items()}
    return ObservationSet(columns, np.full((len(rows), 4, 4), np.nan), tuple(map(str, range(len(rows)))))


class Digits:
    """The digits, and their splits."""

    def __init__(self, folder: Path) -> None:
        self.views, self.classes = mfeat.read(folder)
        order = np.random.default_rng(TEST_SEED).permutation(len(self.classes))
        self.rest, self.test = order[:-TEST], order[-TEST:]

    def paired(self, share: float) -> Callable[[str, int], Task]:
        return lambda view, seed: self.task(view, share, seed)

    def task(self, view: str, share: float, seed: int, skew: float = 1.0) -> Task:
        """Return the task of one seed. skew: how many times as often the commonest new class comes as the rarest."""
        order = np.random.default_rng(seed).permutation(self.rest)
        new = order[KNOWN : KNOWN + NEW]
        if skew != 1:
            new = self._skewed(new, skew, seed)
        return self._task(view, share, order[:KNOWN], new, self.test)

    def choice(self, view: str, share: float, seed: int) -> Task:
        """Return a task without the test digits: 500 known, 600 new, 400 for validation."""
        order = np.random.default_rng((seed, 1)).permutation(self.rest)
        return self._task(view, share, order[:500], order[500:1100], order[1100:])

    def _task(self, view: str, share: float, known: Rows, new: Rows, test: Rows) -> Task:
        # A pair is a new digit that the known sensors have seen, too.
        paired = np.arange(round(share * len(new)))
        known = np.concatenate([known, new[paired]])
        others = {m: v for m, v in self.views.items() if m != view}
        pairs = np.stack([paired, len(known) - len(paired) + paired], axis=1)
        values = self.views[view]
        return Task(
            values[new], observed(others, known), self.classes[known], pairs, values[test], self.classes[new],
            self.classes[test],
        )  # fmt: skip

    def _skewed(self, rows: Rows, skew: float, seed: int) -> Rows:
        draw = np.random.default_rng((seed, 2))
        share = np.geomspace(1 / skew, 1, CLASSES)[draw.permutation(CLASSES)]
        return rows[draw.random(len(rows)) < share[self.classes[rows]]]
