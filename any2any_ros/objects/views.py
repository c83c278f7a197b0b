"""Views of objects with what they are called: what grounding is learnt from and judged on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros.arrays import Array, Names
from any2any_ros.errors import Any2AnyError
from any2any_ros.observation import ObservationSet


@dataclass(frozen=True, eq=False)
class Objects:
    """N views: vectors (N, D) by modality, a NaN row where one was not recorded; ids (N,), unique, of the views; the
    class ("mug") and the instance ("mug_2") that each shows; encoders: what made a modality's vectors, by name.

    `storage.save` keeps it, so that vectors need to be worked out once only.
    """

    kind: ClassVar[str] = "objects"
    plug: ClassVar[str] = "views"

    embeddings: dict[str, Array]
    ids: Names
    classes: Names
    instances: Names
    encoders: dict[str, dict[str, Any]]

    def __post_init__(self) -> None:
        shapes = {np.shape(self.ids), np.shape(self.classes), np.shape(self.instances)}
        pairs = {(str(i), str(c)) for i, c in zip(self.instances, self.classes, strict=False)}
        if len(shapes) > 1 or len(pairs) != len(set(np.asarray(self.instances).tolist())):
            why = f"ids, classes and instances have shapes {shapes}" if len(shapes) > 1 else "one is of two classes"
            raise Any2AnyError("The objects do not fit together", why, "Give every view one instance of one class")
        assert len(self.observations) == len(self.ids)  # has looked at the vectors

    @cached_property
    def observations(self) -> ObservationSet:
        """Return the views as the retriever takes them; where they stand is not known."""
        ids = tuple(np.asarray(self.ids).tolist())
        return ObservationSet(self.embeddings, np.full((len(ids), 4, 4), np.nan), ids)

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, index: ArrayLike) -> Objects:
        """Return some of the views: integers, or a bool mask (N,)."""
        kept, rows = self.observations.take(index), np.asarray(index)
        return Objects(dict(kept.embeddings), self.ids[rows], self.classes[rows], self.instances[rows], self.encoders)
