"""Described views of objects: what heads are trained on, and what grounding is calibrated and judged on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros import declared
from any2any_ros.arrays import Array, Names
from any2any_ros.declared import UNKNOWN
from any2any_ros.errors import Any2AnyError, explained
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.map_header import EncoderRecord


@dataclass(frozen=True, eq=False)
class ObjectViews:
    """N views of objects, with the vectors of what was seen and said.

    embeddings: vectors (N, D) by modality, a NaN row where the modality was not recorded. ids (N,): unique, of the
    views. classes, instances (N,): what each view shows, such as "mug" and "mug_2". encoders: a record of the encoder
    that made the vectors, by modality. `storage.save` writes it, so that the vectors are computed only once.
    Raises Any2AnyError when the parts do not fit together.
    """

    kind: ClassVar[str] = "objects"
    plug: ClassVar[str] = "views"

    embeddings: dict[str, Annotated[Array, UNKNOWN]]
    ids: Names
    classes: Names
    instances: Names
    encoders: dict[str, dict[str, Any]]

    def __post_init__(self) -> None:
        shapes = {np.shape(self.ids), np.shape(self.classes), np.shape(self.instances)}
        pairs = {(str(i), str(c)) for i, c in zip(self.instances, self.classes, strict=False)}
        if len(shapes) > 1 or len(pairs) != len(set(np.asarray(self.instances).tolist())):
            differ, twice = f"ids, classes and instances have shapes {shapes}", "an instance has two classes"
            why = differ if len(shapes) > 1 else twice
            raise Any2AnyError("The objects do not fit together", why, "Give every view one instance of one class")
        with explained("The objects do not fit together", "Encode the objects again"):
            made = {m: declared.build(EncoderRecord, record).dimension for m, record in self.encoders.items()}
        have = {m: vectors.shape[-1] for m, vectors in self.observations.embeddings.items()}  # validates the vectors
        if made and made != have:
            why = f"their vectors have {have} dimensions, their encoders make {made}"
            raise Any2AnyError("The objects do not fit together", why, "Encode the objects again")

    @cached_property
    def observations(self) -> ObservationSet:
        """Return the views as an observation set. Their poses are unknown (NaN)."""
        ids = tuple(np.asarray(self.ids).tolist())
        return ObservationSet(self.embeddings, np.full((len(ids), 4, 4), np.nan), ids)

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, index: ArrayLike) -> ObjectViews:
        """Return some of the views. index: row numbers, or flags (N,)."""
        vectors, rows = dict(self.observations.take(index).embeddings), np.asarray(index)
        return ObjectViews(vectors, self.ids[rows], self.classes[rows], self.instances[rows], self.encoders)
