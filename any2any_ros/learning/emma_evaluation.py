"""Which of five objects is meant?: the test of EMMA's paper, for every choice of what was said and what is seen.

A command is compared with five objects of five different classes, the right one among them, by the mean distance over
the pairs of {text, speech} x {camera, depth} that are there (Eq. 9). A wrong object at the same distance counts as
nearer. A random ranker has an MRR of 0.457 and an accuracy of 0.2 (the caption in the paper says otherwise).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros.arrays import Array, Rows
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning.emma import EMMA
from any2any_ros.objects.views import ObjectViews
from any2any_ros.observation import ObservationSet

Distance = Callable[[ObservationSet, ObservationSet], Array]  # (Q,), (R,) -> (Q, R), NaN = not comparable

CANDIDATES = 5
LETTERS = {"t": "text", "s": "speech", "r": "camera", "d": "depth"}
SAID, SEEN = "ts", "rd"
ABLATIONS = ("sd", "sr", "td", "tr", "tsd", "tsr", "srd", "trd", "tsrd")


@dataclass(frozen=True, eq=False)
class Trials:
    """query (T,): rows of what was said; candidates (T, C): rows of what is seen, the right one first, each of another
    class."""

    query: Rows
    candidates: Rows

    def judge(self, distance: Array) -> dict[str, float]:
        """Return the figures for the distances (Q, R) of all that was said to all that is seen, over those trials in
        which every candidate can be compared: chance is chance only there."""
        asked = distance[self.query[:, None], self.candidates]
        return figures(ranks(asked[~np.isnan(asked).any(axis=1)]))


def draw(
    said: ArrayLike, said_class: ArrayLike, seen: ArrayLike, seen_class: ArrayLike, seed: int = 0,
    candidates: int = CANDIDATES,
) -> Trials:  # fmt: skip
    """Return one trial for everything said (Q,) that something seen (R,) has the name of; both come with their classes.

    Names are ids where a command is about one view, instances where any view of the object is right. The right one
    and the others are drawn: other classes first, then one object of each. Raises Any2AnyError with too few classes.
    """
    random = np.random.default_rng(seed)
    said, said_class, seen, seen_class = (np.asarray(a) for a in (said, said_class, seen, seen_class))
    of_class = {name: np.flatnonzero(seen_class == name) for name in np.unique(seen_class)}
    named = {name: np.flatnonzero(seen == name) for name in np.unique(seen)}
    query, rows = [], []
    for row in (row for row, name in enumerate(said) if name in named):
        others = [name for name in of_class if name != said_class[row]]
        if len(others) < candidates - 1:
            why = f"there are {len(of_class)} classes to choose from"
            raise Any2AnyError(f"No {candidates} candidates can be drawn", why, f"Give {candidates} classes or more")
        chosen = random.choice(len(others), candidates - 1, replace=False)
        query.append(row)
        rows.append([random.choice(named[said[row]]), *(random.choice(of_class[others[i]]) for i in chosen)])
    return Trials(np.array(query, dtype=np.intp), np.array(rows, dtype=np.intp).reshape(-1, candidates))


def ranks(distance: ArrayLike) -> Rows:
    """Return the right candidate's rank (T,) for distances (T, C), the right one's first; a tie counts against it, and
    so does what cannot be compared (NaN)."""
    far = np.asarray(distance)
    return np.asarray(1 + (~(far[:, :1] < far[:, 1:])).sum(axis=1), dtype=np.intp)


def figures(rank: Rows) -> dict[str, float]:
    """Return queries, MRR and accuracy of ranks (T,)."""
    some = len(rank) > 0
    mrr, accuracy = (float(np.mean(x)) if some else float("nan") for x in (1 / rank, rank == 1))
    return {"queries": len(rank), "mrr": mrr, "accuracy": accuracy}


def chance(candidates: int = CANDIDATES) -> dict[str, float]:
    """Return what a random ranker has: MRR (1 + 1/2 + ... + 1/C) / C, accuracy 1 / C."""
    return {"mrr": float(np.mean(1 / np.arange(1, candidates + 1))), "accuracy": 1 / candidates}


def sides(ablation: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the modalities said and seen of an ablation: "trd" -> (text,), (camera, depth)."""
    return tuple(LETTERS[a] for a in ablation if a in SAID), tuple(LETTERS[a] for a in ablation if a in SEEN)


def possible(modalities: Iterable[str]) -> tuple[str, ...]:
    """Return the ablations that need none but these modalities, the largest last."""
    there = set(modalities)
    return tuple(a for a in ABLATIONS if {m for side in sides(a) for m in side} <= there)


def trials_of(objects: ObjectViews, seed: int = 0) -> Trials:
    """Return one trial for every view: what was said of it, against what is seen of it and of four others."""
    return draw(objects.ids, objects.classes, objects.ids, objects.classes, seed)


def evaluate(distance: Distance, objects: ObjectViews, trials: Trials) -> dict[str, dict[str, float]]:
    """Return the figures of every ablation that these objects allow."""
    views, found = objects.observations, {}
    for ablation in possible(views.modalities):
        said, seen = sides(ablation)
        found[ablation] = trials.judge(distance(views.only(said), views.only(seen)))
    return found


def validation(
    objects: ObjectViews, seed: int = 0, label: str = "class", candidates: int = CANDIDATES
) -> Callable[[EMMA], float]:
    """Return what training asks: the MRR of heads on these objects, with all that they have.

    label: "class", candidates are of other classes; "instance", of other objects, be it of the same class.
    """
    named = objects.classes if label == "class" else objects.instances
    trials = draw(objects.ids, named, objects.ids, named, seed, min(candidates, len(np.unique(named))))
    ablations = possible(objects.observations.modalities)
    if not ablations:
        why = f"they have {', '.join(objects.observations.modalities) or 'nothing'}"
        remedy = "Give something said (text, speech) and something seen (camera, depth)"
        raise Any2AnyError("These objects cannot be asked for", why, remedy)
    said, seen = (objects.observations.only(side) for side in sides(ablations[-1]))
    return lambda heads: trials.judge(heads.distance(said, seen))["mrr"]


def spread(seeds: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Return mean and standard deviation over seeds of every figure: mrr, mrr_sd, ..."""
    out: dict[str, Any] = {}
    for key in seeds[0]:
        values = [row[key] for row in seeds]
        out |= {key: float(np.mean(values)), f"{key}_sd": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0}
    return out


def steps_to(curve: Sequence[tuple[int, float]], share: float = 0.95) -> int:
    """Return after how many steps a curve of (steps, score) first reached this share of its best."""
    wanted = share * max(score for _, score in curve)
    return next(step for step, score in curve if score >= wanted)
