"""What imputing missing modalities gains when heads are trained: python benchmarks/incomplete.py OBJECTS

OBJECTS is a folder of described objects (`any2any simulate-tabletop`). Of the vectors of the training objects, one half
is removed at random. Validation and test objects keep all vectors. Heads are trained by

    CalMRL's loss   with the missing vectors imputed by CalMRL or by the means (which shows what CalMRL's imputer
    gains),
                    on the complete rows alone, or on what is left
    EMMA's loss     which uses the classes
    NT-Xent         which does not

The figure is the MRR of a command among five objects of five classes, for each choice of query and reference
modalities; chance is .457. Mean ± standard deviation over seeds. Each seed has its own split, removed vectors, heads
and trials.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from emma_tasks import described, objects_task
from printing import print_table
from tqdm import tqdm

from any2any_ros import storage
from any2any_ros.data.availability import sensors_off
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import calmrl, emma, emma_evaluation
from any2any_ros.learning.emma import EmmaConfig
from any2any_ros.objects.views import ObjectViews
from any2any_ros.observation import ObservationSet
from any2any_ros.workflows.train_heads import WARM_UP

MISSING = 0.5  # share of the vectors that are removed
DIMS = 256  # of the common space: a quarter of the default, for a quarter of the time
COUNTS = ("rows", "steps")  # figures that are not an MRR


def by_means(observations: ObservationSet) -> ObservationSet:
    return observations.filled({m: np.nanmean(x, axis=0) for m, x in observations.embeddings.items()})


IMPUTERS = {"calmrl": lambda views: calmrl.fit(views).impute(views), "means": by_means}
# Loss, imputer ("" = none), and whether only complete rows are used.
VARIANTS = {
    "CalMRL, imputed": ("calmrl", "calmrl", False), "CalMRL, means imputed": ("calmrl", "means", False),
    "CalMRL, complete rows": ("calmrl", "", True), "CalMRL, nothing imputed": ("calmrl", "", False),
    "NT-Xent": ("contrastive", "", False), "EMMA": ("emma", "", False), "EMMA, imputed": ("emma", "calmrl", False),
}  # fmt: skip


def thinned(objects: ObjectViews, seed: int) -> ObjectViews:
    """Return the objects with one half of their vectors removed, but never all vectors of an object."""
    draw, columns = np.random.default_rng((seed, 3)), {}
    off = sensors_off(len(objects), len(objects.embeddings), MISSING, draw)
    for i, (m, x) in enumerate(objects.embeddings.items()):
        columns[m] = np.where(off[:, i, None], np.float32(np.nan), x)
    return ObjectViews(columns, objects.ids, objects.classes, objects.instances, objects.encoders)


def complete(objects: ObjectViews) -> ObjectViews:
    views = objects.observations
    return objects.take(np.all([views.present(m) for m in views.modalities], axis=0))


def measure(objects: ObjectViews, seed: int, names: list[str]) -> dict[str, dict[str, float]]:
    """Return variant -> ablation -> MRR, with the number of rows and of steps."""
    task, figures = objects_task(objects, seed), {}
    train = thinned(task.train, seed)
    validation = emma_evaluation.validation(task.held_out, seed)
    views = train.observations
    imputed = {how: IMPUTERS[how](views) for how in {VARIANTS[name][1] for name in names} if how}
    for name in names:
        loss, imputer, whole = VARIANTS[name]
        some = complete(train) if whole else train
        warm_up = WARM_UP if imputer or (loss == "calmrl" and not whole) else 0
        config = EmmaConfig(loss=loss, warm_up=warm_up, dims=DIMS, seed=seed)
        *_, last = emma.training(some.observations, some.classes, config, validation, imputed.get(imputer))
        rows = task.judge(last.best, task.test)
        figures[name] = {key: row["mrr"] for key, row in rows.items()} | {"rows": len(some), "steps": last.number}
    return figures


def show(runs: list[dict[str, dict[str, float]]]) -> None:
    keys = list(next(iter(runs[0].values())))
    rows = [[name, *(_cell(key, [run[name][key] for run in runs]) for key in keys)] for name in runs[0]]
    chance = f"{emma_evaluation.chance()['mrr']:.3f}"
    print_table(["MRR", *keys], [*rows, ["chance", *("" if key in COUNTS else chance for key in keys)]])


def _cell(key: str, values: list[float]) -> str:
    if key in COUNTS:
        return f"{np.mean(values):.0f}"
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=min(1, len(values) - 1)):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("objects", metavar="OBJECTS", type=Path, help="folder of described objects")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds (default %(default)s)")
    parser.add_argument("--only", action="append", choices=list(VARIANTS), help="only this variant; repeat for several")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to this file")
    arguments = parser.parse_args()
    try:
        objects = described(arguments.objects)
        names = arguments.only or list(VARIANTS)
        seeds = tqdm(range(arguments.seeds), desc="seeds", disable=not sys.stderr.isatty())
        runs = [measure(objects, seed, names) for seed in seeds]
        show(runs)
        if arguments.json:
            storage.write_json(arguments.json, runs)
    except (Any2AnyError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
