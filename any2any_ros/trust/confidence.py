"""The numbers a robot acts on: how likely an answer is right, whether to accept it, and where it may be instead.

Scores become a posterior over references, softmax(temperature * score); the mass that lies at the same place as a
match speaks for it. A posterior only compares places of the map with each other: it can be sure of the best of
them outside of the map, too. So a match's *evidence* is the log odds of two things being true at once. Is it right, if
its place is in the map? A logistic regression on what compares it with other places says: the mass, and how much more
alike than any of them each sensor finds it. And is its place in the map? One on what it is by itself, its score and
how alike each sensor finds it, which has seen every calibration query also with its place hidden from the map.
The evidence of a robot that is now and then outside of the map is turned by an isotonic map into the share of answers
that were right; that of one which is as likely outside as inside must reach a threshold, at which precision inside
and abstention outside are proven, to be accepted. The place set is conformal among queries of about as much evidence,
so that ambiguous ones get the large sets (place_sets.py). All of it apart for every availability pattern; a pattern
with too few calibration queries borrows from all patterns of as many sensors, or else from all. Nothing here assumes
that the posterior itself is true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

# scipy.stats.beta.ppf costs every node half a second to import
from scipy.special import betaincinv, expit, logit

from any2any_ros.arrays import Flags, Float64
from any2any_ros.config import Settings, setting
from any2any_ros.fusion.any2any import conformal_quantile
from any2any_ros.trust import place_sets
from any2any_ros.trust.evidence import TINY, cross_weighed, learnt_weights, parts, weigh

POOL = "*"
SUREST = 30.0  # log odds: a posterior beyond is of no use to anybody
EVEN = 0.5  # share of the time outside of the map, of which nothing is known
FIRST = 0.05  # share of the answers that the first threshold tried accepts


@dataclass(frozen=True)
class ConfidenceConfig(Settings):
    """What the robot is promised."""

    precision: float = setting(0.9, "share of the accepted answers that are right", minimum=0.5, maximum=0.999)
    accepted_unmapped: float = setting(
        0.05, "share of the answers accepted while the robot is unmapped, at most", minimum=0.001, maximum=1.0
    )
    risk: float = setting(0.1, "probability that the calibration set misleads about these", minimum=0.001, maximum=0.5)
    unmapped: float = setting(
        0.01, "share of the time that the robot is where the map has no place", minimum=0.0, maximum=0.9
    )
    miss: float = setting(0.1, "share of place sets that may lack the true place", minimum=0.001, maximum=0.5)
    min_queries: int = setting(50, "calibration queries a pattern needs to be judged alone", minimum=10, maximum=100000)


@dataclass(frozen=True, eq=False)
class Candidates:
    """The best references for one query: scores (S,), best first, so many that what lies beyond is negligible;
    near (K, S): which of them lie at the same place as each of the K matches. Of each sensor that is alive, NaN where a
    reference lacks it: alike (K, M), the similarity it finds at each match, and lead (K, M), how much more that is
    than at any other place."""

    scores: Float64
    near: Flags
    alike: Float64 | None = None
    lead: Float64 | None = None
    _features: dict[float, Float64] = field(default_factory=dict, init=False, repr=False)

    def log_odds(self, temperature: float) -> Float64:
        """Return the log odds (K,) of the posterior mass at the place of each match, against all other places."""
        tempered = temperature * self.scores
        here, elsewhere = (_log_sum_exp(np.where(near, tempered, -np.inf)) for near in (self.near, ~self.near))
        return np.asarray(np.clip(here - elsewhere, -SUREST, SUREST))

    def features(self, temperature: float) -> Float64:
        """Return what speaks for each match (K, 2, 1 + M): against the other places, log odds and lead; by itself,
        score and similarity."""
        if temperature not in self._features:  # an answer asks four times
            odds = self.log_odds(temperature)
            nothing = np.empty((len(odds), 0))
            compared = np.column_stack([odds, nothing if self.lead is None else self.lead])
            alone = np.column_stack([self.scores[: len(odds)], nothing if self.alike is None else self.alike])
            self._features[temperature] = np.stack([compared, alone], axis=1)
        return self._features[temperature]


@dataclass(frozen=True, eq=False)
class Event:
    """One calibration query: which modalities were alive, its candidates, and which of them are right (S,).

    fold: events of one number are neighbours, and judged by what was learnt from the others. mapped: False where the
    references at the query's place were hidden, so that nothing is right."""

    pattern: str
    candidates: Candidates
    right: Flags
    fold: int = 0
    mapped: bool = True


@dataclass(frozen=True, eq=False)
class Confidence:
    """The fitted confidence. By pattern: weights (2, 2, 1 + F) of the evidence (of "right, if mapped" and of "mapped"
    at even odds; bias and slopes, and below them 0 and what stands for an unknown feature); isotonic steps (2, n) of
    evidence and probability; the evidence from which an answer is accepted; the bounds (L - 1,) between levels of
    evidence. By pattern/level: the log posterior of each calibration query's best right reference, negated (its
    nonconformity score), and some +inf (place_sets.py). unmapped: share of the time outside of the map; miss: share of
    place sets that may lack the true place, unless asked for another."""

    kind: ClassVar[str] = "confidence"
    plug: ClassVar[str] = "isotonic"

    temperature: float
    weights: dict[str, Float64]
    steps: dict[str, Float64]
    accept_above: dict[str, float]
    levels: dict[str, Float64]
    nonconformity: dict[str, Float64]
    unmapped: float = ConfidenceConfig.unmapped
    miss: float = ConfidenceConfig.miss

    def probability(self, candidates: Candidates, modalities: Sequence[str]) -> Float64:
        """Return P(right) (K,) of the K matches, best first; never rising."""
        x, y = self.steps[self._known(modalities)]
        return np.asarray(np.minimum.accumulate(np.interp(self.evidence(candidates, modalities), x, y)))

    def accepts(self, candidates: Candidates, modalities: Sequence[str]) -> bool:
        """Whether the first match reaches the stated precision, and would not be found outside of the map."""
        return bool(self.evidence(candidates, modalities, EVEN)[0] >= self.accept_above[self._known(modalities)])

    def place_set(self, candidates: Candidates, modalities: Sequence[str], miss: float | None = None) -> int:
        """Return how many of the candidates, best first, hold a true one with coverage 1 - miss (split conformal)."""
        key = self._known(modalities)
        level = int(place_sets.level(self.evidence(candidates, modalities)[:1], self.levels[key])[0])
        worst = conformal_quantile(self.nonconformity[f"{key}/{level}"], self.miss if miss is None else miss)
        return int((-_log_posterior(candidates, self.temperature) <= worst).sum())

    def evidence(self, candidates: Candidates, modalities: Sequence[str], unmapped: float | None = None) -> Float64:
        """Return what speaks for each of the K matches (K,), in log odds; unmapped: share of the time outside."""
        features, weights = candidates.features(self.temperature), self.weights[self._known(modalities)]
        return weigh(features, weights, self.unmapped if unmapped is None else unmapped)

    def presence(self, candidates: Candidates, modalities: Sequence[str]) -> float:
        """Return P(what is asked for is among the references at all), by what the first match is by itself."""
        features, weights = candidates.features(self.temperature)[:1], self.weights[self._known(modalities)]
        return float(expit(parts(features, weights)[1][0] - logit(max(self.unmapped, TINY))))

    def _known(self, modalities: Sequence[str]) -> str:
        return next(key for key in _keys(pattern_name(modalities)) if key in self.weights)


def pattern_name(modalities: Sequence[str]) -> str:
    """Return an availability pattern's name: its modalities sorted, joined by '+'."""
    return "+".join(sorted(modalities))


def _keys(pattern: str) -> tuple[str, str, str]:
    """Return under which names a pattern may be known: its own, that of its number of sensors, that of all."""
    return pattern, f"any {pattern.count('+') + bool(pattern)}", POOL


def fit(events: Sequence[Event], config: ConfidenceConfig = ConfidenceConfig()) -> Confidence:
    """Fit on calibration queries that neither the fusion nor the test has seen."""
    groups: dict[str, list[Event]] = {}
    for event in events:
        for key in _keys(event.pattern):
            groups.setdefault(key, []).append(event)
    groups = {k: g for k, g in groups.items() if k == POOL or sum(e.mapped for e in g) >= config.min_queries}
    temperature = _temperature(events)
    parts = [_fit_group(key, group, temperature, config) for key, group in groups.items()]
    merged = [{k: v for part in parts for k, v in part[i].items()} for i in range(5)]
    return Confidence(temperature, *merged, config.unmapped, config.miss)  # type: ignore[arg-type, call-arg]


def _fit_group(
    key: str, events: Sequence[Event], temperature: float, config: ConfidenceConfig
) -> tuple[dict[str, Any], ...]:
    """Return the fields of Confidence, weights to nonconformity, of one pattern's events (or of several, mixed)."""
    own = len({e.pattern for e in events}) == 1
    features = np.stack([e.candidates.features(temperature)[0][:, : None if own else 1] for e in events])
    right = np.array([bool(e.right[0]) for e in events])
    mapped, fold = np.array([e.mapped for e in events]), np.array([e.fold for e in events])
    evidence, at_even_odds = (
        cross_weighed(features, right, mapped, fold, unmapped) for unmapped in (config.unmapped, EVEN)
    )
    bounds = place_sets.bounds(evidence[mapped])
    level = place_sets.level(evidence, bounds)
    scores = np.array([_nonconformity(e, temperature) for e in events])
    conformal = place_sets.calibrated(scores[mapped], level[mapped], fold[mapped], len(bounds) + 1)
    return (
        {key: learnt_weights(features, right, mapped)},
        {key: _isotonic(evidence, right, _shares(mapped, config.unmapped))},
        {key: _accept_above(at_even_odds, right, mapped, config)},
        {key: bounds},
        {f"{key}/{i}": of_level for i, of_level in enumerate(conformal)},
    )


def _temperature(events: Sequence[Event]) -> float:
    """Return the temperature at which the right references are likeliest: it makes any fusion's scores a posterior."""
    usable = [e for e in events if e.right.any()]
    if not usable:
        return 1.0
    widest = max(max(float(np.ptp(e.candidates.scores)) for e in usable), 1e-12)
    deepest = max(len(e.right) for e in usable)
    scores = np.stack([_padded(e.candidates.scores, deepest, -np.inf) for e in usable])
    right = np.stack([_padded(e.right, deepest, False) for e in usable])

    def loss(log_temperature: float) -> float:
        tempered = np.exp(log_temperature) / widest * scores
        at_right = np.where(right, tempered, -np.inf)
        return float(np.mean(_log_sum_exp(tempered) - _log_sum_exp(at_right)))

    from scipy.optimize import minimize_scalar  # only where something is fitted

    found = minimize_scalar(loss, bounds=(-3.0, 9.0), method="bounded", options={"xatol": 1e-2})
    return float(np.exp(found.x) / widest)


def _padded(values: NDArray[Any], length: int, filler: Any) -> NDArray[Any]:
    return np.concatenate([values, np.full(length - len(values), filler)])


def _log_sum_exp(x: Float64) -> Float64:
    """Return log(sum(exp(x))) along the last axis (SciPy's own takes ten times as long on rows this short)."""
    highest = np.maximum(x.max(axis=-1, keepdims=True, initial=-np.inf), -1e300)  # also of nothing but -inf
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.exp(x - highest).sum(axis=-1)) + highest[..., 0])


def _log_posterior(candidates: Candidates, temperature: float) -> Float64:
    tempered = temperature * candidates.scores
    return np.asarray(tempered - _log_sum_exp(tempered))


def _shares(mapped: Flags, unmapped: float) -> Float64:
    """Return weights (N,) at which the events outside of the map make up the share `unmapped` of all."""
    outside = int((~mapped).sum())
    odds = unmapped / (1 - unmapped) * (len(mapped) - outside) / max(outside, 1)
    return np.where(mapped, 1.0, odds)


def _isotonic(evidence: Float64, right: Flags, weight: Float64) -> Float64:
    """Return the steps (2, n) of the best non-decreasing probability; never 0 or 1, which no sample can show."""
    from sklearn.isotonic import IsotonicRegression  # costs 1 s: only where something is fitted

    counted = weight > 0
    least = 1 / (weight.sum() + 2)
    model = IsotonicRegression(y_min=least, y_max=1 - least)
    model.fit(evidence[counted], right[counted], sample_weight=weight[counted])
    return np.stack([model.X_thresholds_, model.y_thresholds_])


def _accept_above(evidence: Float64, right: Flags, mapped: Flags, config: ConfidenceConfig) -> float:
    """Return the lowest evidence at which both promises are proven; +inf when there is none.

    Learn-then-test by fixed sequence: go down from the surest answers while the Clopper-Pearson bounds at level `risk`
    hold the precision inside the map and the acceptance outside, so that the one failed test costs no correction. It
    begins where FIRST of the answers are accepted: of fewer, one wrong one among the surest would end it.
    """
    outside = np.sort(evidence[~mapped])
    order = np.argsort(-evidence[mapped], kind="stable")
    surest, hit = evidence[mapped][order], right[mapped][order]
    threshold = np.inf
    fewest = int(np.ceil(np.log(config.risk) / np.log(config.precision)))  # that many right ones would do
    for n in range(max(fewest, int(FIRST * len(surest))), len(surest) + 1):
        if n < len(surest) and surest[n] == surest[n - 1]:
            continue
        accepted_outside = len(outside) - int(np.searchsorted(outside, surest[n - 1], side="left"))
        if (
            _at_least(int(hit[:n].sum()), n, config.risk) < config.precision
            or 1 - _at_least(len(outside) - accepted_outside, len(outside), config.risk) > config.accepted_unmapped
        ):
            break
        threshold = surest[n - 1]
    return float(threshold)


def _at_least(successes: int, trials: int, risk: float) -> float:
    """Return the Clopper-Pearson lower bound on a share; 1 where nothing was tried (nothing speaks against it)."""
    if trials == 0:
        return 1.0
    return float(betaincinv(successes, trials - successes + 1, risk)) if successes else 0.0


def _nonconformity(event: Event, temperature: float) -> float:
    """Return how far down its best right reference lies; +inf where none of the candidates is right."""
    posterior = _log_posterior(event.candidates, temperature)
    return -float(posterior[event.right].max()) if event.right.any() else np.inf
