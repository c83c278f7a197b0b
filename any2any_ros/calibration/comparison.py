"""How fusions compare on calibration places held out from them, and which one is kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from any2any_ros.calibration import evaluation
from any2any_ros.retrieval.large import LARGE
from any2any_ros.retrieval.large.bounds import SEARCHED
from any2any_ros.trust.confidence import Event

# Their scores are log likelihoods, from which true probabilities come easily; of one sensor all fusions rank alike.
PREFERRED = ("mixture", "likelihood_ratio")
LUCK = 0.005  # a lead in recall@1 that is worth nothing


@dataclass(frozen=True, eq=False)
class Judgement:
    """One query under one availability pattern, and how many of how many references were right."""

    event: Event
    positives: int
    candidates: int


def row(plug: str, judgements: list[Judgement]) -> dict[str, Any]:
    """Return one fusion's line of the table: over all queries under all their patterns, and by pattern."""
    patterns = {}
    for name in sorted({j.event.pattern for j in judgements}):
        patterns[name] = _summary([j for j in judgements if j.event.pattern == name])
    overall = _summary(judgements)
    return {"fusion": plug, **{k: overall[k] for k in ("recall@1", "recall@5", "chance@1")}} | {
        "chosen": False,
        "patterns": patterns,
    }


def _summary(judgements: list[Judgement]) -> dict[str, Any]:
    relevant = [np.pad(j.event.right[:5], (0, max(0, 5 - len(j.event.right)))) for j in judgements]
    positives, candidates = [j.positives for j in judgements], [j.candidates for j in judgements]
    return evaluation.summary(np.array(relevant), positives, candidates)


def best(table: list[dict[str, Any]], places: int) -> int:
    """Return the row of the fusion to keep: the best, or a preferred one that the best hardly beats; of those that need
    not score a whole large map."""
    able = {i for i, row in enumerate(table) if places < LARGE or row["fusion"] in SEARCHED} or set(range(len(table)))
    best = max(sorted(able), key=lambda i: (table[i]["recall@1"], table[i]["recall@5"]))
    for name in PREFERRED:
        for i in able:
            if table[i]["fusion"] == name and table[i]["recall@1"] >= table[best]["recall@1"] - LUCK:
                return i
    return best
