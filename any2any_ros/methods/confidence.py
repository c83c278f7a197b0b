"""The numbers a robot acts on: how likely an answer is right, whether to accept it, and where it may be instead.

Scores become a posterior over references, softmax(temperature * score); the mass that lies at the same place as a
match speaks for it. A posterior only compares places of the map with each other: it can be sure of the best of
them outside of the map, too. So a match's *evidence* weighs its mass together with its score and with how alike each
sensor finds it, by a logistic regression that has also seen every calibration query with its own place hidden from
the map. An isotonic map turns evidence into the share of answers that were right, of a robot that is now and then
outside of the map; acceptance is proven for both, queries inside the map and outside. All of it apart for every
availability pattern; a pattern with too few calibration queries borrows from all patterns of as many sensors, or
else from all. Nothing here assumes that the posterior itself is true.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import betaincinv, expit  # scipy.stats.beta.ppf costs every node half a second to import

from any2any_ros.config import Checked, setting
from any2any_ros.methods.any2any import conformal_quantile

Float64 = NDArray[np.float64]
Flags = NDArray[np.bool_]
POOL = "*"
SHARED = 2  # features that every pattern has: log mass and score
RIDGE = 1.0  # of the logistic regression, as scikit-learn's default C = 1


@dataclass(frozen=True)
class ConfidenceConfig(Checked):
    """What the robot is promised."""

    precision: float = setting(0.9, "share of the accepted answers that are right", minimum=0.5, maximum=0.999)
    outside: float = setting(0.05, "share of answers accepted outside of the map, at most", minimum=0.001, maximum=1.0)
    risk: float = setting(0.1, "probability that the calibration set misleads about these", minimum=0.001, maximum=0.5)
    lost: float = setting(0.05, "share of the time that the robot is outside of the map", minimum=0.0, maximum=0.9)
    miss: float = setting(0.1, "share of place sets that may lack the true place", minimum=0.001, maximum=0.5)
    min_queries: int = setting(50, "calibration queries a pattern needs to be judged alone", minimum=10, maximum=100000)


@dataclass(frozen=True, eq=False)
class Candidates:
    """The best references for one query: scores (S,), best first, so many that what lies beyond is negligible;
    near (K, S): which of them lie at the same place as each of the K matches; alike (K, M): the similarity that
    each sensor which is alive finds at each match, NaN where the reference lacks it."""

    scores: Float64
    near: Flags
    alike: Float64 | None = None

    def log_mass(self, temperature: float) -> Float64:
        """Return the log of the posterior mass (K,) at the place of each match."""
        tempered = temperature * self.scores
        return np.asarray(_log_sum_exp(np.where(self.near, tempered, -np.inf)) - _log_sum_exp(tempered))

    def features(self, temperature: float) -> Float64:
        """Return what speaks for each match (K, 2 + M): log mass, score, similarities."""
        mass = self.log_mass(temperature)
        alike = np.empty((len(mass), 0)) if self.alike is None else self.alike
        return np.column_stack([mass, self.scores[: len(mass)], alike])


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
    """The fitted confidence. By pattern: weights (2, 1 + F) of the evidence (bias first; below, what stands for an
    unknown feature); isotonic steps (2, n) of evidence and probability; the evidence from which an answer is accepted;
    the log posterior of each calibration query's best right reference, negated (its nonconformity score). miss: share
    of place sets that may lack the true place, unless asked for another."""

    temperature: float
    weights: dict[str, Float64]
    steps: dict[str, Float64]
    accept_above: dict[str, float]
    nonconformity: dict[str, Float64]
    miss: float = ConfidenceConfig.miss

    def probability(self, candidates: Candidates, modalities: Sequence[str]) -> Float64:
        """Return P(right) (K,) of the K matches, best first; never rising."""
        x, y = self.steps[self._known(modalities)]
        return np.asarray(np.minimum.accumulate(np.interp(self.evidence(candidates, modalities), x, y)))

    def accepts(self, candidates: Candidates, modalities: Sequence[str]) -> bool:
        """Whether the first match reaches the stated precision, and would not be found outside of the map."""
        return bool(self.evidence(candidates, modalities)[0] >= self.accept_above[self._known(modalities)])

    def place_set(self, candidates: Candidates, modalities: Sequence[str], miss: float | None = None) -> int:
        """Return how many of the candidates, best first, hold a true one with coverage 1 - miss (split conformal)."""
        worst = conformal_quantile(self.nonconformity[self._known(modalities)], self.miss if miss is None else miss)
        return int((-_log_posterior(candidates, self.temperature) <= worst).sum())

    def evidence(self, candidates: Candidates, modalities: Sequence[str]) -> Float64:
        """Return what speaks for each of the K matches (K,), in log odds."""
        return _weigh(candidates.features(self.temperature), self.weights[self._known(modalities)])

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
    fitted = {key: _fit_group(group, temperature, config) for key, group in groups.items()}
    weights, steps, accept, nonconformity = ({k: f[i] for k, f in fitted.items()} for i in range(4))
    return Confidence(temperature, weights, steps, accept, nonconformity, config.miss)  # type: ignore[arg-type]


def _fit_group(
    events: Sequence[Event], temperature: float, config: ConfidenceConfig
) -> tuple[Float64, Float64, float, Float64]:
    """Return weights, steps, threshold and nonconformity scores of the events of one pattern (or of several, mixed)."""
    own = len({e.pattern for e in events}) == 1
    features = np.stack([e.candidates.features(temperature)[0][: None if own else SHARED] for e in events])
    right = np.array([bool(e.right[0]) for e in events])
    mapped, fold = np.array([e.mapped for e in events]), np.array([e.fold for e in events])
    evidence = _cross_weighed(features, right, fold)
    return (
        _weights(features, right),
        _isotonic(evidence, right, _shares(mapped, config.lost)),
        _accept_above(evidence, right, mapped, config),
        np.sort([_nonconformity(e, temperature) for e in events if e.mapped]),
    )


def _weigh(features: Float64, weights: Float64) -> Float64:
    """Return the evidence (K,) of features (K, F), or of the first of them where the weights are shared."""
    (bias, *slopes), (_, *unknown) = weights
    used = features[:, : len(slopes)]
    return np.asarray(bias + np.where(np.isnan(used), unknown, used) @ slopes)


def _cross_weighed(features: Float64, right: Flags, fold: NDArray[np.intp]) -> Float64:
    """Return each event's evidence (N,), by weights learnt from the other folds."""
    evidence = np.empty(len(right))
    for f in np.unique(fold):
        here = fold == f
        others = here if here.all() else ~here
        evidence[here] = _weigh(features[here], _weights(features[others], right[others]))
    return evidence


def _weights(features: Float64, right: Flags) -> Float64:
    """Return the weights (2, 1 + F) of a ridge logistic regression; none is negative, so that more is never less."""
    known = ~np.isnan(features)
    middle = np.where(known, features, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    filled = np.where(known, features, middle)
    spread = filled.std(axis=0)
    usable = spread > 1e-9 * np.maximum(np.abs(middle), 1.0)
    scaled = np.where(usable, (filled - middle) / np.where(usable, spread, 1.0), 0.0)
    sign = np.where(right, 1.0, -1.0)

    def loss(w: Float64) -> tuple[float, Float64]:
        margin = sign * (w[0] + scaled @ w[1:])
        pull = -sign * expit(-margin)
        slope = np.concatenate([[pull.sum()], pull @ scaled + RIDGE * w[1:]])
        return float(np.logaddexp(0.0, -margin).sum() + RIDGE / 2 * (w[1:] ** 2).sum()), slope

    # The bias is bounded because answers that are all right, or all wrong, would send it to infinity.
    bounds = [(-20.0, 20.0), *[(0.0, None)] * features.shape[1]]
    start = np.concatenate([[0.0], np.ones(features.shape[1])])
    found = minimize(loss, start, jac=True, bounds=bounds, method="L-BFGS-B").x
    slopes = np.where(usable, found[1:], 0.0) / np.where(usable, spread, 1.0)
    return np.stack([np.concatenate([[found[0] - slopes @ middle], slopes]), np.concatenate([[0.0], middle])])


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


def _shares(mapped: Flags, lost: float) -> Float64:
    """Return weights (N,) at which the events outside of the map make up the share `lost` of all."""
    outside = int((~mapped).sum())
    odds = lost / (1 - lost) * (len(mapped) - outside) / max(outside, 1)
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

    Learn-then-test by fixed sequence: go down from the surest answer while the Clopper-Pearson bounds at level `risk`
    hold the precision inside the map and the acceptance outside, so that the one failed test costs no correction.
    """
    outside = np.sort(evidence[~mapped])
    order = np.argsort(-evidence[mapped], kind="stable")
    surest, hit = evidence[mapped][order], right[mapped][order]
    threshold = np.inf
    fewest = int(np.ceil(np.log(config.risk) / np.log(config.precision)))  # that many right ones would do
    for n in range(fewest, len(surest) + 1):
        if n < len(surest) and surest[n] == surest[n - 1]:
            continue
        accepted_outside = len(outside) - int(np.searchsorted(outside, surest[n - 1], side="left"))
        if (
            _at_least(int(hit[:n].sum()), n, config.risk) < config.precision
            or 1 - _at_least(len(outside) - accepted_outside, len(outside), config.risk) > config.outside
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
