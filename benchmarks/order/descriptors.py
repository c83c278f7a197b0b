"""What a descriptor is here: a name, and how similar it finds each query to each reference."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from real_sets.real_set import RealSet

from any2any_ros.arrays import Array, Flags, unit

Samples = Any  # a sequence, of one sensor
Scores = Callable[[Samples, Samples], Array]  # queries (Q), references (R) -> similarities (Q, R)


@dataclass(frozen=True, eq=False)
class Descriptor:
    """A way to compare places without weights. what: in one line, for the page."""

    name: str
    what: str
    scores: Scores

    def hits(self, real: RealSet, queries: Samples, references: Samples) -> Flags:
        """Return (Q,): whether the most similar reference that is allowed is right."""
        best = np.where(real.allowed, self.scores(queries, references), -np.inf).argmax(axis=1)
        return np.asarray(real.right[np.arange(len(best)), best])


def cosine(describe: Callable[[Any], Array]) -> Scores:
    """Return the cosine of the vectors (D,) of two samples, as a `Retriever` compares them."""

    def vectors(samples: Samples) -> Array:
        return np.asarray(unit(np.array([describe(sample) for sample in samples], dtype=np.float32)))

    return lambda queries, references: np.asarray(vectors(queries) @ vectors(references).T)
