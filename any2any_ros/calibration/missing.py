"""How recall and imputation depend on the share of sensors that an experiment switches off at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from any2any_ros.arrays import Flags, Rows
from any2any_ros.calibration import evaluation
from any2any_ros.calibration.scorer import Scorer
from any2any_ros.calibration.task import Task
from any2any_ros.data.availability import sensors_off
from any2any_ros.imputers.calmrl import CalMRL
from any2any_ros.observation import ObservationSet
from any2any_ros.retrieval.retriever import Retriever

DRAWS = 5  # random draws of the sensors that are off


def by_share(retriever: Retriever, task: Task, shares: Sequence[float], seed: int = 0) -> list[dict[str, Any]]:
    """Return one row for each share of sensors that are off: recall beside chance, each the mean over DRAWS draws.

    Every query is ranked once, by the sensors that are still on. recall@1_sd: the standard deviation over the draws.
    With an imputer a row also has the figures of `imputed`.
    """
    scorer, queries = Scorer.of(retriever), task.queries.only(retriever.modalities)
    task = replace(task, queries=queries)
    rows = []
    wanted = np.flatnonzero(task.answerable & np.any([queries.present(m) for m in queries.modalities], axis=0))
    for share in shares:
        draw = np.random.default_rng(seed)
        runs = [_run(scorer, task, wanted, share, draw) for _ in range(DRAWS)]
        mean = {key: float(np.mean([run[key] for run in runs])) for key in runs[0]}
        spread = float(np.std([run["recall@1"] for run in runs]))
        rows.append({"missing": share, **mean, "recall@1_sd": spread, "queries": len(wanted)})
    return rows


def _run(scorer: Scorer, task: Task, wanted: Rows, share: float, draw: np.random.Generator) -> dict[str, float]:
    queries = task.queries
    left = without(queries, sensors_off(len(queries), len(queries.modalities), share, draw))
    figures = evaluation.evaluate_once(scorer, replace(task, queries=left), wanted)
    if not isinstance(scorer.imputer, CalMRL):
        return figures
    return figures | imputed(scorer.imputer, queries.take(wanted), left.take(wanted))


def without(queries: ObservationSet, off: Flags) -> ObservationSet:
    """Return the queries (N) without the sensors that are off (N, M). One that would lose all of them loses none."""
    present = np.stack([queries.present(m) for m in queries.modalities], axis=1)
    off = off & (present & ~off).any(axis=1, keepdims=True)
    return queries.without(off)


def imputed(model: CalMRL, whole: ObservationSet, left: ObservationSet) -> dict[str, float]:
    """Return how well the model imputes what is off, and how well its means do (keys that end in _means).

    whole: the queries (N). left: the same without the sensors that are off. error: root mean square error of the
    imputed values, divided by that of the means; NaN where nothing is off. shift: how far the latent vector moves
    because sensors are off; 1: as far as from one query to another.
    """
    known = [m for m in model.modalities if m in whole.embeddings]
    filled = {"": model.impute(left), "_means": left.filled(model.means)}
    off = {m: whole.present(m) & ~left.present(m) for m in known}
    square = {
        name: sum(float(np.square(data.embeddings[m] - whole.embeddings[m])[off[m]].sum()) for m in known)
        for name, data in filled.items()
    }
    true = model.posterior(whole)[0]
    apart = np.sqrt(2 * true.var(axis=0).sum())
    # Imputed values do not move the latent vector that they were imputed from. Means pull it to the middle.
    latents = {"": model.posterior(left)[0], "_means": model.posterior(filled["_means"])[0]}
    moved = {f"shift{name}": np.sqrt(np.square(z - true).sum(axis=1).mean()) / apart for name, z in latents.items()}
    error = np.sqrt(square[""] / square["_means"]) if square["_means"] else np.nan
    return {"error": float(error), **{key: float(value) for key, value in moved.items()}}
