"""The live rankings of the demo's drive, judged by the frames' true poses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from any2any_ros import metrics
from any2any_ros.arrays import Flags
from any2any_ros.calibration import reliability
from any2any_ros.data import splits
from any2any_ros.data.drive import Drive
from any2any_ros.demo.town_live import LiveRun, frame_of
from any2any_ros.observation import Embedding, Observation
from any2any_ros.ranking import Ranking
from any2any_ros.retrieval.retriever import Retriever
from any2any_ros.trust.confidence import pattern_name

CUTOFFS = (1, 5)  # k of the recall@k


@dataclass(eq=False)
class Answer:
    """One ranking of the drive, judged.

    right (K,): which of its matches are right. positives: how many references of the map are. latency: s from the
    sensor's message to the ranking. alone: modality -> whether it alone would have been right. agrees: whether the
    library ranks the same embeddings the same way.
    """

    frame: int
    ranking: Ranking
    right: Flags
    positives: int
    latency: float
    alone: dict[str, bool] = field(default_factory=dict)
    agrees: bool = True

    @property
    def hit(self) -> bool:
        return bool(self.right[:1].any())

    @property
    def pattern(self) -> str:
        return pattern_name(self.ranking.modalities)


def judge(run: LiveRun, lap: Drive, retriever: Retriever, hit_radius: float) -> list[Answer]:
    """Return the first ranking of each frame that has an answer in the map, judged by the frame's pose."""
    reference = retriever.places
    right = splits.positives(lap.poses, reference.poses, hit_radius)
    row = {name: i for i, name in enumerate(reference.ids)}
    history = _History(run.received.embeddings)
    answers: dict[int, Answer] = {}
    for ranking, came in run.received.rankings:
        frame = frame_of(ranking, lap)
        if frame is None or frame in answers or not right[frame].any() or not ranking.modalities:
            continue
        rows = [row[m.id] for m in ranking.matches]
        used = history.observation(ranking)
        again = retriever.rank(used, len(rows))
        answers[frame] = Answer(
            frame, ranking, right[frame, rows], int(right[frame].sum()),
            came - run.published[int(lap.stamps_ns[frame])],
            {m: bool(right[frame, row[retriever.rank(used.only([m]), 1).matches[0].id]]) for m in used.modalities},
            [m.id for m in again.matches] == [m.id for m in ranking.matches],
        )  # fmt: skip
    return [answers[frame] for frame in sorted(answers)]


class _History:
    """All embeddings of a run, from which the observation behind a ranking is put together again."""

    def __init__(self, embeddings: Sequence[tuple[Embedding, float]]) -> None:
        self._embeddings = {(e.modality, e.stamp_ns): e for e, _ in embeddings}

    def observation(self, ranking: Ranking) -> Observation:
        used = zip(ranking.modalities, ranking.stamps_ns, strict=True)
        return Observation.of((self._embeddings[one] for one in used), ranking.stamp_ns)


def overall(answers: Sequence[Answer], references: int) -> dict[str, Any]:
    """Return the figures of all answers together; references: how many the map has."""
    probability = np.array([a.ranking.probability for a in answers])
    hit: Flags = np.array([a.hit for a in answers])
    accepted = np.array([a.ranking.accepted for a in answers])
    return {
        "queries": len(answers),
        "chance@1": metrics.chance([a.positives for a in answers], references, 1),
        "recall@1": float(hit.mean()),
        **reliability.summary(probability, hit, accepted),
        **_latency(answers),
        "library_agrees": sum(a.agrees for a in answers),
    }


def groups(answers: Sequence[Answer], references: int) -> list[dict[str, Any]]:
    """Return the figures of each availability pattern, most sensors first."""
    patterns = sorted({a.pattern for a in answers}, key=lambda p: (-p.count("+"), p))
    return [_group(p, [a for a in answers if a.pattern == p], references) for p in patterns]


def _group(pattern: str, answers: Sequence[Answer], references: int) -> dict[str, Any]:
    relevant = np.zeros((len(answers), max(CUTOFFS)), dtype=bool)
    for i, a in enumerate(answers):
        relevant[i, : len(a.right[: max(CUTOFFS)])] = a.right[: max(CUTOFFS)]
    positives = [a.positives for a in answers]
    alone = {m: float(np.mean([a.alone[m] for a in answers])) for m in pattern.split("+")}
    best = max(alone, key=lambda m: alone[m])
    probability = np.array([a.ranking.probability for a in answers])
    out: dict[str, Any] = {"pattern": pattern, "queries": len(answers)}
    for k in CUTOFFS:
        out[f"chance@{k}"] = metrics.chance(positives, references, k)
        out[f"recall@{k}"] = metrics.recall_at_k(relevant, k)
    return out | {
        "best_single": best,
        "best_single_recall@1": alone[best],
        "mean_probability": float(probability.mean()),
        "accepted": float(np.mean([a.ranking.accepted for a in answers])),
        **_latency(answers),
    }


def _latency(answers: Sequence[Answer]) -> dict[str, float]:
    milliseconds = 1e3 * np.array([a.latency for a in answers])
    return {f"latency_p{p}_ms": float(np.percentile(milliseconds, p)) for p in (50, 99)}
