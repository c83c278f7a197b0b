"""Encodes described objects: views × descriptions as one observation set, with the class and object of each row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from any2any_ros.arrays import Array, Names, Rows
from any2any_ros.data.gold import MODALITIES, PICTURES, View, sample
from any2any_ros.errors import Any2AnyError
from any2any_ros.objects.views import ObjectViews
from any2any_ros.observation import ObservationSet
from any2any_ros.progress import Progress, silent
from any2any_ros.protocols import Encoder
from any2any_ros.retrieval.map_header import EncoderRecord


@dataclass(frozen=True, eq=False)
class Examples:
    """Views × descriptions, encoded: N rows, NaN where a modality is missing.

    labels, instances (N,): class and object of each row. views (N,): the encoded view of each row. refused: how many
    samples could not be read or encoded, by modality.
    """

    observations: ObservationSet
    labels: Names
    instances: Names
    views: Rows
    refused: Mapping[str, int] = field(default_factory=dict)

    def objects(self, encoders: Mapping[str, Encoder]) -> ObjectViews:
        """Return the same as training data of grounding. encoders: those that made the vectors, by modality."""
        return ObjectViews(
            dict(self.observations.embeddings), np.array(self.observations.ids), self.labels, self.instances,
            {m: asdict(EncoderRecord.of(encoder)) for m, encoder in encoders.items()},
        )  # fmt: skip


def observe(
    views: Sequence[View], encoders: Mapping[str, Encoder], most: int = 0, progress: Progress[View] = silent
) -> Examples:
    """Encode views × descriptions. Row j of a view has its j-th text, its j-th utterance, and its pictures.

    encoders: by modality (camera, depth, text, speech). most: rows of a view (0: all). A sample that cannot be read, or
    that the encoder refuses, is missing and counted in `refused`. The id of a row is "mug_2_3/0". Raises Any2AnyError
    for a modality that GoLD does not have.
    """
    unknown = sorted(set(encoders) - set(MODALITIES))
    if unknown:
        raise Any2AnyError(
            f"GoLD has no {', '.join(unknown)}", f"it has {', '.join(MODALITIES)}", "Encode one of these"
        )
    refused: Counter[str] = Counter()
    rows: list[tuple[int, int]] = []
    columns: dict[str, list[Array]] = {m: [] for m in encoders}
    for v, view in enumerate(progress(views, "encoding objects")):
        count = max(1, len(view.descriptions), len(view.utterances))
        count = min(count, most) if most else count
        rows += [(v, j) for j in range(count)]
        for m, encoder in encoders.items():
            columns[m] += _column(view, m, encoder, count, refused)
    return _examples(views, rows, columns, encoders, refused)


def _column(view: View, modality: str, encoder: Encoder, count: int, refused: Counter[str]) -> list[Array]:
    """Return the vectors of one modality for the rows of a view; a picture is encoded once for all rows."""
    if modality in PICTURES:
        return [_encoded(view, modality, 0, encoder, refused)] * count
    return [_encoded(view, modality, j, encoder, refused) for j in range(count)]


def _encoded(view: View, modality: str, j: int, encoder: Encoder, refused: Counter[str]) -> Array:
    try:
        value = sample(view, modality, j)
        if value is not None:
            return encoder.encode(value)
    except Any2AnyError:
        refused[modality] += 1
    return np.full(encoder.dimension, np.nan, dtype=np.float32)


def _examples(views: Sequence[View], rows: list[tuple[int, int]], columns: Mapping[str, list[Array]],
              encoders: Mapping[str, Encoder], refused: Counter[str]) -> Examples:  # fmt: skip
    whole = {m: np.array(column, dtype=np.float32).reshape(len(rows), encoders[m].dimension)
             for m, column in columns.items()}  # fmt: skip
    observations = ObservationSet(
        whole, np.full((len(rows), 4, 4), np.nan), tuple(f"{views[v].item}/{j}" for v, j in rows)
    )
    return Examples(
        observations, np.array([views[v].label for v, _ in rows], dtype=np.str_),
        np.array([views[v].instance for v, _ in rows], dtype=np.str_), np.array([v for v, _ in rows], dtype=np.intp),
        dict(refused),
    )  # fmt: skip
