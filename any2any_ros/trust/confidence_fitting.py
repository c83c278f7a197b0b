"""Fits a confidence (confidence.py) on calibration queries whose true places are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Flags, Float64, Rows
from any2any_ros.trust import acceptance, evidence, place_sets
from any2any_ros.trust.acceptance import Answers
from any2any_ros.trust.candidates import Event, log_sum_exp
from any2any_ros.trust.confidence import EVEN, Confidence, ConfidenceConfig, keys
from any2any_ros.trust.confidence_check import ALL


def fit(events: Sequence[Event], config: ConfidenceConfig = ConfidenceConfig()) -> Confidence:
    """Fit on calibration queries that neither the fusion nor the test has seen."""
    groups: dict[str, list[Event]] = {}
    for event in events:
        for key in keys(event.pattern):
            groups.setdefault(key, []).append(event)
    groups = {k: g for k, g in groups.items() if k == ALL or sum(e.mapped for e in g) >= config.min_queries}
    temperature = _fit_temperature(events)
    # A group has all events of some patterns. Where there is one pattern, the groups of its three keys are the same.
    of_patterns = {frozenset(event.pattern for event in group): group for group in groups.values()}
    of_group = {patterns: _fit_group(group, temperature, config) for patterns, group in of_patterns.items()}
    fitted = {key: of_group[frozenset(event.pattern for event in group)] for key, group in groups.items()}
    return Confidence(
        temperature,
        {key: group.weights for key, group in fitted.items()},
        {key: group.steps for key, group in fitted.items()},
        {key: group.accept_above for key, group in fitted.items()},
        {key: group.levels for key, group in fitted.items()},
        {f"{key}/{i}": scores for key, group in fitted.items() for i, scores in enumerate(group.nonconformity)},
        config.unmapped,
        config.miss,
    )


def wanted(events: Sequence[Event], config: ConfidenceConfig = ConfidenceConfig()) -> dict[str, int]:
    """Return how many mapped calibration queries a pattern needs at least, for each pattern that has fewer.

    With fewer, no answer can be accepted even if all are right, or a place set holds every candidate. It counts queries
    in stretches as long as those of the events.
    """
    temperature = _fit_temperature(events)
    needed = {}
    for pattern in sorted({event.pattern for event in events}):
        group = [event for event in events if event.pattern == pattern and event.mapped]
        stretch = _stretches(group)
        scores = np.array([e.nonconformity(temperature) for e in group])
        least = max(
            acceptance.wanted(stretch, **_proofs(config)),
            place_sets.wanted(scores, stretch, config.miss),
        )
        if len(group) < least:
            needed[pattern] = least
    return needed


@dataclass(frozen=True, eq=False)
class _FittedGroup:
    """What `Confidence` holds for one key; nonconformity: by level."""

    weights: Float64
    steps: Float64
    accept_above: float
    levels: Float64
    nonconformity: list[Float64]


def _fit_group(events: Sequence[Event], temperature: float, config: ConfidenceConfig) -> _FittedGroup:
    """Fit on the events of one pattern, or of several."""
    one_pattern = len({e.pattern for e in events}) == 1
    # The sensors of several patterns differ: their only common features are the posterior mass and the score.
    features = np.stack([e.candidates.features(temperature)[0][:, : None if one_pattern else 1] for e in events])
    right = np.array([bool(e.right[0]) for e in events])
    mapped, fold, stretch = np.array([e.mapped for e in events]), np.array([e.fold for e in events]), _stretches(events)
    usual, at_even_odds = (
        evidence.held_out_log_odds(features, right, mapped, fold, unmapped) for unmapped in (config.unmapped, EVEN)
    )
    scores = np.array([e.nonconformity(temperature) for e in events])
    bounds = place_sets.bounds(usual[mapped], place_sets.worth(scores[mapped], stretch[mapped]))
    level = place_sets.level(usual, bounds)
    answers = Answers(at_even_odds, right, stretch)
    return _FittedGroup(
        evidence.fit(features, right, mapped),
        _fit_isotonic(usual, right, _event_weights(mapped, config.unmapped)),
        acceptance.threshold(
            answers.take(np.flatnonzero(mapped)),
            answers.take(np.flatnonzero(~mapped)),
            **_proofs(config),
        ),
        bounds,
        place_sets.calibrated(scores[mapped], level[mapped], stretch[mapped], len(bounds) + 1),
    )


def _proofs(config: ConfidenceConfig) -> dict[str, float]:
    return {name: getattr(config, name) for name in ("precision", "accepted_unmapped", "risk")}


def _stretches(events: Sequence[Event]) -> Rows:
    """Return the stretch of each event (N,); one of its own for an event that has none."""
    return np.array([-1 - i if e.stretch is None else e.stretch for i, e in enumerate(events)], dtype=np.intp)


def _fit_temperature(events: Sequence[Event]) -> float:
    """Return the temperature at which the right references have the largest likelihood."""
    usable = [e for e in events if e.right.any()]
    if not usable:
        return 1.0
    widest = max(max(float(np.ptp(e.candidates.scores)) for e in usable), 1e-12)
    longest = max(len(e.right) for e in usable)
    scores = np.stack([_padded(e.candidates.scores, longest, -np.inf) for e in usable])
    right = np.stack([_padded(e.right, longest, False) for e in usable])

    def loss(log_temperature: float) -> float:
        tempered = np.exp(log_temperature) / widest * scores
        at_right = np.where(right, tempered, -np.inf)
        return float(np.mean(log_sum_exp(tempered) - log_sum_exp(at_right)))

    from scipy.optimize import minimize_scalar  # slow to import, and only fitting needs it

    best = minimize_scalar(loss, bounds=(-3.0, 9.0), method="bounded", options={"xatol": 1e-2})
    return float(np.exp(best.x) / widest)


def _padded(values: NDArray[Any], length: int, filler: Any) -> NDArray[Any]:
    return np.concatenate([values, np.full(length - len(values), filler)])


def _event_weights(mapped: Flags, unmapped: float) -> Float64:
    """Return weights (N,) with which the unmapped events are the share `unmapped` of all events."""
    count = int((~mapped).sum())
    odds = unmapped / (1 - unmapped) * (len(mapped) - count) / max(count, 1)
    return np.where(mapped, 1.0, odds)


def _fit_isotonic(x: Float64, right: Flags, weight: Float64) -> Float64:
    """Return the steps (2, n), evidence and probability, of the best probability that never falls with evidence x (N,).

    The probability is never 0 or 1, which no sample can show.
    """
    from sklearn.isotonic import IsotonicRegression  # takes 1 s to import, and only fitting needs it

    counted = weight > 0
    least = 1 / (weight.sum() + 2)
    model = IsotonicRegression(y_min=least, y_max=1 - least)
    model.fit(x[counted], right[counted], sample_weight=weight[counted])
    return np.stack([model.X_thresholds_, model.y_thresholds_])
