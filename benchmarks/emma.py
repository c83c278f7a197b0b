"""What EMMA's heads gain over frozen vectors, which loss is worth what: python benchmarks/emma.py --data ../shared/data

Every figure is mean ± standard deviation over seeds; a seed is a split, heads and trials of its own. Five candidates of
five classes, ties count against (learning/emma_evaluation.py); chance is an MRR of .457 and an accuracy of .2.

    words    GoLD's written descriptions ask for a spoken one (its transcript) of the same object; objects are new
    voices   spoken digits ask for the same digit from another mouth; speakers are new
    objects  --objects GOLD: described views of objects (`any2any simulate-tabletop GOLD`), nine ablations
    choice   --choose: which scale between the two losses is best on validation data, never on the test
"""

from __future__ import annotations

import argparse
import dataclasses
import gzip
import itertools
import sys
import wave
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from any2any_ros import encoders, storage
from any2any_ros.arrays import Array
from any2any_ros.config import Settings, setting
from any2any_ros.data import gold, splits
from any2any_ros.data.examples import observe
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import emma
from any2any_ros.learning import emma_evaluation as grounding
from any2any_ros.learning.emma import EMMA, EmmaConfig
from any2any_ros.learning.emma_evaluation import Trials
from any2any_ros.objects.views import ObjectViews
from any2any_ros.observation import ObservationSet
from any2any_ros.progress import progress_bar
from any2any_ros.samples import Sound
from any2any_ros.workflows.described_objects import PLUGS

SHARES = (0.6, 0.2, 0.2)
SCALES = (0.01, 0.1, 0.3, 1.0, 10.0)
LOOKS, PATIENCE = 5, 40  # steps between looks at the validation data, looks without a better one
SPOKEN = 2  # descriptions of a view that are taken: so many are spoken, too
COMPARED = ("emma", "geometric", "supcon", "contrastive")
FROZEN = "frozen vectors"
Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class BenchmarkConfig(Settings):
    """How much is measured."""

    seeds: int = setting(5, "splits, heads and trials of each kind", minimum=1)
    pairs: int = setting(8, "words: descriptions of each object, written and spoken", minimum=1)
    encoder: str = setting("sentence", "words: what reads them", choices=("sentence", "text"))


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """One seed's task: what is trained on, what stops it, and what is tested; said and seen are the modalities."""

    train: ObjectViews
    held_out: ObjectViews
    test: ObjectViews
    judge: Callable[[EMMA, ObjectViews], dict[str, Row]]  # name of what was compared -> figures


def fitted(loss: str, task: Task, seed: int, **settings: Any) -> tuple[EMMA, list[tuple[int, float]]]:
    """Return the best heads, and how their validation rose."""
    config = EmmaConfig(loss=loss, seed=seed, interval=LOOKS, patience=PATIENCE, **settings)

    def validation(heads: EMMA) -> float:
        return float(np.mean([row["mrr"] for row in task.judge(heads, task.held_out).values()]))

    curve = []
    for look in emma.training(task.train.observations, task.train.classes, config, validation):
        curve.append((look.number, look.score))
        best = look.best
    return best, curve


def compare(make: Callable[[int], Task], losses: Sequence[str], seeds: int, what: str) -> dict[str, Row]:
    """Return loss -> ablation -> figures, with their spread, and the steps to 95 % of the best."""
    found: dict[str, list[dict[str, Row]]] = {loss: [] for loss in losses}
    steps: dict[str, list[Row]] = {loss: [] for loss in losses}
    with tqdm(total=seeds * len(losses), desc=what, disable=not sys.stderr.isatty()) as shown:
        for seed in range(seeds):
            task = make(seed)
            for loss in losses:
                heads, curve = fitted(loss, task, seed)
                found[loss].append(task.judge(heads, task.test))
                steps[loss].append({"to_95": grounding.steps_to(curve), "all": curve[-1][0]})
                shown.update()
    return {
        loss: {"steps": grounding.spread(steps[loss])}
        | {name: grounding.spread([row[name] for row in rows]) for name in rows[0]}
        for loss, rows in found.items()
    }


# --- words ----------------------------------------------------------------------------------------------------


def gold_words(folder: Path, config: BenchmarkConfig, seed: int = 0) -> ObjectViews:
    """Return GoLD's descriptions, a written and a spoken one of the same view a row, `pairs` rows an object."""
    written, spoken = (_lines(folder / f"gold_{name}.tsv.gz") for name in ("text", "speech"))
    items = sorted(set(written) & set(spoken))
    pairs = [(item, *both) for item in items for both in zip(written[item], spoken[item], strict=False)]
    order = np.random.default_rng(seed).permutation(len(pairs))
    count: dict[str, int] = {}
    chosen = []
    for item, text, speech in (pairs[i] for i in order):
        instance = item.rsplit("_", 1)[0]
        if count.setdefault(instance, 0) < config.pairs:
            count[instance] += 1
            chosen.append((f"{item}/{count[instance]}", instance.rsplit("_", 1)[0], instance, text, speech))
    ids, classes, instances, texts, speeches = (list(column) for column in zip(*sorted(chosen), strict=True))
    encoder = encoders.build(config.encoder)
    columns = {
        name: np.array([encoder.encode(line) for line in tqdm(lines, desc=name, disable=not sys.stderr.isatty())])
        for name, lines in (("text", texts), ("speech", speeches))
    }
    record = {"plug": config.encoder, "fingerprint": encoder.fingerprint}
    names = [np.array(column, dtype=np.str_) for column in (ids, classes, instances)]
    return ObjectViews(columns, names[0], names[1], names[2], {"text": record, "speech": record})


def _lines(path: Path) -> dict[str, list[str]]:
    """Return item -> its descriptions, without those that say nothing."""
    found: dict[str, list[str]] = {}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        next(file)
        for line in file:
            item, *_, text = line.rstrip("\n").split("\t")
            if len(text.strip(" .")) > 3:
                found.setdefault(item, []).append(text)
    return found


def words_task(objects: ObjectViews, seed: int) -> Task:
    """A written description asks for a transcript of the same object, of any view; objects are new in the test."""

    def judge(heads: EMMA, some: ObjectViews) -> dict[str, Row]:
        return {"heads": _asked(some, seed).judge(heads.distance(*_both(some)))}

    return _split(objects, seed, judge)


def _split(objects: ObjectViews, seed: int, judge: Callable[[EMMA, ObjectViews], dict[str, Row]]) -> Task:
    part = splits.by_instance(objects.classes, objects.instances, SHARES, seed)
    train, held_out, test = (objects.take(part == i) for i in range(3))
    return Task(train, held_out, test, judge)


def _asked(objects: ObjectViews, seed: int) -> Trials:
    return grounding.draw(objects.instances, objects.classes, objects.instances, objects.classes, seed)


def _both(objects: ObjectViews) -> tuple[ObservationSet, ObservationSet]:
    return objects.observations.only(["text"]), objects.observations.only(["speech"])


def words(folder: Path, config: BenchmarkConfig) -> dict[str, Row]:
    objects = gold_words(folder, config)
    print(f"\nwords: {len(objects)} pairs of {len(set(objects.instances))} objects, {config.encoder} encoder")
    found = compare(lambda seed: words_task(objects, seed), COMPARED, config.seeds, "words")
    raw = []
    for seed in range(config.seeds):
        test = words_task(objects, seed).test
        raw.append(_asked(test, seed).judge(1 - test.embeddings["text"] @ test.embeddings["speech"].T))
    return {FROZEN: {"heads": grounding.spread(raw)}} | found


# --- voices ---------------------------------------------------------------------------------------------------


def digits(folder: Path, descriptor: str) -> tuple[Array, NDArray[np.str_], NDArray[np.str_]]:
    """Return the vectors of the recordings (N, D), what is said (N,) and by whom (N,)."""
    encoder = encoders.build("speech", {"descriptor": descriptor})
    rows = []
    for path in sorted(folder.glob("*.wav")):
        with wave.open(str(path)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / np.float32(32768)
            rows.append((encoder.encode(Sound(samples, file.getframerate())), *path.stem.split("_")[:2]))
    if not rows:
        raise Any2AnyError(f"There is nothing to hear in {folder}", "it has no .wav", "Give the spoken digits' folder")
    vectors, said, speaker = zip(*rows, strict=True)
    return np.array(vectors), np.array(said), np.array(speaker)


def voices(folder: Path, seeds: int, descriptor: str) -> dict[str, Row]:
    """Every two speakers teach, the other two ask each other; all splits, both directions.

    supcon: with one modality there is no second to be aligned with. How many steps is what is best when one of the two
    teachers teaches and the pair ask each other.
    """
    vectors, said, speaker = digits(folder, descriptor)
    ids = np.array([f"{i}" for i in range(len(said))])
    everybody = ObjectViews({"speech": vectors}, ids, said, said, {})
    raw, learnt = [], []
    for learners in itertools.combinations(sorted(set(speaker)), 2):
        askers = sorted(set(speaker) - set(learners))
        train = everybody.take(np.isin(speaker, learners))
        for seed in range(seeds):
            steps = _steps(train, np.array(speaker[np.isin(speaker, learners)]), seed)
            config = EmmaConfig(loss="supcon", seed=seed, steps=steps)
            heads = emma.fit(train.observations, train.classes, config)
            for one, other in itertools.permutations(askers, 2):
                query, reference = (everybody.take(speaker == name) for name in (one, other))
                trials = _digits_asked(query, reference, seed)
                raw.append(trials.judge(1 - query.embeddings["speech"] @ reference.embeddings["speech"].T))
                learnt.append(trials.judge(heads.distance(query.observations, reference.observations)))
    print(f"\nvoices, {descriptor}: {len(vectors)} recordings, {len(raw)} directions, splits and seeds")
    return {f"{descriptor}, frozen": {"heads": grounding.spread(raw)},
            f"{descriptor}, supcon": {"heads": grounding.spread(learnt)}}  # fmt: skip


def _digits_asked(query: ObjectViews, reference: ObjectViews, seed: int) -> Trials:
    return grounding.draw(query.classes, query.classes, reference.classes, reference.classes, seed)


def _steps(train: ObjectViews, speaker: NDArray[np.str_], seed: int) -> int:
    """Return after how many steps heads of one teacher's voice find the other teacher's digits best, in the mean."""
    scores: dict[int, list[float]] = {}
    for name in set(speaker):
        teacher, pupil = train.take(speaker == name), train.take(speaker != name)
        trials = _digits_asked(pupil, teacher, seed)

        def judge(
            heads: EMMA, pupil: ObjectViews = pupil, teacher: ObjectViews = teacher, trials: Trials = trials
        ) -> float:
            return trials.judge(heads.distance(pupil.observations, teacher.observations))["mrr"]

        config = EmmaConfig(loss="supcon", seed=seed, steps=100, interval=5, patience=20)
        for look in emma.training(teacher.observations, teacher.classes, config, judge):
            scores.setdefault(look.number, []).append(look.score)
    return max(scores, key=lambda step: np.mean(scores[step]))


# --- objects --------------------------------------------------------------------------------------------------


def described(folder: Path) -> ObjectViews:
    """Return the views of a GoLD folder with what was written and spoken of them, encoded without weights."""
    built = {m: encoders.build(plug) for m, plug in PLUGS.items()}
    return observe(gold.read(folder).views, built, SPOKEN, progress_bar).objects(built)


def objects_task(objects: ObjectViews, seed: int) -> Task:
    def judge(heads: EMMA, some: ObjectViews) -> dict[str, Row]:
        return grounding.evaluate(heads.distance, some, grounding.trials_of(some, seed))

    return _split(objects, seed, judge)


def tabletop(objects: ObjectViews, seeds: int) -> dict[str, Row]:
    """Return four losses × the ablations that these objects allow."""
    print(
        f"\nobjects: {len(objects)} views of {len(set(objects.instances))} objects, {len(set(objects.classes))} classes"
    )
    return compare(lambda seed: objects_task(objects, seed), COMPARED, seeds, "objects")


# --- the scale between the losses -----------------------------------------------------------------------------


def choice(make: Callable[[int], Task], seeds: int, scales: Iterable[float] = SCALES) -> dict[str, Row]:
    """Return the best validation MRR of every scale; the test objects are not looked at."""
    found: dict[str, Row] = {}
    for scale in tqdm(list(scales), desc="scale", disable=not sys.stderr.isatty()):
        rows = []
        for seed in range(seeds):
            _, curve = fitted("emma", make(seed), seed, scale=scale)
            rows.append({"mrr": max(score for _, score in curve), "to_95": grounding.steps_to(curve)})
        found[f"{scale:g}"] = grounding.spread(rows)
    return found


# --- what is printed ------------------------------------------------------------------------------------------


def show(found: dict[str, Row]) -> None:
    """Print a row a loss; where there is more than one ablation, a column each, and the accuracy in a second table."""
    names = [name for name in next(reversed(found.values())) if name != "steps"]
    if len(names) == 1:
        _table(found, [(names[0], "mrr", "MRR"), (names[0], "accuracy", "accuracy")])
        return
    for key, heading in (("mrr", "MRR"), ("accuracy", "accuracy")):
        print(f"{heading}\n")
        _table(found, [(name, key, name) for name in names])
        print()


def _table(found: dict[str, Row], columns: Sequence[tuple[str, str, str]]) -> None:
    """columns: ablation, figure, heading."""
    headings = [*(heading for *_, heading in columns), "steps to 95 %"]
    print(f"| | {' | '.join(headings)} |\n{'|---' * (len(headings) + 1)}|")
    for loss, row in found.items():
        cells, steps = [_number(row[name], key) for name, key, _ in columns], row.get("steps")
        cells.append("" if steps is None else f"{steps['to_95']:.0f} ± {steps['to_95_sd']:.0f}")
        print(f"| {loss} | {' | '.join(cells)} |")
    chance = grounding.chance()
    print(f"| chance | {' | '.join(f'{chance[key]:.3f}' for _, key, _ in columns)} | |")


def show_choice(found: dict[str, Row]) -> None:
    print(f"| scale | validation MRR | steps to 95 % |\n{'|---' * 3}|")
    for scale, row in found.items():
        print(f"| {scale} | {_number(row, 'mrr')} | {row['to_95']:.0f} ± {row['to_95_sd']:.0f} |")


def _number(row: Row, key: str) -> str:
    return f"{row[key]:.3f} ± {row[f'{key}_sd']:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = BenchmarkConfig()
    parser.add_argument("--data", type=Path, metavar="FOLDER", help="with gold/ and speech/ in it")
    parser.add_argument("--objects", type=Path, metavar="GOLD", help="folder of described objects")
    parser.add_argument("--choose", action="store_true", help="compare scales between the losses on validation data")
    parser.add_argument("--seeds", type=int, default=defaults.seeds)
    parser.add_argument("--pairs", type=int, default=defaults.pairs, help="words: descriptions of each object")
    parser.add_argument("--encoder", default=defaults.encoder, help="words: sentence or text")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure there")
    given = parser.parse_args()
    report: dict[str, Any] = {}
    try:
        config = BenchmarkConfig(given.seeds, given.pairs, given.encoder)
        if given.choose:
            some = described(given.objects) if given.objects else gold_words(given.data / "gold", config)
            make = objects_task if given.objects else words_task
            report["choice"] = choice(lambda seed: make(some, seed), config.seeds)
            show_choice(report["choice"])
        else:
            if given.data:
                report["words"] = words(given.data / "gold", config)
                show(report["words"])
                courses = (voices(given.data / "speech", config.seeds, d) for d in ("course", "patterns"))
                report["voices"] = {name: row for found in courses for name, row in found.items()}
                show(report["voices"])
            if given.objects:
                report["objects"] = tabletop(described(given.objects), config.seeds)
                show(report["objects"])
        if given.json:
            storage.write_json(given.json, report)
    except (Any2AnyError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
