"""A sensor that the map lacks is adopted: it learns from what the others recognised to ask the old map by itself.

Its *emergent pairs* are the moments of a drive that the known sensors recognised and the calibration accepted. No pose
of the drive is used: a moment is where its match is. In every such moment the new sensor's vector stands beside those
of the known ones, from which a head is learnt for each of them (learning/head.py); how, is chosen on places that the
head has not seen. Whether there is anything to learn, the same held-out pairs say: are their places found better than
when the drive is shifted against itself? The heads' own fusion and confidence are fitted on held-out pairs, too.

MAP/adopted/<modality>/adopted.json   the sensor's encoder, the map's, and how the adoption went: it is whole when there
                       head-<n>       a head for each of the map's modalities
                       calibration/   of the new sensor alone (retrieval/calibration.py)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros import storage
from any2any_ros.alignments import Head
from any2any_ros.arrays import Array, Flags, Float64, Rows
from any2any_ros.config import Settings, setting
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.imputers.none import NO_IMPUTER
from any2any_ros.learning import head
from any2any_ros.learning.head import RECIPES, Recipe, Space
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval import calibration
from any2any_ros.retrieval.calibration import Calibration
from any2any_ros.retrieval.reference_map import ADOPTED, EncoderRecord, ReferenceMap
from any2any_ros.retrieval.retriever import Retriever

FORMAT, HEADER = 1, "adopted.json"
FOLDS, CELL = 4, 60.0  # places held out together: squares of so many metres, dealt out to so many folds
Progress = Callable[[Iterable[int], str], Iterable[int]]  # wraps a loop, with what it does


@dataclass(frozen=True)
class AdoptionConfig(Settings):
    """What an adoption demands."""

    min_pairs: int = setting(150, "emergent pairs, at least", minimum=20, maximum=1_000_000)
    doubt: float = setting(
        0.01, "probability of taking a sensor for one that knows places when it does not", minimum=0.0001, maximum=0.2
    )


@dataclass(frozen=True, eq=False)
class Adopted:
    """A sensor that has learnt to ask a map: its encoder, a head by modality of the map, the calibration of its answers
    (bound to the encoders of both sides), and how the adoption went."""

    modality: str
    encoder: EncoderRecord
    heads: Mapping[str, Head]
    calibration: Calibration
    report: Mapping[str, Any] = field(default_factory=dict)

    def retriever(self, reference: ReferenceMap) -> Retriever:
        """Return what ranks the map for this sensor alone; raises Any2AnyError when the map's encoders are others."""
        expected = fingerprints(reference, self.modality, self.encoder)
        if self.calibration.encoders != expected:
            raise Any2AnyError(
                f"The adopted '{self.modality}' does not fit map '{reference.name}'",
                f"it was made for {self.calibration.encoders}, here are {expected}",
                "Adopt it again: any2any adopt MAP DRIVE",
            )
        c, kept = self.calibration, reference.kept.of(f"{ADOPTED}/{self.modality}")
        alignments = {(self.modality, known): learnt for known, learnt in self.heads.items()}
        return Retriever(reference.places, alignments, c.fusion, NO_IMPUTER, c.confidence, c.same_place, kept=kept)


@dataclass(frozen=True, eq=False)
class Lesson:
    """What was learnt. By modality of the map: the head, its recipe, and every pair's vector (N, S) by a head that has
    not seen its place. Of these: the mean reciprocal rank of the right place, what chance makes of it, and how probable
    it is that chance makes as much."""

    heads: dict[str, Head]
    recipes: dict[str, Recipe]
    held_out: dict[str, Array]
    rank: float
    chance: float
    p_value: float


def recognised(
    retriever: Retriever, frames: ObservationSet, progress: Progress = lambda loop, what: loop
) -> tuple[Rows, Rows]:
    """Return the frames (N,) whose best match is accepted, and which reference each of them is (N,)."""
    row = {name: i for i, name in enumerate(retriever.reference.ids)}
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
    """Learn a sensor's heads from emergent pairs: its vectors and the known sensors' in the same moments, and for poses
    those of the matches; recipes: among which to choose. Raises Any2AnyError when they lie in too few places."""
    folds = by_cell(pairs.poses)
    if len(np.unique(folds)) < 2:
        raise Any2AnyError(f"Cannot adopt '{modality}'", "all pairs lie at one place", "Drive through more of the map")
    positive = near(pairs.poses, places.poses, hit_radius)
    lessons = {}
    for known in sorted(set(places.embeddings) & set(pairs.embeddings) - {modality}):
        both = pairs.present(modality) & pairs.present(known)
        if min((both & (folds != f)).sum() for f in np.unique(folds)) >= 2 and places.present(known).sum() >= 2:
            lessons[known] = _learn_one(places, pairs.take(both), pairs, modality, known, positive, recipes)
    if not lessons:
        why = f"the drive has it in no moment together with {', '.join(places.embeddings)}"
        raise Any2AnyError(f"Cannot adopt '{modality}'", why, "Give a drive on which both are alive")
    # A pairing is tried as a whole: every head has its own choice of recipes under every shift.
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
    """Learn the head for one of the map's modalities, by the recipe that finds held-out places best."""
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


def near(poses: Float64, others: Float64, radius: float) -> Flags:
    """Return (N, R): which of the other poses lie within `radius` metres."""
    return np.asarray(np.linalg.norm(poses[:, None, :2, 3] - others[None, :, :2, 3], axis=2) < radius)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """The alignment of vectors that a head which has not seen their place made: columns `start` to `stop` of (N, D)."""

    head: Head
    start: int
    stop: int

    def query(self, x: Array) -> Array:
        return np.ascontiguousarray(x[:, self.start : self.stop])

    def reference(self, y: Array) -> Array:
        return self.head.reference(y)


def bench(
    reference: ReferenceMap, pairs: ObservationSet, modality: str, lesson: Lesson, same_place: float
) -> tuple[Retriever, ObservationSet]:
    """Return what compares held-out pairs with the map, and these pairs, for the new sensor's calibration."""
    ends = np.cumsum([v.shape[1] for v in lesson.held_out.values()]).tolist()
    alignments = {
        (modality, known): HeldOut(lesson.heads[known], end - vectors.shape[1], end)
        for (known, vectors), end in zip(lesson.held_out.items(), ends, strict=True)
    }
    column = np.concatenate(list(lesson.held_out.values()), axis=1)
    queries = replace(pairs, embeddings={modality: column})
    return Retriever(reference.places, alignments, RawMean(), same_place=same_place), queries


def fingerprints(reference: ReferenceMap, modality: str, encoder: EncoderRecord) -> dict[str, str]:
    """Return what an adoption is bound to: the encoders of the map and the sensor's own."""
    return {m: r.fingerprint for m, r in reference.encoders.items()} | {modality: encoder.fingerprint}


def save(adopted: Adopted, folder: Path) -> None:
    """Write to folder/adopted/<modality>; what stood there stands until the new one is whole."""
    with storage.replacing(folder / ADOPTED / adopted.modality) as unfinished:
        for i, learnt in enumerate(adopted.heads.values()):
            storage.save(learnt, unfinished / f"head-{i}")
        calibration.save(adopted.calibration, unfinished)
        header = {
            "format": FORMAT, "encoder": vars(adopted.encoder), "heads": list(adopted.heads), "report": adopted.report
        }  # fmt: skip
        storage.write_json(unfinished / HEADER, header)


def load(folder: Path) -> dict[str, Adopted]:
    """Read all that the map in `folder` has adopted, by modality; raise Any2AnyError when one is damaged."""
    homes = sorted(p for p in (folder / ADOPTED).glob("[!.]*") if p.is_dir())
    return {home.name: _load_one(home) for home in homes}


def _load_one(home: Path) -> Adopted:
    try:
        header = json.loads((home / HEADER).read_text())
        if header["format"] != FORMAT:
            raise ValueError(f"its format is {header['format']}, this program reads {FORMAT}")
        heads = {m: storage.load(home / f"head-{i}", Head) for i, m in enumerate(header["heads"])}
        trust = calibration.load(home)
        if trust is None:
            raise ValueError("its calibration is missing")
        return Adopted(home.name, EncoderRecord(**header["encoder"]), heads, trust, header["report"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Any2AnyError(
            f"Cannot read the adopted sensor {home}", str(error), "Adopt it again: any2any adopt MAP DRIVE"
        ) from error
