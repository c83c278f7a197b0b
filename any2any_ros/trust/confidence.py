"""The numbers that a robot acts on: how likely an answer is right, whether it is accepted, and its place set.

**Posterior.** softmax(temperature * score) makes a posterior over references from the scores of any fusion. The mass at
the place of a match speaks for the match. But a posterior only compares the places of the map with each other: where
the robot is unmapped, it can still be sure of the best of them.

**Evidence.** Therefore the evidence for a match is the log odds of two things at once (evidence.py). Is the match
right, if its place is in the map? The features are what compares the match with other places: the posterior mass, and
by how much more alike each sensor finds it than any other place. Is its place in the map? The features are what the
match is by itself: its score, and how alike each sensor finds it. This is learnt from every calibration query twice:
with the whole map, and with the query's place hidden from the map.

**Probability.** An isotonic map turns the evidence, for a robot that is unmapped a share `unmapped` of the time, into
the share of such answers that were right.

**Accepted.** The evidence, for a robot that is unmapped half of the time, must reach a threshold (acceptance.py). At
this threshold the precision, and the share accepted while unmapped, are proven.

**Place set.** It is conformal among queries of about as much evidence, so that ambiguous queries get the large sets
(place_sets.py).

All of this is fitted (confidence_fitting.py) apart for every availability pattern. A pattern with too few calibration
queries borrows from all patterns with as many sensors, or else from all patterns. Nothing here assumes that the
posterior itself is true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np
from scipy.special import expit, logit

from any2any_ros.arrays import Float64
from any2any_ros.config import Settings, setting
from any2any_ros.declared import INFINITE, POSITIVE, SHARE
from any2any_ros.fusion.any2any import conformal_quantile
from any2any_ros.trust import evidence, place_sets
from any2any_ros.trust.candidates import Candidates as Candidates
from any2any_ros.trust.candidates import Event as Event
from any2any_ros.trust.candidates import pattern_name as pattern_name
from any2any_ros.trust.confidence_check import ALL, ANY, check_parts

EVEN = 0.5  # share of the time that the robot is unmapped, where nothing is known about it


@dataclass(frozen=True)
class ConfidenceConfig(Settings):
    """What the robot is promised."""

    precision: float = setting(0.9, "share of the accepted answers that are right", minimum=0.5, maximum=0.999)
    accepted_unmapped: float = setting(
        0.05, "share of the answers accepted while the robot is unmapped, at most", minimum=0.001, maximum=1.0
    )
    risk: float = setting(
        0.1,
        "probability that the calibration queries mislead about these two",
        minimum=0.001,
        maximum=0.5,
    )
    unmapped: float = setting(
        0.01, "share of the time that the robot is where the map has no place", minimum=0.0, maximum=0.9
    )
    miss: float = setting(0.1, "share of place sets that may lack the true place", minimum=0.001, maximum=0.5)
    min_queries: int = setting(
        50, "calibration queries that a pattern needs to be judged by itself", minimum=10, maximum=100000
    )


@dataclass(frozen=True, eq=False)
class Confidence:
    """The fitted confidence.

    temperature: softmax(temperature * score) is the posterior. By pattern: weights (2, 2, 1 + F) of the evidence
    (evidence.py); steps (2, n), evidence and probability of the isotonic map; accept_above, the evidence from which on
    an answer is accepted; levels (L - 1,), the bounds between levels of evidence. By "pattern/level": nonconformity
    (n,), the negative log posterior of each calibration query's best right reference, sorted, and some +inf
    (place_sets.py). unmapped: share of the time that the robot is unmapped. miss: share of place sets that may lack the
    true place, unless another one is asked for.
    """

    kind: ClassVar[str] = "confidence"
    plug: ClassVar[str] = "isotonic"

    temperature: Annotated[float, POSITIVE]
    weights: dict[str, Float64]
    steps: dict[str, Float64]
    accept_above: dict[str, Annotated[float, INFINITE]]
    levels: dict[str, Float64]
    nonconformity: dict[str, Annotated[Float64, INFINITE]]
    unmapped: Annotated[float, SHARE] = ConfidenceConfig.unmapped
    miss: Annotated[float, SHARE] = ConfidenceConfig.miss

    def __post_init__(self) -> None:
        check_parts(self)

    def probability(self, candidates: Candidates, modalities: Sequence[str]) -> Float64:
        """Return P(right) (K,) of the matches, best first; it never rises from one match to the next."""
        x, y = self.steps[self._key(modalities)]
        return np.asarray(np.minimum.accumulate(np.interp(self.evidence(candidates, modalities), x, y)))

    def accepts(self, candidates: Candidates, modalities: Sequence[str]) -> bool:
        """Whether the answer is accepted: the evidence for its first match reaches the threshold, and it is posed."""
        enough = self.accept_above[self._key(modalities)]
        return candidates.posed and bool(self.evidence(candidates, modalities, EVEN)[0] >= enough)

    def place_set(self, candidates: Candidates, modalities: Sequence[str], miss: float | None = None) -> int:
        """Return how many candidates, best first, hold a right one with coverage 1 - miss (split conformal)."""
        key = self._key(modalities)
        level = int(place_sets.level(self.evidence(candidates, modalities)[:1], self.levels[key])[0])
        worst = conformal_quantile(self.nonconformity[f"{key}/{level}"], self.miss if miss is None else miss)
        return int((-candidates.log_posterior(self.temperature) <= worst).sum())

    def evidence(self, candidates: Candidates, modalities: Sequence[str], unmapped: float | None = None) -> Float64:
        """Return the evidence (K,) for each match, in log odds, for a robot that is unmapped this share of the time."""
        features, weights = candidates.features(self.temperature), self.weights[self._key(modalities)]
        return evidence.log_odds(features, weights, self.unmapped if unmapped is None else unmapped)

    def presence(self, candidates: Candidates, modalities: Sequence[str]) -> float:
        """Return the probability that any reference is right, by what the first match is by itself."""
        features, weights = candidates.features(self.temperature)[:1], self.weights[self._key(modalities)]
        return float(expit(evidence.answers(features, weights)[1][0] - logit(max(self.unmapped, evidence.TINY))))

    def _key(self, modalities: Sequence[str]) -> str:
        return next(key for key in keys(pattern_name(modalities)) if key in self.weights)


def keys(pattern: str) -> tuple[str, str, str]:
    """Return the keys of a pattern, most special first: its own, that of its number of sensors, that of all."""
    return pattern, f"{ANY}{pattern.count('+') + bool(pattern)}", ALL
