"""Compares fusions on held-out calibration queries, and chooses one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from any2any_ros.calibration import evaluation
from any2any_ros.calibration.evaluation import DEEPEST
from any2any_ros.retrieval.large import LARGE
from any2any_ros.retrieval.large.bounds import SEARCHED
from any2any_ros.trust.confidence import Event

# Their scores are log likelihoods, which make good probabilities. By a single sensor all fusions rank alike.
PREFERRED = ("mixture", "likelihood_ratio")
DOUBT = 0.01  # a probability of chance, above which a calibration is taken for one that knows no places
LUCK = 0.005  # a lead in recall@1 that is not larger may be chance


@dataclass(frozen=True, eq=False)
class RankedQuery:
    """One query under one availability pattern. positives: number of right references. candidates: number of
    references that might answer."""

    event: Event
    positives: int
    candidates: int


def row(plug: str, ranked: list[RankedQuery]) -> dict[str, Any]:
    """Return the row of one fusion in the table: figures over all queries under all patterns, and by pattern."""
    patterns = {}
    for name in sorted({query.event.pattern for query in ranked}):
        patterns[name] = _summary([query for query in ranked if query.event.pattern == name])
    overall = _summary(ranked)
    return {"fusion": plug, **{k: overall[k] for k in ("recall@1", "recall@5", "chance@1")}} | {
        "chosen": False,
        "patterns": patterns,
    }


def _summary(ranked: list[RankedQuery]) -> dict[str, Any]:
    right = [query.event.right for query in ranked]
    relevant = np.array([np.pad(r[:DEEPEST], (0, max(0, DEEPEST - len(r)))) for r in right])
    return evaluation.summary(relevant, [query.positives for query in ranked], [query.candidates for query in ranked])


def by_luck(row: Mapping[str, Any]) -> bool:
    """Return whether chance explains the recall@1 of a row under every availability pattern (binomial test)."""
    from scipy.stats import binomtest

    groups = row["patterns"].values()
    tests = (
        binomtest(round(g["recall@1"] * g["queries"]), g["queries"], min(g["chance@1"], 1.0), "greater") for g in groups
    )
    return all(test.pvalue > DOUBT / len(groups) for test in tests)


def best(table: list[dict[str, Any]], places: int) -> int:
    """Return the row of the fusion to choose: the best one, or a preferred one that is not worse by more than LUCK.

    places: of the map. For a large map, only fusions that need not score all of it are candidates, if there are any.
    """
    eligible = {i for i, row in enumerate(table) if places < LARGE or row["fusion"] in SEARCHED}
    eligible = eligible or set(range(len(table)))
    best = max(sorted(eligible), key=lambda i: (table[i]["recall@1"], table[i]["recall@5"]))
    for name in PREFERRED:
        for i in eligible:
            if table[i]["fusion"] == name and table[i]["recall@1"] >= table[best]["recall@1"] - LUCK:
                return i
    return best
