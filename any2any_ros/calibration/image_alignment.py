"""How a calibration aligns the bird's-eye images of its queries with those of the map (refinement.py fits the rest)."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from any2any_ros.arrays import Float64, Rows
from any2any_ros.calibration.refinement import Overlaps, ScanRegistration
from any2any_ros.calibration.task import Task
from any2any_ros.geometry.refiner import RefinerConfig
from any2any_ros.retrieval.image_alignment import ImageAlignment, Known
from any2any_ros.retrieval.large.search import top_k
from any2any_ros.retrieval.retriever import SHORTLIST

MOST = 2000  # queries that are aligned, some 20 ms each; of more, so many are drawn


def registration(alignment: ImageAlignment, task: Task) -> ScanRegistration | None:
    """Return how the images of a task's queries are aligned; None when queries and map have none of one sensor."""
    sensor = alignment.modality(task.queries.birds_eye)
    if sensor is None:
        return None
    images = task.queries.birds_eye[sensor]
    known: Known = {}

    def fits(query: int, rows: Rows) -> dict[int, float]:
        if not images[query].any():
            return {}
        found = alignment.fits(alignment.query(sensor, task.queries.observation(query)), rows, known)
        return {row: fit.score for row, fit in found.items()}

    def register(wanted: Mapping[int, Rows]) -> Overlaps:
        return {query: fits(query, rows) for query, rows in wanted.items()}

    def choose(query: int, scores: Float64) -> Rows:
        return alignment.first_places(top_k(scores, SHORTLIST), sensor, task.queries.embeddings[sensor][query])

    def counted(query: int, scores: Float64) -> Mapping[int, float]:
        return {row: fit for row, fit in fits(query, choose(query, scores)).items() if not np.isnan(scores[row])}

    return ScanRegistration(register, RefinerConfig(alignment.candidates, MOST), sensor, choose, counted)
