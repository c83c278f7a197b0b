"""Heads from incomplete data: what imputing is worth in training: python benchmarks/incomplete.py OBJECTS

OBJECTS is a folder of described objects (`any2any simulate-tabletop`). Of the training objects' vectors every second
is lost, at random; test and validation objects keep theirs. Heads are trained by CalMRL's loss with what is missing
imputed (by CalMRL; by the means, to see what the imputer itself is worth), on the complete rows alone, or on what there
is; by EMMA's, which knows the classes, and by NT-Xent, which does not. MRR of a command among five objects of five
classes, for every choice of what is said and seen; chance .457. Mean ± standard deviation over seeds; a seed is a
split, a loss of vectors, heads and trials.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from emma import described, objects_task
from tqdm import tqdm

from any2any_ros import storage
from any2any_ros.data.availability import sensors_off
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import calmrl, emma
from any2any_ros.learning import emma_evaluation as grounding
from any2any_ros.learning.emma import EmmaConfig
from any2any_ros.objects.views import ObjectViews
from any2any_ros.observation import ObservationSet
from any2any_ros.workflows.train_heads import WARM_UP

MISSING = 0.5
DIMS = 256  # of the common space: a quarter of the default, and of its time
Row = dict[str, Any]


def by_means(observations: ObservationSet) -> ObservationSet:
    return observations.filled({m: np.nanmean(x, axis=0) for m, x in observations.embeddings.items()})


IMPUTERS = {"calmrl": lambda views: calmrl.fit(views).impute(views), "means": by_means}
# loss, what imputes, whether complete rows alone
VARIANTS = {
    "CalMRL, imputed": ("calmrl", "calmrl", False), "CalMRL, means imputed": ("calmrl", "means", False),
    "CalMRL, complete rows": ("calmrl", "", True), "CalMRL, nothing imputed": ("calmrl", "", False),
    "NT-Xent": ("contrastive", "", False), "EMMA": ("emma", "", False), "EMMA, imputed": ("emma", "calmrl", False),
}  # fmt: skip


def thinned(objects: ObjectViews, seed: int) -> ObjectViews:
    """Return the objects without half of their vectors, none without all."""
    draw, columns = np.random.default_rng((seed, 3)), {}
    off = sensors_off(len(objects), len(objects.embeddings), MISSING, draw)
    for i, (m, x) in enumerate(objects.embeddings.items()):
        columns[m] = np.where(off[:, i, None], np.float32(np.nan), x)
    return ObjectViews(columns, objects.ids, objects.classes, objects.instances, objects.encoders)


def complete(objects: ObjectViews) -> ObjectViews:
    views = objects.observations
    return objects.take(np.all([views.present(m) for m in views.modalities], axis=0))


def measure(objects: ObjectViews, seed: int, names: list[str]) -> dict[str, dict[str, float]]:
    """Return variant -> ablation -> MRR, and how many steps it took."""
    task, found = objects_task(objects, seed), {}
    train = thinned(task.train, seed)
    validation = grounding.validation(task.held_out, seed)
    views = train.observations
    imputed = {how: IMPUTERS[how](views) for how in {VARIANTS[name][1] for name in names} if how}
    for name in names:
        loss, imputer, whole = VARIANTS[name]
        some = complete(train) if whole else train
        warm_up = WARM_UP if imputer or (loss == "calmrl" and not whole) else 0
        config = EmmaConfig(loss=loss, warm_up=warm_up, dims=DIMS, seed=seed)
        *_, last = emma.training(some.observations, some.classes, config, validation, imputed.get(imputer))
        rows = task.judge(last.best, task.test)
        found[name] = {key: row["mrr"] for key, row in rows.items()} | {"rows": len(some), "steps": last.number}
    return found


def show(runs: list[dict[str, dict[str, float]]]) -> None:
    keys = list(next(iter(runs[0].values())))
    print(f"| MRR | {' | '.join(keys)} |\n{'|---' * (len(keys) + 1)}|")
    for name in runs[0]:
        cells = [_cell(key, [run[name][key] for run in runs]) for key in keys]
        print(f"| {name} | {' | '.join(cells)} |")
    chance = f"{grounding.chance()['mrr']:.3f}"
    print(f"| chance | {' | '.join('' if key in ('rows', 'steps') else chance for key in keys)} |")


def _cell(key: str, values: list[float]) -> str:
    if key in ("rows", "steps"):
        return f"{np.mean(values):.0f}"
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=min(1, len(values) - 1)):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("objects", metavar="OBJECTS", type=Path, help="folder of described objects")
    parser.add_argument("--seeds", type=int, default=3, help="splits, heads and trials (default %(default)s)")
    parser.add_argument("--only", action="append", choices=list(VARIANTS), help="this variant only; repeat")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure there")
    given = parser.parse_args()
    try:
        objects = described(given.objects)
        names = given.only or list(VARIANTS)
        seeds = tqdm(range(given.seeds), desc="seeds", disable=not sys.stderr.isatty())
        runs = [measure(objects, seed, names) for seed in seeds]
        show(runs)
        if given.json:
            storage.write_json(given.json, runs)
    except (Any2AnyError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
