"""Where the places of a map are on the ground, and which of them are near a point; places may be added."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np

from any2any_ros.arrays import Float64, Rows

SAMPLE = 1000  # places whose nearest neighbour tells how densely the map is set


class Ground:
    """positions (R, 2) in metres, NaN where unknown; known (R,) bool.

    Places that are added get a tree of their own, and trees are put together as a binary counter counts: a map of a
    million takes half a second to be laid out, once.
    """

    def __init__(self, positions: Float64) -> None:
        self.positions, self.known = np.empty((0, 2)), np.empty(0, dtype=bool)
        self._trees: list[tuple[Rows, Any]] = []  # the known rows in each, and their tree; the largest first
        self.add(positions)

    def __len__(self) -> int:
        return len(self.positions)

    def add(self, positions: Float64) -> None:
        """Append places (N, 2)."""
        first, self.positions = len(self), np.concatenate([self.positions, positions])
        self.known = np.concatenate([self.known, np.isfinite(positions).all(axis=1)])
        rows = first + np.flatnonzero(self.known[first:])
        while self._trees and len(rows) >= len(self._trees[-1][0]):
            rows = np.concatenate([self._trees.pop()[0], rows])
        if len(rows):
            from scipy.spatial import cKDTree  # only where somebody asks who is near

            self._trees.append((rows, cKDTree(self.positions[rows])))

    @property
    def spacing(self) -> float:
        """Return the median distance of a place from the nearest other, in metres; 0 for fewer than two."""
        tree = self._trees[0][1] if self._trees else None  # it has at least half of them
        if tree is None or tree.n < 2:
            return 0.0
        some = tree.data[:: -(-tree.n // SAMPLE)]
        return float(np.median(tree.query(some, k=2)[0][:, 1]))

    def counts(self, points: Float64, radius: float) -> Rows:
        """Return how many places lie within `radius` metres of each of the points (P, 2)."""
        counts = np.zeros(len(points), dtype=np.intp)
        for _, tree in self._trees:
            counts += tree.query_ball_point(points, radius, return_length=True)
        return counts

    def within(self, points: Float64, radius: float) -> tuple[Rows, Rows]:
        """Return every pair of a point (P, 2) and a place within `radius` metres of it: index and row, (M,) each."""
        origin, target = [np.empty(0, dtype=np.intp)], [np.empty(0, dtype=np.intp)]
        for rows, tree in self._trees:
            found: list[list[int]] = tree.query_ball_point(points, radius)
            origin.append(np.repeat(np.arange(len(points)), [len(f) for f in found]))
            target.append(rows[np.fromiter(chain.from_iterable(found), dtype=np.intp)])
        return np.concatenate(origin), np.concatenate(target)
