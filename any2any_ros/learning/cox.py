"""COX: connects a new sensor to a map of known modalities, with few pairs or none. Experimental: docs/cox.md.

Every known modality has features, and examples of every class: they train a frozen classifier each. A *connection* maps
the new features to the known ones. Where the known classifiers agree about a mapped sample, the sample is an anchor.
*Exploration* propagates anchors and labels through the neighbourhoods of the new features. The result makes emergent
pairs, which teach the connection again, and in the end a classifier of the new features. Huang et al., "Towards
Out-of-Modal Generalization without Instance-level Modal Correspondence", ICLR 2025.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros.arrays import Flags, Float64, Floats
from any2any_ros.config import Settings, setting
from any2any_ros.learning import cox_steps as steps
from any2any_ros.learning import cox_unpaired as unpaired
from any2any_ros.learning.cox_examples import (
    PENALTY,
    Known,
    Supervision,
    classes_of,
    fit_known,
    new_features,
    supervise,
)
from any2any_ros.learning.cox_model import COX
from any2any_ros.learning.cox_steps import LinearMap
from any2any_ros.observation import ObservationSet

__all__ = ["COX", "CoxConfig", "fit"]


@dataclass(frozen=True)
class CoxConfig(Settings):
    """How a new modality is connected and explored."""

    connection: str = setting("ridge", "how new features are mapped to known ones", choices=("ridge", "variational"))
    ridge: float = setting(
        0.1, "ridge of the connection, relative to the features' mean squared length", minimum=1e-9, maximum=1e6
    )
    rounds: int = setting(3, "rounds of exploring and connecting again", minimum=1, maximum=100)
    explore: bool = setting(
        True,
        "explore samples on which the classifiers disagree; otherwise only labels and agreement teach",
    )
    neighbours: int = setting(5, "nearest samples through which a new sample is explored", minimum=1, maximum=1000)
    spread: float = setting(0.95, "share of a sample's class evidence that it passes on", minimum=0, maximum=0.999)
    spread_alone: float = setting(
        0.5, "the same without pairs and labels, where nothing corrects a mistake", minimum=0, maximum=0.999
    )
    doubt: float = setting(
        0.05, "weight of the known classifiers' posterior, where a label has 1", minimum=1e-6, maximum=1
    )
    sharpness: float = setting(
        2.0, "power that a posterior is raised to before its classes are balanced", minimum=0.1, maximum=100
    )
    balance: float = setting(
        1.0,
        "how far the new samples must have the class shares of the known ones; 0 = not at all",
        minimum=0,
        maximum=1,
    )
    confident: int = setting(200, "without pairs: samples of surest agreement that begin as labelled", minimum=1)
    rotations: int = setting(99, "without pairs: random rotations that a prior alignment must surpass", minimum=19)
    latent: int = setting(64, "variational: dimensions of the bottleneck", minimum=1, maximum=65536)
    kl: float = setting(1e-3, "variational: weight of the KL term", minimum=0, maximum=1000)
    steps: int = setting(150, "variational: steps of Adam in each round", minimum=1)
    learning_rate: float = setting(3e-3, "variational: learning rate of Adam", minimum=1e-8, maximum=1)
    seed: int = setting(0, "of the noise and of the random rotations", minimum=0)


def fit(
    new: Floats,
    known: ObservationSet,
    pairs: ArrayLike | None,
    labels: ArrayLike,
    config: CoxConfig = CoxConfig(),
    labelled: Mapping[int, Any] | None = None,
) -> COX:
    """Connect new features (N, D) to `known` observations (M) with classes `labels` (M,), and explore.

    pairs (P, 2): rows of `new` and of `known` that show the same thing. labelled: classes of rows of `new` without a
    pair. Without pairs and labelled rows, `new` must lie in the feature space of a known modality (prior alignment);
    this is tested, and Any2AnyError is raised where it does not hold, because then nothing tells which class is which.
    The same seed gives the same result on one machine. Raises Any2AnyError on data that does not fit together.
    """
    x, statistics = new_features(new)
    classes, label = classes_of(labels, known)
    fitted = fit_known(known, label, len(classes))
    supervision = supervise(len(x), fitted, pairs, labelled or {}, label, classes)
    graph = steps.neighbour_graph(x, config.neighbours)
    mapped, chance = _first_connection(x, graph, fitted, supervision, config)
    sure = np.zeros(len(x), dtype=bool)
    if len(supervision.rows) == 0:
        sure = unpaired.surest(fitted, mapped, config.confident)
        config = dataclasses.replace(config, spread=config.spread_alone)
    for _ in range(config.rounds):
        posterior, weight = _explore(graph, fitted, supervision, mapped, sure, config)
        bridge = _connect(x, posterior, weight, fitted, supervision, config)
        mapped = {k: x @ w + b for k, (w, b) in bridge.items()}
        sure = np.zeros_like(sure)  # only in the first round
    learner, learner_bias = steps.softmax_regression(x, posterior, weight, PENALTY)
    _, agreeing = fitted.classify(mapped)
    return COX(
        classes, *statistics, learner, learner_bias, *_unzipped(fitted.statistics), *_unzipped(fitted.heads),
        *_unzipped(bridge), float((agreeing == 1).mean()), chance,
    )  # fmt: skip


def _first_connection(
    x: Float64, graph: Any, known: Known, supervision: Supervision, config: CoxConfig
) -> tuple[dict[str, Float64], float]:
    """Return the new samples mapped to each known modality (N, D_k), and the chance alignment (or NaN)."""
    rows = supervision.rows
    if len(rows) == 0:
        aligned = {k: x for k, z in known.features.items() if z.shape[1] == x.shape[1]}
        return aligned, unpaired.chance_alignment(x, aligned, known, config.rotations, config.seed)
    targets = supervision.emergent_pairs(supervision.labels, known)
    if not config.explore:
        lines = {k: steps.ridge_regression(x[rows], z[rows], config.ridge) for k, z in targets.items()}
        return {k: x @ w + b for k, (w, b) in lines.items()}, float("nan")
    taught = ((k, steps.Examples(rows, z[rows])) for k, z in targets.items())
    return {k: steps.smooth_regression(x, graph, z, config.ridge, config.spread) for k, z in taught}, float("nan")


def _explore(
    graph: Any, known: Known, supervision: Supervision, mapped: dict[str, Float64], sure: Flags, config: CoxConfig
) -> tuple[Float64, Float64]:
    """Return the class shares (N, C) of every new sample, and its weight (N,) in fitting.

    Every sample is drawn towards the anchors of its neighbourhood, each with the anchor's own class (Eq. 13 draws all
    samples to all anchors, and collapses). Labelled samples keep their class.
    """
    posterior, agreeing = known.classify(mapped)
    posterior = steps.balanced(posterior**config.sharpness, known.share, config.balance)
    if not config.explore:
        teaching = (supervision.labels.sum(axis=1) > 0) | (agreeing == 1)
        return supervision.clamp(posterior), (teaching if teaching.any() else ~teaching).astype(np.float64)
    evidence = np.where(sure, 1.0, config.doubt * agreeing)[:, None]
    propagated = steps.rows_to_one(steps.propagate(graph, supervision.clamp(evidence * posterior), config.spread))
    posterior = steps.balanced(propagated**config.sharpness, known.share, config.balance)
    return supervision.clamp(posterior), np.ones(len(posterior))


def _connect(
    x: Float64, posterior: Float64, weight: Float64, known: Known, supervision: Supervision, config: CoxConfig
) -> dict[str, LinearMap]:
    """Return the linear map to each known modality that the emergent pairs teach."""
    targets, used = supervision.emergent_pairs(posterior, known), weight > 0
    lines = {k: steps.ridge_regression(x[used], z[used], config.ridge) for k, z in targets.items()}
    if config.connection == "ridge":
        return lines
    from any2any_ros.learning import cox_variational as variational

    bottleneck = variational.Bottleneck(config.latent, config.kl, config.steps, config.learning_rate, config.seed)
    sides = [variational.Side(z, known.heads[k], lines[k]) for k, z in targets.items()]
    return dict(zip(targets, variational.connect(x, sides, posterior, weight, bottleneck), strict=True))


def _unzipped(lines: dict[str, LinearMap]) -> tuple[dict[str, Float64], dict[str, Float64]]:
    return {k: first for k, (first, _) in lines.items()}, {k: second for k, (_, second) in lines.items()}
