"""Whether the parts of a fitted confidence (confidence.py) fit together. Otherwise a robot would fail with the first
answer for which a part is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from any2any_ros.arrays import Float64

if TYPE_CHECKING:
    from any2any_ros.trust.confidence import Confidence

ALL = "*"  # the key of what is fitted on all patterns
ANY = "any "  # begins the key of what is fitted on all patterns with as many sensors


def check_parts(confidence: Confidence) -> None:
    """Raise ValueError unless every pattern has all of its parts, in the right shapes and order."""
    c = confidence
    if not {*c.weights} == {*c.steps} == {*c.accept_above} == {*c.levels} >= {ALL}:
        raise ValueError("an availability pattern lacks its weights, steps, threshold or levels")
    if {*c.nonconformity} != {f"{key}/{i}" for key, bounds in c.levels.items() for i in range(bounds.size + 1)}:
        raise ValueError("a level of evidence lacks its nonconformity scores")
    if not all(w.ndim == 3 and w.shape[:2] == (2, 2) and w.shape[2] > 1 for w in c.weights.values()):
        raise ValueError("the weights of a pattern are not (2, 2, 1 + F)")
    if not all(steps.ndim == 2 and len(steps) == 2 and steps.size and _rising(steps) for steps in c.steps.values()):
        raise ValueError("the steps of a pattern are not rising evidence and probability (2, n)")
    if any(steps[1, 0] < 0 or steps[1, -1] > 1 for steps in c.steps.values()):
        raise ValueError("a probability is not from 0 to 1")
    if not all(values.ndim == 1 and _rising(values) for values in (*c.levels.values(), *c.nonconformity.values())):
        raise ValueError("levels or nonconformity scores are not sorted")


def check_features(confidence: Confidence, others: int) -> None:
    """Raise ValueError unless the weights of each pattern are for these features: the first one alone, or also one for
    each sensor, and `others`."""
    for key in confidence.weights.keys() - {ALL}:
        sensors = int(key.removeprefix(ANY)) if key.startswith(ANY) else key.count("+") + bool(key)
        width = confidence.weights[key].shape[2]
        if width not in (2, 2 + sensors + others):
            raise ValueError(f"the weights of '{key}' are for {width - 1} features")


def _rising(values: Float64) -> bool:
    return bool((values[..., 1:] >= values[..., :-1]).all())
