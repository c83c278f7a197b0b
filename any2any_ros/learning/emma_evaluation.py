"""The test of EMMA's paper: which of five objects is meant, for every choice of query and reference modalities.

A command (the query) is compared with five objects (the candidates) of five classes, the right one among them, by the
mean distance over the pairs of {text, speech} x {camera, depth} that are there (Eq. 9). A wrong object at the same
distance counts as nearer. A random ranker has an MRR of 0.457 and an accuracy of 0.2 (the caption in the paper says
otherwise).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from any2any_ros.arrays import Array, Rows
from any2any_ros.errors import Any2AnyError
from any2any_ros.objects.heads import EMMA
from any2any_ros.objects.views import ObjectViews
from any2any_ros.observation import ObservationSet

Distance = Callable[[ObservationSet, ObservationSet], Array]  # (Q,), (R,) -> (Q, R), NaN = not comparable

CANDIDATES = 5
LETTERS = {"t": "text", "s": "speech", "r": "camera", "d": "depth"}
QUERY_LETTERS, REFERENCE_LETTERS = "ts", "rd"
ABLATIONS = ("sd", "sr", "td", "tr", "tsd", "tsr", "srd", "trd", "tsrd")


@dataclass(frozen=True, eq=False)
class Trials:
    """T trials. query (T,): row of the command. candidates (T, C): rows of the objects, the right one first, each of
    another class."""

    query: Rows
    candidates: Rows

    def judge(self, distance: Array) -> dict[str, float]:
        """Return the measures for the distances (Q, R) of all commands to all objects.

        Only trials in which every candidate can be compared count, because only there the chance level holds.
        """
        compared = distance[self.query[:, None], self.candidates]
        return figures(ranks(compared[~np.isnan(compared).any(axis=1)]))


def draw(
    query: ArrayLike, query_class: ArrayLike, reference: ArrayLike, reference_class: ArrayLike, seed: int = 0,
    candidates: int = CANDIDATES,
) -> Trials:  # fmt: skip
    """Return one trial for every query (Q,) whose name some reference (R,) has; both come with their classes.

    A name is the id of a view where a command is about one view, and the instance where any view of the object is
    right. The right reference is drawn, then other classes, then one reference of each. Raises Any2AnyError with fewer
    classes than candidates.
    """
    random = np.random.default_rng(seed)
    query, query_class, reference, reference_class = map(np.asarray, (query, query_class, reference, reference_class))
    of_class = {name: np.flatnonzero(reference_class == name) for name in np.unique(reference_class)}
    named = {name: np.flatnonzero(reference == name) for name in np.unique(reference)}
    queries, rows = [], []
    for row in (row for row, name in enumerate(query) if name in named):
        others = [name for name in of_class if name != query_class[row]]
        if len(others) < candidates - 1:
            why = f"there are {len(of_class)} classes to choose from"
            raise Any2AnyError(f"No {candidates} candidates can be drawn", why, f"Give {candidates} classes or more")
        drawn = random.choice(len(others), candidates - 1, replace=False)
        queries.append(row)
        rows.append([random.choice(named[query[row]]), *(random.choice(of_class[others[i]]) for i in drawn)])
    return Trials(np.array(queries, dtype=np.intp), np.array(rows, dtype=np.intp).reshape(-1, candidates))


def ranks(distance: ArrayLike) -> Rows:
    """Return the rank (T,) of the first candidate by distances (T, C); a tie, or a NaN, counts against it."""
    far = np.asarray(distance)
    return np.asarray(1 + (~(far[:, :1] < far[:, 1:])).sum(axis=1), dtype=np.intp)


def figures(rank: Rows) -> dict[str, float]:
    """Return the number of queries, the mean reciprocal rank and the accuracy of ranks (T,); NaN without ranks."""
    some = len(rank) > 0
    mrr, accuracy = (float(np.mean(x)) if some else float("nan") for x in (1 / rank, rank == 1))
    return {"queries": len(rank), "mrr": mrr, "accuracy": accuracy}


def chance(candidates: int = CANDIDATES) -> dict[str, float]:
    """Return the measures of a random ranker: MRR (1 + 1/2 + ... + 1/C) / C, accuracy 1 / C."""
    return {"mrr": float(np.mean(1 / np.arange(1, candidates + 1))), "accuracy": 1 / candidates}


def sides(ablation: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the query and the reference modalities of an ablation: "trd" -> (text,), (camera, depth)."""
    query = tuple(LETTERS[a] for a in ablation if a in QUERY_LETTERS)
    return query, tuple(LETTERS[a] for a in ablation if a in REFERENCE_LETTERS)


def possible(modalities: Iterable[str]) -> tuple[str, ...]:
    """Return the ablations that use these modalities only, the one with the most modalities last."""
    available = set(modalities)
    return tuple(a for a in ABLATIONS if {m for side in sides(a) for m in side} <= available)


def trials_of(objects: ObjectViews, seed: int = 0) -> Trials:
    """Return one trial for every view: its command against its own pictures and those of views of other classes."""
    return draw(objects.ids, objects.classes, objects.ids, objects.classes, seed)


def evaluate(distance: Distance, objects: ObjectViews, trials: Trials) -> dict[str, dict[str, float]]:
    """Return the measures of every ablation for which these objects have the modalities."""
    views, measures = objects.observations, {}
    for ablation in possible(views.modalities):
        query, reference = sides(ablation)
        measures[ablation] = trials.judge(distance(views.only(query), views.only(reference)))
    return measures


def validation(
    objects: ObjectViews, seed: int = 0, label: str = "class", candidates: int = CANDIDATES
) -> Callable[[EMMA], float]:
    """Return the validation of a training: the MRR of heads on these objects, with all modalities.

    label: "class": candidates are of other classes; "instance": candidates are other objects, also of the same class.
    Raises Any2AnyError when the objects have no query modality or no reference modality.
    """
    named = objects.classes if label == "class" else objects.instances
    trials = draw(objects.ids, named, objects.ids, named, seed, min(candidates, len(np.unique(named))))
    ablations = possible(objects.observations.modalities)
    if not ablations:
        why = f"they have {', '.join(objects.observations.modalities) or 'nothing'}"
        remedy = "Give a query modality (text, speech) and a reference modality (camera, depth)"
        raise Any2AnyError("These objects cannot be queried", why, remedy)
    query, reference = (objects.observations.only(side) for side in sides(ablations[-1]))
    return lambda heads: trials.judge(heads.distance(query, reference))["mrr"]


def spread(seeds: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Return the mean and the standard deviation over seeds of every measure: mrr, mrr_sd, ..."""
    out: dict[str, Any] = {}
    for key in seeds[0]:
        values = [row[key] for row in seeds]
        out |= {key: float(np.mean(values)), f"{key}_sd": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0}
    return out


def steps_to(curve: Sequence[tuple[int, float]], share: float = 0.95) -> int:
    """Return the number of steps after which a curve of (steps, score) first reached this share of its maximum.

    A score of NaN is none. Raises Any2AnyError for a curve without a score.
    """
    scored = [(step, score) for step, score in curve if not np.isnan(score)]
    if not scored:
        why = f"none of its {len(curve)} checkpoints has a score"
        raise Any2AnyError("The learning curve tells nothing", why, "Train with objects to validate on")
    wanted = share * max(score for _, score in scored)
    return next(step for step, score in scored if score >= wanted)
