"""EMMA's heads: they bring text, speech, colour and depth of an object into one space. Fitting: learning/emma.py.

Every modality has a head over the vectors of its frozen encoder: three linear layers with ReLU between them, and the
result scaled to length 1. A command and an object are as far apart as the mean of 1 - cos over the pairs of modalities
that both have (Eq. 9 of the paper, docs/emma.md). Applying the heads needs NumPy only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, ClassVar

import numpy as np

from any2any_ros.alignments import FunctionAlignment
from any2any_ros.arrays import Array, Floats, unit
from any2any_ros.declared import POSITIVE
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Alignment
from any2any_ros.standardisation import standardised

LAYERS = 3


@dataclass(frozen=True, eq=False)
class EMMA:
    """Fitted heads, float32: mean and spread (D,) of the training vectors by modality; weights (in, out) and biases
    (out,) by "modality/layer"."""

    kind: ClassVar[str] = "heads"
    plug: ClassVar[str] = "emma"

    mean: dict[str, Array]
    spread: dict[str, Annotated[Array, POSITIVE]]
    weights: dict[str, Array]
    biases: dict[str, Array]

    def __post_init__(self) -> None:
        layers = {f"{m}/{i}" for m in self.mean for i in range(LAYERS)}
        if {*self.spread} != {*self.mean} or {*self.weights} != layers or {*self.biases} != layers:
            raise ValueError("a head lacks a layer, its mean or its spread")
        for modality, mean in self.mean.items():
            width = mean.shape
            fits = mean.ndim == 1 and self.spread[modality].shape == width
            for name in (f"{modality}/{i}" for i in range(LAYERS)):
                fits = fits and self.weights[name].shape == (*width, *self.biases[name].shape)
                width = self.biases[name].shape
            if not fits:
                raise ValueError(f"the layers of the '{modality}' head do not fit together")
        if len({self.biases[f"{m}/{LAYERS - 1}"].shape for m in self.mean}) > 1:
            raise ValueError("its heads lead into spaces of different dimensions")

    @property
    def modalities(self) -> tuple[str, ...]:
        return tuple(sorted(self.mean))

    def project(self, modality: str, x: Floats) -> Array:
        """Return (N, dims) of length 1 for an encoder's vectors x (N, D); a NaN row (missing) stays NaN.

        Raises Any2AnyError for a modality without a head, for another dimension, and for infinite values.
        """
        x = np.asarray(x, dtype=np.float32)
        self._check_vectors(modality, x)
        z = standardised(x, self.mean[modality], self.spread[modality])
        for layer in range(LAYERS):
            z = z @ self.weights[f"{modality}/{layer}"] + self.biases[f"{modality}/{layer}"]
            z = np.maximum(z, 0) if layer < LAYERS - 1 else z
        return np.where(np.isnan(z), z, unit(z))

    def distance(self, query: ObservationSet, reference: ObservationSet) -> Array:
        """Return (Q, R): the mean of 1 - cos over the pairs of modalities that both sides have (Eq. 9), NaN for none.

        Every modality of the query is compared with every modality of the reference; `.only()` restricts them.
        Modalities without a head are ignored.
        """
        total = np.zeros((len(query), len(reference)), dtype=np.float32)
        pairs = np.zeros_like(total)
        projected = {r: self.project(r, reference.embeddings[r]) for r in self.modalities if r in reference.embeddings}
        for q in (m for m in self.modalities if m in query.embeddings):
            z = self.project(q, query.embeddings[q])
            for r, candidates in projected.items():
                both = query.present(q)[:, None] & reference.present(r)
                total += np.where(both, 1 - z @ candidates.T, 0)
                pairs += both
        return np.where(pairs > 0, total / np.maximum(pairs, 1), np.float32(np.nan))

    def alignments(
        self, query_modalities: Iterable[str], reference_modalities: Iterable[str]
    ) -> dict[tuple[str, str], Alignment]:
        """Return an alignment of each query modality with each reference modality, for a Retriever.

        The mean of their similarities is 1 - distance. Raises Any2AnyError for a modality without a head.
        """
        query, reference = tuple(query_modalities), tuple(reference_modalities)
        head = {m: partial(self.project, m) for m in (*query, *reference)}
        for modality in head:
            self._check_known(modality)
        return {(q, r): FunctionAlignment(head[q], head[r]) for q in query for r in reference}

    def _check_known(self, modality: str) -> None:
        if modality not in self.mean:
            raise Any2AnyError(
                f"There is no head for '{modality}'",
                f"there are heads for {', '.join(self.modalities)}",
                "Correct its name, or train with data that has it",
            )

    def _check_vectors(self, modality: str, x: Array) -> None:
        self._check_known(modality)
        width = len(self.mean[modality])
        if x.ndim != 2 or x.shape[1] != width or np.isinf(x).any():
            why = "it has infinite values" if x.ndim == 2 and x.shape[1] == width else f"its shape is {x.shape}"
            raise Any2AnyError(
                f"The '{modality}' head cannot take a vector", f"{why}; it takes (N, {width}), finite, or NaN rows",
                "Use the encoder that the heads were trained with",
            )  # fmt: skip
