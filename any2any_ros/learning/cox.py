"""COX: a sensor that a mapped world does not know, taught by few pairs or by none. Experimental: docs/cox.md.

Known modalities have features and, of every class, examples: a frozen classifier each. A *connection* maps the new
features into theirs; where their classifiers agree about a new sample, it is an anchor. What anchors and labels say is
carried on through the new sensor's own neighbourhoods (*exploration*), makes emergent pairs, and those teach the
connection again, and in the end a classifier of the new features. Huang et al., "Towards Out-of-Modal Generalization
without Instance-level Modal Correspondence" (connect & explore), ICLR 2025. METHODS: docs/cox.md.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from any2any_ros.arrays import Array, Float64, Floats
from any2any_ros.config import Settings, setting
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import cox_steps as steps
from any2any_ros.learning.cox_examples import PENALTY, Known, Taught, classes_of, learn_known, new_features, teach
from any2any_ros.learning.cox_steps import Line
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Alignment


@dataclass(frozen=True)
class CoxConfig(Settings):
    """How a new modality is connected and explored."""

    connection: str = setting("ridge", "what maps new features to known ones", choices=("ridge", "variational"))
    ridge: float = setting(
        0.1, "of the connection, relative to the features' mean squared length", minimum=1e-9, maximum=1e6
    )
    rounds: int = setting(3, "of exploring and connecting again", minimum=1, maximum=100)
    explore: bool = setting(True, "whether what disagrees is explored; else only labels and agreement teach")
    neighbours: int = setting(5, "of a new sample, by which it is explored", minimum=1, maximum=1000)
    spread: float = setting(0.95, "share of what it knows that a sample passes on", minimum=0, maximum=0.999)
    spread_alone: float = setting(
        0.5, "the same without pairs and labels, where nobody stops a mistake", minimum=0, maximum=0.999
    )
    doubt: float = setting(0.05, "weight of the known classifiers' word, beside a label's 1", minimum=1e-6, maximum=1)
    sharpness: float = setting(2.0, "power of a posterior before its classes are balanced", minimum=0.1, maximum=100)
    balance: float = setting(
        1.0,
        "how much the new samples must have the known ones' shares of classes; 0 = not at all",
        minimum=0,
        maximum=1,
    )
    confident: int = setting(200, "without pairs: surest agreements to begin with", minimum=1)
    rotations: int = setting(99, "without pairs: random turns that a prior alignment must outdo", minimum=19)
    latent: int = setting(64, "variational: dimensions of the bottleneck", minimum=1, maximum=65536)
    kl: float = setting(1e-3, "variational: weight of the KL term", minimum=0, maximum=1000)
    steps: int = setting(150, "variational: of Adam, each round", minimum=1)
    learning_rate: float = setting(3e-3, "variational: Adam's", minimum=1e-8, maximum=1)
    seed: int = setting(0, "of the noise and of the random turns", minimum=0)


@dataclass(frozen=True, eq=False)
class COX:
    """What was learnt: classes (C,); mean and spread (D,) of the new features; learner (D, C) and learner_bias (C,).

    By known modality of D_k features: known_mean and known_spread (D_k,), heads (D_k, C) and head_bias (C,), bridge
    (D, D_k) and bridge_bias (D_k,). agreement: share of the new samples about which all known classifiers agree at
    last. chance_alignment: without pairs, how likely features with no alignment at all would look as well aligned as
    these; NaN with pairs or labels.
    """

    kind: ClassVar[str] = "learner"
    plug: ClassVar[str] = "cox"

    classes: NDArray[Any]
    mean: Float64
    spread: Float64
    learner: Float64
    learner_bias: Float64
    known_mean: dict[str, Float64]
    known_spread: dict[str, Float64]
    heads: dict[str, Float64]
    head_bias: dict[str, Float64]
    bridge: dict[str, Float64]
    bridge_bias: dict[str, Float64]
    agreement: float
    chance_alignment: float

    @property
    def modalities(self) -> tuple[str, ...]:
        """Return the known modalities."""
        return tuple(sorted(self.heads))

    def posterior(self, new: Floats) -> Float64:
        """Return (N, C), the learner's P(class | new features (N, D)); NaN rows (missing) stay NaN."""
        return steps.softmax(self._new(new) @ self.learner + self.learner_bias)

    def classify(self, new: Floats) -> NDArray[Any]:
        """Return the likeliest class (N,) of new features (N, D), which must all be there."""
        posterior = self.posterior(new)
        if np.isnan(posterior).any():
            raise Any2AnyError("COX cannot classify", "a row is missing (NaN)", "Leave missing rows out")
        return np.asarray(self.classes[posterior.argmax(axis=1)])

    def project(self, new: Floats, modality: str) -> Array:
        """Return new features (N, D) as `modality` would have them (N, D_k), in its own units; NaN rows stay NaN."""
        self._known(modality)
        mapped = self._new(new) @ self.bridge[modality] + self.bridge_bias[modality]
        return np.asarray(mapped * self.known_spread[modality] + self.known_mean[modality], dtype=np.float32)

    def alignments(self, name: str) -> dict[tuple[str, str], Alignment]:
        """Return what a Retriever compares the new modality, called `name`, with each known one by."""
        return {(name, modality): Bridge(self, modality) for modality in self.modalities}

    def known_posterior(self, known: Floats, modality: str) -> Float64:
        """Return (N, C): what the frozen classifier of `modality` makes of its features (N, D_k)."""
        self._known(modality)
        return steps.softmax(self.known(known, modality) @ self.heads[modality] + self.head_bias[modality])

    def known(self, y: Floats, modality: str) -> Float64:
        """Return a known modality's features (N, D_k) in its standard deviations."""
        line = self.known_mean[modality], self.known_spread[modality]
        return steps.standardised(_features(y, len(line[0]), modality), line)

    def _new(self, x: Floats) -> Float64:
        return steps.standardised(_features(x, len(self.mean), "new"), (self.mean, self.spread))

    def _known(self, modality: str) -> None:
        if modality not in self.heads:
            why = f"it was taught with {', '.join(self.modalities)}"
            raise Any2AnyError(f"COX does not know '{modality}'", why, "Correct its name, or fit with data that has it")


@dataclass(frozen=True)
class Bridge:
    """An Alignment (protocols.py): the new modality asks, a known one answers.

    similarity = P(both are of one class) + cosine between the mapped and the known features: the class decides, and
    within a class what is left.
    """

    cox: COX
    modality: str

    def query(self, x: Floats) -> Array:
        mapped = self.cox.project(x, self.modality) - self.cox.known_mean[self.modality]
        return _side(self.cox.posterior(x), mapped / self.cox.known_spread[self.modality])

    def reference(self, y: Floats) -> Array:
        return _side(self.cox.known_posterior(y, self.modality), self.cox.known(y, self.modality))


def _side(posterior: Float64, features: Float64) -> Array:
    length = np.linalg.norm(features, axis=1, keepdims=True)
    unit = features / np.where(length > 0, length, 1)
    return np.concatenate([posterior, unit], axis=1, dtype=np.float32)


def _features(x: Floats, width: int, name: str) -> Float64:
    found = np.asarray(x, dtype=np.float64)
    if found.ndim != 2 or found.shape[1] != width or np.isinf(found).any():
        why = f"their shape is {found.shape}, or a value is infinite"
        raise Any2AnyError(
            f"COX cannot take '{name}' features", f"{why}; it takes (N, {width})", "Use the same encoder"
        )
    return found


# --- fitting --------------------------------------------------------------------------------------------------


def fit(
    new: Floats,
    known: ObservationSet,
    pairs: ArrayLike | None,
    labels: ArrayLike,
    config: CoxConfig = CoxConfig(),
    labelled: Mapping[int, Any] | None = None,
) -> COX:
    """Connect new features (N, D) to `known` (M) with classes `labels` (M,), and explore.

    pairs (P, 2): rows of `new` and of `known` that are of the same thing; labelled: classes of rows of `new` that have
    no pair. Without either, `new` must lie in the feature space of a known modality (prior alignment). Whether it does
    is tested, and Any2AnyError says so when it does not, because then nothing can tell which class is which.
    The same seed gives the same result on one machine. Raises Any2AnyError on data that does not fit together.
    """
    x, statistics = new_features(new)
    classes, label = classes_of(labels, known)
    learnt = learn_known(known, label, len(classes))
    taught = teach(len(x), learnt, pairs, labelled or {}, label, classes)
    graph = steps.neighbour_graph(x, config.neighbours)
    mapped, chance = _first_connection(x, graph, learnt, taught, config)
    sure = np.zeros(len(x), dtype=bool)
    if len(taught.rows) == 0:
        sure, config = _surest(learnt, mapped, config), dataclasses.replace(config, spread=config.spread_alone)
    for _ in range(config.rounds):
        posterior, weight = _explore(graph, learnt, taught, mapped, sure, config)
        bridge = _connect(x, posterior, weight, learnt, taught, config)
        mapped = {k: x @ w + b for k, (w, b) in bridge.items()}
        sure = np.zeros_like(sure)  # only to begin with
    learner, learner_bias = steps.softmax_regression(x, posterior, weight, PENALTY)
    _, agreeing = learnt.judge(mapped)
    return COX(
        classes, *statistics, learner, learner_bias, *_unzipped(learnt.statistics), *_unzipped(learnt.heads),
        *_unzipped(bridge), float((agreeing == 1).mean()), chance,
    )  # fmt: skip


def _first_connection(
    x: Float64, graph: Any, known: Known, taught: Taught, config: CoxConfig
) -> tuple[dict[str, Float64], float]:
    """Return the known features (N, D_k) that new ones are taken for, and the chance of such an alignment (or NaN)."""
    rows = taught.rows
    if len(rows) == 0:
        aligned = {k: x for k, z in known.features.items() if z.shape[1] == x.shape[1]}
        return aligned, _chance_alignment(x, aligned, known, config)
    pairs = taught.emergent(taught.labels, known)
    if not config.explore:
        lines = {k: steps.ridge_regression(x[rows], z[rows], config.ridge) for k, z in pairs.items()}
        return {k: x @ w + b for k, (w, b) in lines.items()}, float("nan")
    mapped = {
        k: steps.smooth_regression(x, graph, rows, z[rows], config.ridge, config.spread) for k, z in pairs.items()
    }
    return mapped, float("nan")


def _explore(
    graph: Any, known: Known, taught: Taught, mapped: dict[str, Float64], sure: NDArray[np.bool_], config: CoxConfig
) -> tuple[Float64, Float64]:
    """Return the classes' shares (N, C) of every new sample, and how much it counts (N,).

    Every sample is pulled towards the anchors of its neighbourhood, each with the anchor's own class (Eq. 13 pulls all
    to all anchors and collapses). What is labelled stays as it is.
    """
    opinion, agreeing = known.judge(mapped)
    opinion = steps.balanced(opinion**config.sharpness, known.share, config.balance)
    if not config.explore:
        told = (taught.labels.sum(axis=1) > 0) | (agreeing == 1)
        return taught.clamp(opinion), (told if told.any() else ~told).astype(np.float64)
    word = np.where(sure, 1.0, config.doubt * agreeing)[:, None]
    carried = steps.rows_to_one(steps.propagate(graph, taught.clamp(word * opinion), config.spread))
    posterior = steps.balanced(carried**config.sharpness, known.share, config.balance)
    return taught.clamp(posterior), np.ones(len(posterior))


def _connect(
    x: Float64, posterior: Float64, weight: Float64, known: Known, taught: Taught, config: CoxConfig
) -> dict[str, Line]:
    """Return the linear maps to each known modality that the emergent pairs teach."""
    pairs, used = taught.emergent(posterior, known), weight > 0
    lines = {k: steps.ridge_regression(x[used], z[used], config.ridge) for k, z in pairs.items()}
    if config.connection == "ridge":
        return lines
    from any2any_ros.learning import cox_variational as variational

    how = variational.Bottleneck(config.latent, config.kl, config.steps, config.learning_rate, config.seed)
    heads, start = ([by_name[k] for k in pairs] for by_name in (known.heads, lines))
    found = variational.connect(x, list(pairs.values()), posterior, weight, heads, start, how)
    return dict(zip(pairs, found, strict=True))


# --- without pairs --------------------------------------------------------------------------------------------


def _chance_alignment(x: Float64, aligned: dict[str, Float64], known: Known, config: CoxConfig) -> float:
    """Return how likely new features turned at random tell the known classes apart as well as these.

    Features that were never aligned are one such turn among others, so they come first with a chance of 1 in
    `rotations` + 1. Raises Any2AnyError where they are not first.
    """
    what = "A new modality without pairs or labels cannot be learnt"
    remedy = "Record a few pairs, label a few samples, or take an encoder that shares a space with a known modality"
    if not aligned:
        widths = ", ".join(f"{k} {z.shape[1]}" for k, z in known.features.items())
        why = f"nothing says which class is which: it has {x.shape[1]} features, and known are {widths}"
        raise Any2AnyError(what, why, remedy)
    draw, own = np.random.default_rng(config.seed), _told_apart(known.judge(aligned)[0])
    turned = 0
    for _ in range(config.rotations):
        turn, _ = np.linalg.qr(draw.normal(size=(x.shape[1], x.shape[1])))
        turned += _told_apart(known.judge(dict.fromkeys(aligned, x @ turn))[0]) >= own
    chance = (1 + turned) / (1 + config.rotations)
    if turned:
        why = f"turned at random, its features fit the known classes as well {turned} times of {config.rotations}"
        raise Any2AnyError(what, f"nothing says which class is which: {why}", remedy)
    return chance


def _told_apart(posterior: Float64) -> float:
    """Return the mutual information (nats) of sample and class: each is of one class, and not all of the same."""
    mean = posterior.mean(axis=0)
    return float((posterior * np.log((posterior + steps.TINY) / (mean + steps.TINY))).sum(axis=1).mean())


def _surest(known: Known, mapped: dict[str, Float64], config: CoxConfig) -> NDArray[np.bool_]:
    """Return which new samples (N,) are the `confident` surest of those that all classifiers agree about."""
    opinion, agreeing = known.judge(mapped)
    sureness = np.where(agreeing == 1, opinion.max(axis=1), -1.0)
    found = np.zeros(len(opinion), dtype=bool)
    found[np.argsort(-sureness, kind="stable")[: config.confident]] = True
    return found & (sureness >= 0)


def _unzipped(lines: dict[str, Line]) -> tuple[dict[str, Float64], dict[str, Float64]]:
    return {k: first for k, (first, _) in lines.items()}, {k: second for k, (_, second) in lines.items()}
