"""COX without pairs and labels: the test for a prior alignment, and the samples that begin as labelled."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from any2any_ros.arrays import Flags, Float64
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import cox_steps as steps
from any2any_ros.learning.cox_examples import Known

WHAT = "A new modality without pairs or labels cannot be learnt"
REMEDY = "Record a few pairs, label a few samples, or take an encoder that shares a space with a known modality"


def chance_alignment(x: Float64, aligned: Mapping[str, Float64], known: Known, rotations: int, seed: int) -> float:
    """Return how probable it is that randomly rotated features separate the known classes as well as these do.

    x (N, D): the new features; aligned: the same by each known modality of D features. Features that were never aligned
    are one random rotation among others, so they separate best with a probability of 1 / (rotations + 1). Raises
    Any2AnyError where any rotation separates as well, and where no known modality has D features.
    """
    if not aligned:
        widths = ", ".join(f"{k} {z.shape[1]}" for k, z in known.features.items())
        why = f"nothing says which class is which: it has {x.shape[1]} features, and known are {widths}"
        raise Any2AnyError(WHAT, why, REMEDY)
    draw, reached = np.random.default_rng(seed), _separation(known.classify(aligned)[0])
    as_good = 0
    for _ in range(rotations):
        rotation, _ = np.linalg.qr(draw.normal(size=(x.shape[1], x.shape[1])))
        as_good += _separation(known.classify(dict.fromkeys(aligned, x @ rotation))[0]) >= reached
    chance = (1 + as_good) / (1 + rotations)
    if as_good:
        why = f"turned at random, its features fit the known classes as well {as_good} times of {rotations}"
        raise Any2AnyError(WHAT, f"nothing says which class is which: {why}", REMEDY)
    return chance


def _separation(posterior: Float64) -> float:
    """Return the mutual information (nats) of sample and class: high when each sample has one class, and not all have
    the same."""
    mean = posterior.mean(axis=0)
    return float((posterior * np.log((posterior + steps.TINY) / (mean + steps.TINY))).sum(axis=1).mean())


def surest(known: Known, mapped: Mapping[str, Float64], count: int) -> Flags:
    """Return which new samples (N,) are the `count` surest of those about which all known classifiers agree."""
    posterior, agreeing = known.classify(mapped)
    sureness = np.where(agreeing == 1, posterior.max(axis=1), -1.0)
    first = np.zeros(len(posterior), dtype=bool)
    first[np.argsort(-sureness, kind="stable")[:count]] = True
    return first & (sureness >= 0)
