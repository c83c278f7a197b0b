"""What the confidence looks at: the best references of one query, and one calibration query with its true answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from any2any_ros.arrays import Flags, Float64

SUREST = 30.0  # log odds; larger ones are cut to this


@dataclass(frozen=True, eq=False)
class Candidates:
    """The best references of one query. K of them, the first ones, are its matches.

    scores (S,): best first, and so many that the posterior of all other references is negligible. near (K, S): which
    candidates lie at the same place as each match. For each of the M modalities that are alive, NaN where a reference
    lacks it: alike (K, M), the similarity of each match; lead (K, M), that similarity minus the largest one at any
    other place. posed: False where others were registered with the robot's scan or image, and the first match was not,
    so that nobody knows how the robot stands there.
    """

    scores: Float64
    near: Flags
    alike: Float64 | None = None
    lead: Float64 | None = None
    posed: bool = True
    _features: dict[float, Float64] = field(default_factory=dict, init=False, repr=False)

    def log_odds(self, temperature: float) -> Float64:
        """Return the log odds (K,) of the posterior mass at the place of each match against that at all others."""
        tempered = temperature * self.scores
        here, elsewhere = (log_sum_exp(np.where(near, tempered, -np.inf)) for near in (self.near, ~self.near))
        return np.asarray(np.clip(here - elsewhere, -SUREST, SUREST))

    def log_posterior(self, temperature: float) -> Float64:
        """Return the log posterior (S,): the logarithm of softmax(temperature * score)."""
        tempered = temperature * self.scores
        return np.asarray(tempered - log_sum_exp(tempered))

    def features(self, temperature: float) -> Float64:
        """Return the features (K, 2, 1 + M) of each match: against other places, log odds and lead; by itself, score
        and similarity."""
        if temperature not in self._features:  # one answer needs them four times
            odds = self.log_odds(temperature)
            nothing = np.empty((len(odds), 0))
            compared = np.column_stack([odds, nothing if self.lead is None else self.lead])
            alone = np.column_stack([self.scores[: len(odds)], nothing if self.alike is None else self.alike])
            self._features[temperature] = np.stack([compared, alone], axis=1)
        return self._features[temperature]


@dataclass(frozen=True, eq=False)
class Event:
    """One calibration query: the pattern of modalities alive, its candidates, and which of them are right (S,).

    fold: events of one fold are judged by what was fitted on the other folds. mapped: False where the references at the
    query's place were hidden from the map, so that none is right. stretch: number of the stretch of the drive;
    the queries of one stretch are neighbours, and alike; None: this query has no neighbours.
    """

    pattern: str
    candidates: Candidates
    right: Flags
    fold: int = 0
    mapped: bool = True
    stretch: int | None = None

    def nonconformity(self, temperature: float) -> float:
        """Return the negative log posterior of the best right reference; +inf where no candidate is right."""
        posterior = self.candidates.log_posterior(temperature)
        return -float(posterior[self.right].max()) if self.right.any() else np.inf


def pattern_name(modalities: Sequence[str]) -> str:
    """Return the name of an availability pattern: its modalities sorted, joined by '+'."""
    return "+".join(sorted(modalities))


def log_sum_exp(x: Float64) -> Float64:
    """Return log(sum(exp(x))) along the last axis. SciPy's own takes ten times as long on rows this short."""
    highest = np.maximum(x.max(axis=-1, keepdims=True, initial=-np.inf), -1e300)  # finite also where all is -inf
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.exp(x - highest).sum(axis=-1)) + highest[..., 0])
