"""Reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from any2any_ros.arrays import Flags, Float64, Floats
from any2any_ros.fusion._pairs import PAIRS, REFERENCES, unknown_probability

OFFSET = 60.0  # the constant of the paper


@dataclass(frozen=True)
class ReciprocalRank:
    """The sum over the pairs of 1 / (60 + rank of the reference). An unobserved pair adds 0. Nothing is fitted."""

    kind: ClassVar[str] = "fusion"
    plug: ClassVar[str] = "reciprocal_rank"

    @classmethod
    def fit(cls, similarity: Floats, positive: Flags) -> ReciprocalRank:
        return cls()

    def score(self, similarity: Floats) -> Float64:
        s = np.asarray(similarity, dtype=np.float64)
        observed = ~np.isnan(s)
        order = np.argsort(np.where(observed, -s, np.inf), axis=REFERENCES, kind="stable")
        rank = np.empty_like(order)
        ranks = np.arange(1, s.shape[REFERENCES] + 1)[:, None, None]
        np.put_along_axis(rank, order, np.broadcast_to(ranks, s.shape), axis=REFERENCES)
        total = np.where(observed, 1.0 / (OFFSET + rank), 0.0).sum(axis=PAIRS)
        return np.where(observed.any(axis=PAIRS), total, np.nan)

    pair_probability = staticmethod(unknown_probability)
