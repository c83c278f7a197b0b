"""The fitted state of COX (learning/cox.py): a classifier of a new sensor's features, and linear maps to known ones."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros.alignments import FunctionAlignment
from any2any_ros.arrays import Array, Float64, Floats, unit
from any2any_ros.declared import POSITIVE, SHARE, UNKNOWN
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import cox_steps as steps
from any2any_ros.protocols import Alignment
from any2any_ros.standardisation import standardised


@dataclass(frozen=True, eq=False)
class COX:
    """A new sensor that was connected to known modalities.

    classes (C,). mean and spread (D,) of the new features; learner (D, C) and learner_bias (C,), their classifier.
    By known modality of D_k features: known_mean and known_spread (D_k,); heads (D_k, C) and head_bias (C,), its frozen
    classifier; bridge (D, D_k) and bridge_bias (D_k,), the map from the new features. agreement: share of the new
    samples about which all known classifiers agree in the end. chance_alignment: in fitting without pairs and labels,
    the probability that features without any alignment look as well aligned as these; otherwise NaN.
    """

    kind: ClassVar[str] = "learner"
    plug: ClassVar[str] = "cox"

    classes: NDArray[Any]
    mean: Float64
    spread: Annotated[Float64, POSITIVE]
    learner: Float64
    learner_bias: Float64
    known_mean: dict[str, Float64]
    known_spread: dict[str, Annotated[Float64, POSITIVE]]
    heads: dict[str, Float64]
    head_bias: dict[str, Float64]
    bridge: dict[str, Float64]
    bridge_bias: dict[str, Float64]
    agreement: Annotated[float, SHARE]
    chance_alignment: Annotated[float, UNKNOWN]

    def __post_init__(self) -> None:
        d, c = self.mean.shape, self.classes.shape
        of_known = self.known_mean, self.known_spread, self.heads, self.head_bias, self.bridge, self.bridge_bias
        if any({*each} != {*self.heads} for each in of_known):
            raise ValueError("a known modality lacks a part")
        pairs = [(d, self.spread.shape), (d + c, self.learner.shape), (c, self.learner_bias.shape)]
        for m, mean in self.known_mean.items():
            k = mean.shape
            pairs += [(k, self.known_spread[m].shape), (k + c, self.heads[m].shape), (c, self.head_bias[m].shape)]
            pairs += [(d + k, self.bridge[m].shape), (k, self.bridge_bias[m].shape)]
        if len(d) != 1 or len(c) != 1 or any(expected != shape for expected, shape in pairs):
            raise ValueError("its classifiers and maps do not fit together")

    @property
    def modalities(self) -> tuple[str, ...]:
        """Return the known modalities, sorted."""
        return tuple(sorted(self.heads))

    def posterior(self, new: Floats) -> Float64:
        """Return P(class | new features (N, D)), (N, C), by the learner; NaN rows (missing) stay NaN."""
        return steps.softmax(self._standardised_new(new) @ self.learner + self.learner_bias)

    def classify(self, new: Floats) -> NDArray[Any]:
        """Return the most probable class (N,) of new features (N, D); raise Any2AnyError when a row is NaN."""
        posterior = self.posterior(new)
        if np.isnan(posterior).any():
            raise Any2AnyError("COX cannot classify", "a row is missing (NaN)", "Leave missing rows out")
        return np.asarray(self.classes[posterior.argmax(axis=1)])

    def project(self, new: Floats, modality: str) -> Array:
        """Return new features (N, D) mapped to those of `modality` (N, D_k), in its own units; NaN rows stay NaN."""
        self._check_known(modality)
        mapped = self._standardised_new(new) @ self.bridge[modality] + self.bridge_bias[modality]
        return np.asarray(mapped * self.known_spread[modality] + self.known_mean[modality], dtype=np.float32)

    def alignments(self, name: str) -> dict[tuple[str, str], Alignment]:
        """Return an alignment of the new modality, called `name`, with each known one, for a Retriever.

        The similarity is P(both are of one class) + the cosine between the mapped and the known features: the class
        decides, and the cosine ranks within a class.
        """
        return {
            (name, m): FunctionAlignment(partial(self._query, m), partial(self._reference, m)) for m in self.modalities
        }

    def known_posterior(self, known: Floats, modality: str) -> Float64:
        """Return P(class | features (N, D_k)), (N, C), by the frozen classifier of a known modality."""
        self._check_known(modality)
        return steps.softmax(self.standardised_known(known, modality) @ self.heads[modality] + self.head_bias[modality])

    def standardised_known(self, y: Floats, modality: str) -> Float64:
        """Return features (N, D_k) of a known modality in its standard deviations."""
        mean, spread = self.known_mean[modality], self.known_spread[modality]
        return standardised(_features(y, len(mean), modality), mean, spread)

    def _standardised_new(self, x: Floats) -> Float64:
        return standardised(_features(x, len(self.mean), "new"), self.mean, self.spread)

    def _query(self, modality: str, x: Floats) -> Array:
        mapped = self.project(x, modality) - self.known_mean[modality]
        return _class_and_direction(self.posterior(x), mapped / self.known_spread[modality])

    def _reference(self, modality: str, y: Floats) -> Array:
        return _class_and_direction(self.known_posterior(y, modality), self.standardised_known(y, modality))

    def _check_known(self, modality: str) -> None:
        if modality not in self.heads:
            why = f"it was taught with {', '.join(self.modalities)}"
            raise Any2AnyError(f"COX does not know '{modality}'", why, "Correct its name, or fit with data that has it")


def _class_and_direction(posterior: Float64, features: Float64) -> Array:
    """Return (N, C + D): the posterior beside the features scaled to length 1; NaN rows stay NaN."""
    direction = np.where(np.isnan(features), features, unit(features))
    return np.concatenate([posterior, direction], axis=1, dtype=np.float32)


def _features(x: Floats, width: int, name: str) -> Float64:
    values = np.asarray(x, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != width or np.isinf(values).any():
        why = f"their shape is {values.shape}, or a value is infinite; it takes (N, {width})"
        raise Any2AnyError(f"COX cannot take '{name}' features", why, "Use the same encoder")
    return values
