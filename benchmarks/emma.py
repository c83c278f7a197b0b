"""What EMMA's heads gain over frozen vectors, and what each loss contributes: python benchmarks/emma.py --data FOLDER

Each figure is the mean ± standard deviation over seeds. Each seed has its own split, heads and trials. A trial has five
candidates of five classes, and ties count against the method (learning/emma_evaluation.py). Chance is an MRR of .457
and an accuracy of .2.

    words    a written description of GoLD asks for a spoken one (as transcript) of the same object; objects are new
    voices   a spoken digit asks for the same digit of another speaker; speakers are new
    objects  --objects GOLD: described views of objects (`any2any simulate-tabletop GOLD`), nine ablations
    choice   --choose: the best scale between the two losses, by validation data, never by the test
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from emma_tasks import (
    BenchmarkConfig,
    Row,
    Task,
    described,
    digits,
    digits_trials,
    gold_words,
    objects_task,
    words_task,
    words_trials,
)
from printing import print_table
from tqdm import tqdm

from any2any_ros import storage
from any2any_ros.arrays import Names
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import emma, emma_evaluation
from any2any_ros.learning.emma import EmmaConfig
from any2any_ros.objects.heads import EMMA
from any2any_ros.objects.views import ObjectViews

SCALES = (0.01, 0.1, 0.3, 1.0, 10.0)
INTERVAL, PATIENCE = 5, 40  # steps between two checkpoints, and checkpoints without a better one
COMPARED = ("emma", "geometric", "supcon", "contrastive")
FROZEN = "frozen vectors"


def fitted(loss: str, task: Task, seed: int, **settings: Any) -> tuple[EMMA, list[tuple[int, float]]]:
    """Return the best heads, and the learning curve: steps and validation MRR."""
    config = EmmaConfig(loss=loss, seed=seed, interval=INTERVAL, patience=PATIENCE, **settings)

    def validation(heads: EMMA) -> float:
        return float(np.mean([row["mrr"] for row in task.judge(heads, task.held_out).values()]))

    curve = []
    for checkpoint in emma.training(task.train.observations, task.train.classes, config, validation):
        curve.append((checkpoint.number, checkpoint.score))
        best = checkpoint.best
    return best, curve


def compare(make: Callable[[int], Task], losses: Sequence[str], seeds: int, what: str) -> dict[str, Row]:
    """Return loss -> ablation -> figures with their spread, and the steps to 95 % of the best."""
    figures: dict[str, list[dict[str, Row]]] = {loss: [] for loss in losses}
    steps: dict[str, list[Row]] = {loss: [] for loss in losses}
    with tqdm(total=seeds * len(losses), desc=what, disable=not sys.stderr.isatty()) as bar:
        for seed in range(seeds):
            task = make(seed)
            for loss in losses:
                heads, curve = fitted(loss, task, seed)
                figures[loss].append(task.judge(heads, task.test))
                steps[loss].append({"to_95": emma_evaluation.steps_to(curve), "all": curve[-1][0]})
                bar.update()
    return {
        loss: {"steps": emma_evaluation.spread(steps[loss])}
        | {name: emma_evaluation.spread([row[name] for row in rows]) for name in rows[0]}
        for loss, rows in figures.items()
    }


def words(folder: Path, config: BenchmarkConfig) -> dict[str, Row]:
    """Return the figures of frozen vectors and of each loss on GoLD's words."""
    objects = gold_words(folder, config)
    print(f"\nwords: {len(objects)} pairs of {len(set(objects.instances))} objects, {config.encoder} encoder")
    rows = compare(lambda seed: words_task(objects, seed), COMPARED, config.seeds, "words")
    frozen = []
    for seed in range(config.seeds):
        test = words_task(objects, seed).test
        frozen.append(words_trials(test, seed).judge(1 - test.embeddings["text"] @ test.embeddings["speech"].T))
    return {FROZEN: {"heads": emma_evaluation.spread(frozen)}} | rows


# --- voices ---------------------------------------------------------------------------------------------------


def voices(folder: Path, seeds: int, descriptor: str) -> dict[str, Row]:
    """Train on the digits of two speakers, and test on the two others: one asks, the other is searched.

    All pairs of speakers, both directions. The loss is supcon: the geometric loss needs a second modality. The number
    of steps is the best one when one of the two training speakers trains and the pair is tested.
    """
    vectors, digit, speaker = digits(folder, descriptor)
    ids = np.array([f"{i}" for i in range(len(digit))])
    recordings = ObjectViews({"speech": vectors}, ids, digit, digit, {})
    frozen, trained = [], []
    for pair in itertools.combinations(sorted(set(speaker)), 2):
        others = sorted(set(speaker) - set(pair))
        train = recordings.take(np.isin(speaker, pair))
        for seed in range(seeds):
            steps = _steps(train, np.array(speaker[np.isin(speaker, pair)]), seed)
            config = EmmaConfig(loss="supcon", seed=seed, steps=steps)
            heads = emma.fit(train.observations, train.classes, config)
            for one, other in itertools.permutations(others, 2):
                query, reference = (recordings.take(speaker == name) for name in (one, other))
                trials = digits_trials(query, reference, seed)
                frozen.append(trials.judge(1 - query.embeddings["speech"] @ reference.embeddings["speech"].T))
                trained.append(trials.judge(heads.distance(query.observations, reference.observations)))
    print(f"\nvoices, {descriptor}: {len(vectors)} recordings, {len(frozen)} directions, splits and seeds")
    return {f"{descriptor}, frozen": {"heads": emma_evaluation.spread(frozen)},
            f"{descriptor}, supcon": {"heads": emma_evaluation.spread(trained)}}  # fmt: skip


def _steps(train: ObjectViews, speaker: Names, seed: int) -> int:
    """Return the number of steps after which heads of one speaker find the other speaker's digits best, on average."""
    scores: dict[int, list[float]] = {}
    for name in set(speaker):
        trained, other = train.take(speaker == name), train.take(speaker != name)
        trials = digits_trials(other, trained, seed)

        def judge(
            heads: EMMA, query: ObjectViews = other, reference: ObjectViews = trained, trials: Any = trials
        ) -> float:
            return float(trials.judge(heads.distance(query.observations, reference.observations))["mrr"])

        config = EmmaConfig(loss="supcon", seed=seed, steps=100, interval=5, patience=20)
        for checkpoint in emma.training(trained.observations, trained.classes, config, judge):
            scores.setdefault(checkpoint.number, []).append(checkpoint.score)
    return max(scores, key=lambda step: np.mean(scores[step]))


# --- objects --------------------------------------------------------------------------------------------------


def tabletop(objects: ObjectViews, seeds: int) -> dict[str, Row]:
    """Return the figures of four losses in all ablations that these objects allow."""
    instances, classes = len(set(objects.instances)), len(set(objects.classes))
    print(f"\nobjects: {len(objects)} views of {instances} objects, {classes} classes")
    return compare(lambda seed: objects_task(objects, seed), COMPARED, seeds, "objects")


# --- the scale between the losses -----------------------------------------------------------------------------


def choice(make: Callable[[int], Task], seeds: int, scales: Iterable[float] = SCALES) -> dict[str, Row]:
    """Return the best validation MRR for each scale. The test objects are not used."""
    figures: dict[str, Row] = {}
    for scale in tqdm(list(scales), desc="scale", disable=not sys.stderr.isatty()):
        rows = []
        for seed in range(seeds):
            _, curve = fitted("emma", make(seed), seed, scale=scale)
            rows.append({"mrr": max(score for _, score in curve), "to_95": emma_evaluation.steps_to(curve)})
        figures[f"{scale:g}"] = emma_evaluation.spread(rows)
    return figures


# --- what is printed ------------------------------------------------------------------------------------------


def show(figures: dict[str, Row]) -> None:
    """Print a row for each loss. With several ablations: a column each, and the accuracy in a second table."""
    names = [name for name in next(reversed(figures.values())) if name != "steps"]
    if len(names) == 1:
        _show(figures, [(names[0], "mrr", "MRR"), (names[0], "accuracy", "accuracy")])
        return
    for key, heading in (("mrr", "MRR"), ("accuracy", "accuracy")):
        print(f"{heading}\n")
        _show(figures, [(name, key, name) for name in names])
        print()


def _show(figures: dict[str, Row], columns: Sequence[tuple[str, str, str]]) -> None:
    """Print one table. columns: ablation, figure, heading."""
    rows = []
    for loss, row in figures.items():
        steps = row.get("steps")
        cells = [_number(row[name], key) for name, key, _ in columns]
        rows.append([loss, *cells, "" if steps is None else _steps_to_95(steps)])
    chance = emma_evaluation.chance()
    rows.append(["chance", *(f"{chance[key]:.3f}" for _, key, _ in columns), ""])
    print_table(["", *(heading for *_, heading in columns), "steps to 95 %"], rows)


def show_choice(figures: dict[str, Row]) -> None:
    rows = (
        [scale, _number(row, "mrr"), f"{row['to_95']:.0f} ± {row['to_95_sd']:.0f}"] for scale, row in figures.items()
    )
    print_table(["scale", "validation MRR", "steps to 95 %"], rows)


def _steps_to_95(row: Row) -> str:
    return f"{row['to_95']:.0f} ± {row['to_95_sd']:.0f}"


def _number(row: Row, key: str) -> str:
    return f"{row[key]:.3f} ± {row[f'{key}_sd']:.3f}"


def measure(arguments: argparse.Namespace, config: BenchmarkConfig) -> dict[str, Any]:
    """Measure and print what the arguments name; return all figures."""
    report: dict[str, Any] = {}
    if arguments.choose:
        objects = described(arguments.objects) if arguments.objects else gold_words(arguments.data / "gold", config)
        make = objects_task if arguments.objects else words_task
        report["choice"] = choice(lambda seed: make(objects, seed), config.seeds)
        show_choice(report["choice"])
        return report
    if arguments.data:
        report["words"] = words(arguments.data / "gold", config)
        show(report["words"])
        parts = (voices(arguments.data / "speech", config.seeds, d) for d in ("course", "patterns"))
        report["voices"] = {name: row for part in parts for name, row in part.items()}
        show(report["voices"])
    if arguments.objects:
        report["objects"] = tabletop(described(arguments.objects), config.seeds)
        show(report["objects"])
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = BenchmarkConfig()
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="folder with gold/ and speech/")
    parser.add_argument("--objects", type=Path, metavar="GOLD", help="folder of described objects")
    parser.add_argument("--choose", action="store_true", help="compare scales between the losses on validation data")
    parser.add_argument("--seeds", type=int, default=defaults.seeds, help="number of seeds (default %(default)s)")
    parser.add_argument("--pairs", type=int, default=defaults.pairs, help="words: descriptions of each object")
    parser.add_argument("--encoder", default=defaults.encoder, help="words: sentence or text")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to this file")
    arguments = parser.parse_args()
    try:
        report = measure(arguments, BenchmarkConfig(arguments.seeds, arguments.pairs, arguments.encoder))
        if arguments.json:
            storage.write_json(arguments.json, report)
    except (Any2AnyError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
