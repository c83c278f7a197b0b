"""The numbers a robot acts on: how likely an answer is right, whether to accept it, and where it may be instead.

Scores become a posterior over references, softmax(temperature * score); the mass that lies at the same place as a
match speaks for it. An isotonic map, learnt from calibration queries apart for every availability pattern, turns
that mass into the share of answers that were right; a pattern with too few calibration queries borrows the pool
of all. Nothing here assumes that the posterior itself is true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import betaincinv  # scipy.stats.beta.ppf costs every node half a second to import

from any2any_ros.config import Checked, setting
from any2any_ros.methods.any2any import conformal_quantile

Float64 = NDArray[np.float64]
Flags = NDArray[np.bool_]
POOL = "*"


@dataclass(frozen=True)
class ConfidenceConfig(Checked):
    """What the robot is promised."""

    precision: float = setting(0.9, "share of the accepted answers that are right", minimum=0.5, maximum=0.999)
    risk: float = setting(0.1, "probability that the calibration set misleads about it", minimum=0.001, maximum=0.5)
    miss: float = setting(0.1, "share of place sets that may lack the true place", minimum=0.001, maximum=0.5)
    min_queries: int = setting(50, "calibration queries a pattern needs to be judged alone", minimum=10, maximum=100000)


@dataclass(frozen=True, eq=False)
class Candidates:
    """The best references for one query: scores (S,), best first, so many that what lies beyond is negligible;
    near (K, S): which of them lie at the same place as each of the K matches."""

    scores: Float64
    near: Flags

    def log_mass(self, temperature: float) -> Float64:
        """Return the log of the posterior mass (K,) at the place of each match."""
        tempered = temperature * self.scores
        return np.asarray(_log_sum_exp(np.where(self.near, tempered, -np.inf)) - _log_sum_exp(tempered))


@dataclass(frozen=True, eq=False)
class Event:
    """One calibration query: which modalities were alive, its candidates, and which of them are right (S,)."""

    pattern: str
    candidates: Candidates
    right: Flags


@dataclass(frozen=True, eq=False)
class Confidence:
    """The fitted confidence. By pattern: isotonic steps (2, n) of log mass and probability; the log mass from which
    an answer is accepted; the log posterior from which a reference is in the place set."""

    temperature: float
    steps: dict[str, Float64]
    accept_above: dict[str, float]
    include_above: dict[str, float]

    def probability(self, candidates: Candidates, modalities: Sequence[str]) -> Float64:
        """Return P(right) (K,) of the K matches, best first."""
        x, y = self.steps[self._known(modalities)]
        return np.asarray(np.interp(candidates.log_mass(self.temperature), x, y))

    def accepts(self, candidates: Candidates, modalities: Sequence[str]) -> bool:
        """Whether the first match reaches the stated precision."""
        mass = candidates.log_mass(self.temperature)
        return bool(mass[0] >= self.accept_above[self._known(modalities)])

    def place_set(self, candidates: Candidates, modalities: Sequence[str]) -> int:
        """Return how many of the candidates, best first, hold a true one with the stated coverage."""
        posterior = _log_posterior(candidates, self.temperature)
        return int((posterior >= self.include_above[self._known(modalities)]).sum())

    def _known(self, modalities: Sequence[str]) -> str:
        pattern = pattern_name(modalities)
        return pattern if pattern in self.accept_above else POOL


def pattern_name(modalities: Sequence[str]) -> str:
    """Return an availability pattern's name: its modalities sorted, joined by '+'."""
    return "+".join(sorted(modalities))


def fit(events: Sequence[Event], config: ConfidenceConfig = ConfidenceConfig()) -> Confidence:
    """Fit on calibration queries that neither the fusion nor the test has seen."""
    patterns = sorted({e.pattern for e in events})
    groups = {p: [e for e in events if e.pattern == p] for p in patterns}
    groups = {p: g for p, g in groups.items() if len(g) >= config.min_queries} | {POOL: list(events)}
    temperature = _temperature(events)
    outcomes = {p: [_outcome(e, temperature) for e in group] for p, group in groups.items()}
    return Confidence(
        temperature,
        {p: _isotonic(found) for p, found in outcomes.items()},
        {p: _accept_above(found, config) for p, found in outcomes.items()},
        {p: _include_above(group, temperature, config.miss) for p, group in groups.items()},
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

    found = minimize_scalar(loss, bounds=(-3.0, 9.0), method="bounded", options={"xatol": 1e-2})
    return float(np.exp(found.x) / widest)


def _padded(values: NDArray[Any], length: int, filler: Any) -> NDArray[Any]:
    return np.concatenate([values, np.full(length - len(values), filler)])


def _log_sum_exp(x: Float64) -> Float64:
    """Return log(sum(exp(x))) along the last axis (SciPy's own takes ten times as long on rows this short)."""
    highest = x.max(axis=-1, keepdims=True)
    return np.asarray(np.log(np.exp(x - highest).sum(axis=-1)) + highest[..., 0])


def _log_posterior(candidates: Candidates, temperature: float) -> Float64:
    tempered = temperature * candidates.scores
    return np.asarray(tempered - _log_sum_exp(tempered))


def _outcome(event: Event, temperature: float) -> tuple[float, bool]:
    """Return the first match's log mass, and whether it is right."""
    return float(event.candidates.log_mass(temperature)[0]), bool(event.right[0])


def _isotonic(outcomes: list[tuple[float, bool]]) -> Float64:
    """Return the steps (2, n) of the best non-decreasing probability; never 0 or 1, which no sample can show."""
    from sklearn.isotonic import IsotonicRegression  # costs 1 s: only where something is fitted

    mass, right = np.array(outcomes, dtype=np.float64).T
    model = IsotonicRegression(y_min=1 / (len(mass) + 2), y_max=1 - 1 / (len(mass) + 2)).fit(mass, right)
    return np.stack([model.X_thresholds_, model.y_thresholds_])


def _accept_above(outcomes: list[tuple[float, bool]], config: ConfidenceConfig) -> float:
    """Return the lowest log mass whose precision is proven; +inf when none is.

    Learn-then-test by fixed sequence: go down from the surest answers while the Clopper-Pearson bound at level
    `risk` stays above the target, so that the one failed test costs no correction.
    """
    surest_first = sorted(outcomes, key=lambda outcome: -outcome[0])
    threshold, wrong = np.inf, 0
    fewest = int(np.ceil(np.log(config.risk) / np.log(config.precision)))  # that many right ones would do
    for n, (mass, right) in enumerate(surest_first, start=1):
        wrong += not right
        if n < fewest or (n < len(surest_first) and surest_first[n][0] == mass):
            continue
        proven = betaincinv(n - wrong, wrong + 1, config.risk) if wrong < n else 0.0  # NaN where none is right
        if proven < config.precision:
            break
        threshold = mass
    return float(threshold)


def _include_above(events: Sequence[Event], temperature: float, miss: float) -> float:
    """Return the split-conformal threshold on the log posterior of each query's best right reference."""
    best = []
    for e in events:
        posterior = _log_posterior(e.candidates, temperature)
        best.append(float(posterior[e.right].max()) if e.right.any() else -np.inf)
    return -conformal_quantile([-b for b in best], miss)
