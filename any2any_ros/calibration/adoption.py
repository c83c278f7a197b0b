"""How a sensor that the map lacks is adopted: it learns to query the old map from what the other sensors recognised.

Its *emergent pairs* are the moments of a drive that the map's own sensors recognised and the calibration accepted. No
pose of the drive is used: the place of a moment is the place of its match. In each of these moments, the new sensor's
vector stands beside those of the known sensors. From these pairs a head is fitted for each known sensor
(learning/head.py); its recipe is chosen on places that the head has not seen. The same held-out pairs tell whether the
sensor knows places at all: are the right places found better than when the drive is shifted against itself? The heads'
fusion and confidence are fitted on held-out pairs, too. retrieval/adopted.py keeps the result with the map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from any2any_ros.alignments import FunctionAlignment, Head
from any2any_ros.arrays import Array, Flags, Float64, Rows
from any2any_ros.config import Settings, setting
from any2any_ros.data import splits
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import head
from any2any_ros.learning.head import RECIPES, Recipe, Space
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.calibration import uncalibrated
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever

FOLDS, CELL = 4, 60.0  # places held out together: squares of so many metres, dealt out to so many folds
Progress = Callable[[Iterable[int], str], Iterable[int]]  # wraps a loop, with what it does


@dataclass(frozen=True)
class AdoptionConfig(Settings):
    """What an adoption demands."""

    min_pairs: int = setting(150, "least number of emergent pairs", minimum=20, maximum=1_000_000)
    doubt: float = setting(
        0.01, "highest probability of adopting a sensor that knows no places", minimum=0.0001, maximum=0.2
    )


@dataclass(frozen=True, eq=False)
class Lesson:
    """What was learnt from emergent pairs.

    By modality of the map: the head, its recipe, and held_out: every pair's vector (N, S) by a head that has not seen
    its place. rank: mean reciprocal rank of the right place over these vectors; chance: the same by chance; p_value:
    probability that chance reaches that rank.
    """

    heads: dict[str, Head]
    recipes: dict[str, Recipe]
    held_out: dict[str, Array]
    rank: float
    chance: float
    p_value: float


def recognised(
    retriever: Retriever, frames: ObservationSet, progress: Progress = lambda loop, what: loop
) -> tuple[Rows, Rows]:
    """Return the frames (N,) whose best match is accepted, and the reference (row) that each matches (N,)."""
    row = {name: i for i, name in enumerate(retriever.places.ids)}
    found = []
    for i in progress(range(len(frames)), "recognising"):
        ranking = retriever.rank(frames.observation(i), 1)
        if ranking.accepted:
            found.append((i, row[ranking.matches[0].id]))
    pairs = np.array(found, dtype=np.intp).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def learn(
    places: ObservationSet, pairs: ObservationSet, modality: str, hit_radius: float, recipes: Sequence[Recipe] = RECIPES
) -> Lesson:
    """Fit a sensor's heads on emergent pairs.

    pairs: vectors of the sensor and of the known sensors in the same moments, with the poses of the matches. recipes:
    those among which to choose. Raises Any2AnyError when the pairs lie in too few places.
    """
    folds = by_cell(pairs.poses)
    if len(np.unique(folds)) < 2:
        raise Any2AnyError(f"Cannot adopt '{modality}'", "all pairs lie at one place", "Drive through more of the map")
    positive = splits.positives(pairs.poses, places.poses, hit_radius)
    lessons = {}
    for known in sorted(set(places.embeddings) & set(pairs.embeddings) - {modality}):
        both = pairs.present(modality) & pairs.present(known)
        if min((both & (folds != f)).sum() for f in np.unique(folds)) >= 2 and places.present(known).sum() >= 2:
            lessons[known] = _learn_one(places, pairs.take(both), pairs, modality, known, positive, recipes)
    if not lessons:
        why = f"the drive has it in no moment together with {', '.join(places.embeddings)}"
        raise Any2AnyError(f"Cannot adopt '{modality}'", why, "Give a drive on which both are alive")
    # Heads are judged together; under every shift each head chooses its recipe anew.
    together = np.mean([lesson.by_shift for lesson in lessons.values()], axis=0)
    null = together[1:]
    return Lesson(
        {m: lesson.head for m, lesson in lessons.items()},
        {m: lesson.recipe for m, lesson in lessons.items()},
        {m: lesson.held_out for m, lesson in lessons.items()},
        float(together[0]), float(null.mean()), float((1 + (null >= together[0]).sum()) / (1 + len(null))),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _OneLesson:
    head: Head
    recipe: Recipe
    held_out: Array
    by_shift: Float64


def _learn_one(
    places: ObservationSet, both: ObservationSet, pairs: ObservationSet, modality: str, known: str,
    positive: Flags, recipes: Sequence[Recipe],
) -> _OneLesson:  # fmt: skip
    """Fit the head for one of the map's modalities, by the recipe that finds held-out places best."""
    there = places.present(known)
    references, new = places.embeddings[known][there], pairs.embeddings[modality]
    space, right = Space.of(references), positive[:, there]
    x, y = both.embeddings[modality], both.embeddings[known]
    folds, fold = by_cell(pairs.poses), by_cell(both.poses)
    asked, quality = [], []
    for recipe in recipes:
        held_out = np.zeros((len(new), space.axes.shape[1]), dtype=np.float32)
        for f in np.unique(folds):
            learnt = head.fit(x[fold != f], y[fold != f], space, recipe)
            held_out[folds == f] = learnt.query(new[folds == f])
        asked.append(held_out)
        quality.append(_by_shift(held_out @ learnt.reference(references).T, right))
    best = int(np.argmax([q[0] for q in quality]))
    whole = head.fit(x, y, space, recipes[best])
    return _OneLesson(whole, recipes[best], asked[best], np.max(quality, axis=0))


def _by_shift(similarity: Array, right: Flags) -> Float64:
    """Return the mean reciprocal rank (1 + K,) of the best right place: as it is, and after each of K shifts of the
    queries (Q, R) against their places by at least a twentieth of the drive."""
    count = len(similarity)
    rank = np.empty_like(similarity, dtype=np.intp)
    np.put_along_axis(rank, np.argsort(-similarity, axis=1), np.arange(1, similarity.shape[1] + 1)[None], axis=1)
    # of query i, the best rank among the right places of query j; 1 / inf where that has none
    reciprocal = np.stack([1 / rank[:, r].min(axis=1) if r.any() else np.zeros(count) for r in right], axis=1)
    rows, least = np.arange(count), count // 20 + 1
    shifts = [0, *range(least, count - least)]
    return np.array([reciprocal[rows, (rows + shift) % count].mean() for shift in shifts])


def by_cell(poses: Float64) -> NDArray[np.intp]:
    """Return (N,): which of FOLDS each pose (N, 4, 4) belongs to; those in one square of CELL metres stay together."""
    x, y = np.floor(poses[:, :2, 3] / CELL).astype(np.intp).T
    return np.asarray((x + 2 * y) % FOLDS)


def baseline(
    reference: ReferenceMap, pairs: ObservationSet, modality: str, lesson: Lesson, same_place: float
) -> tuple[Retriever, ObservationSet]:
    """Return a retriever that compares held-out pairs with the map, and these pairs, to calibrate the new sensor."""
    ends = np.cumsum([v.shape[1] for v in lesson.held_out.values()]).tolist()
    alignments = {
        # A held-out vector is in its head's space already.
        (modality, known): FunctionAlignment(
            partial(_columns, end - vectors.shape[1], end), lesson.heads[known].reference
        )
        for (known, vectors), end in zip(lesson.held_out.items(), ends, strict=True)
    }
    column = np.concatenate(list(lesson.held_out.values()), axis=1)
    queries = replace(pairs, embeddings={modality: column})
    plain = replace(uncalibrated(reference, same_place), alignments=alignments)
    return Retriever(reference, plain), queries


def _columns(start: int, stop: int, x: Array) -> Array:
    return np.ascontiguousarray(x[:, start:stop])
