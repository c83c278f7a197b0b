"""Adoption: a sensor that the map lacks learns to query it from the places that the map's own sensors recognise.

An *emergent pair* is a moment of a drive in which the map's own sensors recognised a place and the calibration accepted
the answer. The drive needs no poses: the place of a moment is the place of its match. In each of these moments, the
new sensor's vector stands beside those of the known sensors. From these pairs one head is fitted for each known sensor
(learning/head.py). Its recipe is chosen on places that the head has not seen. The same held-out pairs test whether the
sensor tells places apart: are right places ranked better than when the drive is shifted against itself? Fusion and
confidence of the new sensor are fitted on held-out pairs, too. retrieval/adopted.py stores the result with the map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from any2any_ros.alignments import FunctionAlignment, Head
from any2any_ros.arrays import Array, Flags, Float64, Rows
from any2any_ros.config import Settings, setting
from any2any_ros.data import splits
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import head
from any2any_ros.learning.head import RECIPES, Recipe, Space
from any2any_ros.observation import ObservationSet
from any2any_ros.progress import Progress, silent
from any2any_ros.retrieval.calibration import uncalibrated
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever

FOLDS, CELL = 4, 60.0  # pairs in one square of CELL metres are held out together; the squares make up FOLDS folds


@dataclass(frozen=True)
class AdoptionConfig(Settings):
    """What a sensor must fulfil to be adopted."""

    min_pairs: int = setting(150, "least number of emergent pairs", minimum=20, maximum=1_000_000)
    doubt: float = setting(
        0.01, "highest probability of adopting a sensor that knows no places", minimum=0.0001, maximum=0.2
    )


@dataclass(frozen=True, eq=False)
class FittedHeads:
    """The heads that were fitted on N emergent pairs.

    By modality of the map: heads; recipes; held_out (N, S), the vector of every pair by a head that has not seen its
    place. rank: mean reciprocal rank of the right place, for these vectors. chance: the same by chance. p_value:
    probability that chance reaches `rank`.
    """

    heads: dict[str, Head]
    recipes: dict[str, Recipe]
    held_out: dict[str, Array]
    rank: float
    chance: float
    p_value: float


def recognised(retriever: Retriever, frames: ObservationSet, progress: Progress[int] = silent) -> tuple[Rows, Rows]:
    """Return the frames whose best match is accepted (N,), and the reference (row) that each matches (N,)."""
    row_of = {name: i for i, name in enumerate(retriever.places.ids)}
    accepted = []
    for i in progress(range(len(frames)), "recognising"):
        ranking = retriever.rank(frames.observation(i), 1)
        if ranking.accepted:
            accepted.append((i, row_of[ranking.matches[0].id]))
    pairs = np.array(accepted, dtype=np.intp).reshape(-1, 2)
    return pairs[:, 0], pairs[:, 1]


def fit_heads(
    places: ObservationSet, pairs: ObservationSet, modality: str, hit_radius: float, recipes: Sequence[Recipe] = RECIPES
) -> FittedHeads:
    """Fit the heads of a new sensor on emergent pairs.

    places: the map's. pairs: vectors of the new sensor and of the known sensors in the same moments, with the poses of
    the matches. hit_radius: metres within which a place is right. recipes: those to choose from. Raises Any2AnyError
    when all pairs lie at one place, or when the new sensor is alive in too few moments together with a known one.
    """
    if len(np.unique(by_cell(pairs.poses))) < 2:
        raise Any2AnyError(f"Cannot adopt '{modality}'", "all pairs lie at one place", "Drive through more of the map")
    positive = splits.positives(pairs.poses, places.poses, hit_radius)
    known = sorted(set(places.embeddings) & set(pairs.embeddings) - {modality})
    data = {m: _HeadData.of(places, pairs, modality, m, positive) for m in known}
    fitted = {m: _fit_head(of_modality, recipes) for m, of_modality in data.items() if of_modality.enough()}
    if not fitted:
        why = f"the drive has it in no moment together with {', '.join(places.embeddings)}"
        raise Any2AnyError(f"Cannot adopt '{modality}'", why, "Give a drive on which both are alive")
    # The heads are judged together. Under every shift each head chooses its recipe anew.
    quality = np.mean([one.quality for one in fitted.values()], axis=0)
    rank, by_chance = quality[0], quality[1:]
    return FittedHeads(
        {m: one.head for m, one in fitted.items()},
        {m: one.recipe for m, one in fitted.items()},
        {m: one.held_out for m, one in fitted.items()},
        float(rank), float(by_chance.mean()), float((1 + (by_chance >= rank).sum()) / (1 + len(by_chance))),
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _HeadData:
    """The data for one head, from the new sensor to one known modality. N pairs, R places with that modality.

    new (N, Dq), known (N, Dr): vectors of the pairs. both (N,): the pairs that have both. folds (N,): of the pairs.
    references (R, Dr): vectors of the places. right (N, R): the right places of each pair.
    """

    new: Array
    known: Array
    both: Flags
    folds: Rows
    references: Array
    right: Flags

    @classmethod
    def of(cls, places: ObservationSet, pairs: ObservationSet, modality: str, known: str, positive: Flags) -> _HeadData:
        """modality: of the new sensor. known: of the map. positive: the right ones of all places of the map."""
        both, present = pairs.present(modality) & pairs.present(known), places.present(known)
        references = places.embeddings[known][present]
        folds = by_cell(pairs.poses)
        return cls(pairs.embeddings[modality], pairs.embeddings[known], both, folds, references, positive[:, present])

    def enough(self) -> bool:
        """Whether a head can be fitted without any one of the folds."""
        return min(self.outside(f).sum() for f in np.unique(self.folds)) >= 2 and len(self.references) >= 2

    def outside(self, fold: int) -> Flags:
        """Return (N,): the pairs with both vectors that are not in this fold."""
        return np.asarray(self.both & (self.folds != fold))


@dataclass(frozen=True, eq=False)
class _FittedHead:
    """A head, its recipe, the held-out vectors (N, S), and quality (1 + K,): by `_by_shift`, of the best recipe for
    each shift."""

    head: Head
    recipe: Recipe
    held_out: Array
    quality: Float64


def _fit_head(data: _HeadData, recipes: Sequence[Recipe]) -> _FittedHead:
    """Fit a head by the recipe that ranks held-out places best."""
    space = Space.of(data.references)
    trials = [_held_out(data, space, recipe) for recipe in recipes]
    best = int(np.argmax([quality[0] for _, quality in trials]))
    fitted = head.fit(data.new[data.both], data.known[data.both], space, recipes[best])
    return _FittedHead(fitted, recipes[best], trials[best][0], np.max([quality for _, quality in trials], axis=0))


def _held_out(data: _HeadData, space: Space, recipe: Recipe) -> tuple[Array, Float64]:
    """Return the vectors (N, S) of all pairs by heads that have not seen their fold, and their quality (1 + K,)."""
    vectors = np.zeros((len(data.new), space.axes.shape[1]), dtype=np.float32)
    for f in np.unique(data.folds):
        train, test = data.outside(f), data.folds == f
        fitted = head.fit(data.new[train], data.known[train], space, recipe)
        vectors[test] = fitted.query(data.new[test])
    references = fitted.reference(data.references)  # the same by the heads of all folds
    return vectors, _by_shift(vectors @ references.T, data.right)


def _by_shift(similarity: Array, right: Flags) -> Float64:
    """Return the mean reciprocal rank of the best right place (1 + K,): first as it is, then by chance.

    similarity (Q, R) and right (Q, R). Chance: each of K shifts of the queries against their places, by at least a
    twentieth of the drive.
    """
    count = len(similarity)
    rank = np.empty_like(similarity, dtype=np.intp)
    np.put_along_axis(rank, np.argsort(-similarity, axis=1), np.arange(1, similarity.shape[1] + 1)[None], axis=1)
    # [i, j]: for query i, 1 / the best rank of any right place of query j; 0 where j has none
    reciprocal = np.stack([1 / rank[:, r].min(axis=1) if r.any() else np.zeros(count) for r in right], axis=1)
    rows, least = np.arange(count), count // 20 + 1
    shifts = [0, *range(least, count - least)]
    return np.array([reciprocal[rows, (rows + shift) % count].mean() for shift in shifts])


def by_cell(poses: Float64) -> Rows:
    """Return (N,): the fold of each pose (N, 4, 4). Poses in one square of CELL metres have the same fold."""
    x, y = np.floor(poses[:, :2, 3] / CELL).astype(np.intp).T
    return np.asarray((x + 2 * y) % FOLDS)


def baseline(
    reference: ReferenceMap, pairs: ObservationSet, modality: str, fitted: FittedHeads, same_place: float
) -> tuple[Retriever, ObservationSet]:
    """Return what the new sensor is calibrated with: a retriever, and the held-out vectors of the pairs as its queries.

    A query holds the held-out vectors of all heads, one after the other. Each head's alignment takes its own columns.
    """
    ends = np.cumsum([v.shape[1] for v in fitted.held_out.values()]).tolist()
    alignments = {
        # A held-out vector already lies in the space of its head.
        (modality, known): FunctionAlignment(
            partial(_columns, end - vectors.shape[1], end), fitted.heads[known].reference
        )
        for (known, vectors), end in zip(fitted.held_out.items(), ends, strict=True)
    }
    column = np.concatenate(list(fitted.held_out.values()), axis=1)
    queries = replace(pairs, embeddings={modality: column})
    plain = replace(uncalibrated(reference, same_place), alignments=alignments)
    return Retriever(reference, plain), queries


def _columns(start: int, stop: int, x: Array) -> Array:
    return np.ascontiguousarray(x[:, start:stop])
