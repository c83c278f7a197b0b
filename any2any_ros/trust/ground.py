"""Where the places of a map are on the ground, and which of them are near a point. Places may be added."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np

from any2any_ros.arrays import Flags, Float64, Rows

SAMPLE = 1000  # places whose nearest neighbour is looked up for the spacing


class Ground:
    """positions (R, 2): of the places, in metres, NaN where unknown. known (R,): where they are known.

    Added places get a search tree of their own. Trees are merged as the digits of a binary counter are: a place moves
    into a larger tree log2(R) times at most. The tree of a million places takes half a second to build, once.
    """

    positions: Float64
    known: Flags

    def __init__(self, positions: Float64) -> None:
        self.positions, self.known = np.empty((0, 2)), np.empty(0, dtype=bool)
        self._trees: list[tuple[Rows, Any]] = []  # the known rows in a tree, and the tree; the largest first
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
            from scipy.spatial import cKDTree  # slow to import, and only the Bayes filter needs it

            self._trees.append((rows, cKDTree(self.positions[rows])))

    @property
    def spacing(self) -> float:
        """The median distance of a place from its nearest neighbour, in metres; 0 for fewer than two places."""
        tree = self._trees[0][1] if self._trees else None  # the largest one, with at least half of the places
        if tree is None or tree.n < 2:
            return 0.0
        some = tree.data[:: -(-tree.n // SAMPLE)]
        return float(np.median(tree.query(some, k=2)[0][:, 1]))

    def distance(self, rows: Rows, others: Rows | np.intp) -> Float64:
        """Return the distance (K,) of places (K,) from other places (K,), or from one; metres, NaN where unknown."""
        return np.asarray(np.linalg.norm(self.positions[rows] - self.positions[others], axis=1))

    def counts(self, points: Float64, radius: float) -> Rows:
        """Return how many places lie within `radius` metres of each of the points (P, 2)."""
        counts = np.zeros(len(points), dtype=np.intp)
        for _, tree in self._trees:
            counts += tree.query_ball_point(points, radius, return_length=True)
        return counts

    def within(self, points: Float64, radius: float) -> tuple[Rows, Rows]:
        """Return every pair of a point (P, 2) and a place within `radius` metres of it: index of the point (M,), row of
        the place (M,)."""
        origin, target = [np.empty(0, dtype=np.intp)], [np.empty(0, dtype=np.intp)]
        for rows, tree in self._trees:
            near: list[list[int]] = tree.query_ball_point(points, radius)
            origin.append(np.repeat(np.arange(len(points)), [len(places) for places in near]))
            target.append(rows[np.fromiter(chain.from_iterable(near), dtype=np.intp)])
        return np.concatenate(origin), np.concatenate(target)
