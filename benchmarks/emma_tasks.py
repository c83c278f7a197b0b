"""The tasks of benchmarks/emma.py: GoLD's words, spoken digits, and described objects, split by seed."""

from __future__ import annotations

import gzip
import sys
import wave
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from any2any_ros import encoders
from any2any_ros.arrays import Array, Names
from any2any_ros.config import Settings, setting
from any2any_ros.data import gold, splits
from any2any_ros.data.examples import observe
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import emma_evaluation
from any2any_ros.learning.emma_evaluation import Trials
from any2any_ros.objects.heads import EMMA
from any2any_ros.objects.views import ObjectViews
from any2any_ros.progress import progress_bar
from any2any_ros.samples import Sound
from any2any_ros.workflows.described_objects import PLUGS

SHARES = (0.6, 0.2, 0.2)  # of the objects of each class: for training, for validation, for the test
SPOKEN = 2  # descriptions used of each view: as many are spoken, too
Row = dict[str, Any]


@dataclass(frozen=True)
class BenchmarkConfig(Settings):
    """How much is measured."""

    seeds: int = setting(5, "splits, heads and trials of each kind", minimum=1)
    pairs: int = setting(8, "words: descriptions of each object, written and spoken", minimum=1)
    encoder: str = setting("sentence", "words: encoder of the descriptions", choices=("sentence", "text"))


@dataclass(frozen=True, eq=False)
class Task:
    """The task of one seed. judge: heads and objects -> name of what is compared -> figures."""

    train: ObjectViews
    held_out: ObjectViews
    test: ObjectViews
    judge: Callable[[EMMA, ObjectViews], dict[str, Row]]


def _split(objects: ObjectViews, seed: int, judge: Callable[[EMMA, ObjectViews], dict[str, Row]]) -> Task:
    part = splits.by_instance(objects.classes, objects.instances, SHARES, seed)
    train, held_out, test = (objects.take(part == i) for i in range(3))
    return Task(train, held_out, test, judge)


# --- words ----------------------------------------------------------------------------------------------------


def gold_words(folder: Path, config: BenchmarkConfig, seed: int = 0) -> ObjectViews:
    """Return GoLD's descriptions: each row has a written and a spoken one of the same view; `pairs` rows an object."""
    written, spoken = (_lines(folder / f"gold_{name}.tsv.gz") for name in ("text", "speech"))
    items = sorted(set(written) & set(spoken))
    pairs = [(item, *both) for item in items for both in zip(written[item], spoken[item], strict=False)]
    order = np.random.default_rng(seed).permutation(len(pairs))
    count: dict[str, int] = {}
    rows = []
    for item, text, speech in (pairs[i] for i in order):
        instance = item.rsplit("_", 1)[0]
        if count.setdefault(instance, 0) < config.pairs:
            count[instance] += 1
            rows.append((f"{item}/{count[instance]}", instance.rsplit("_", 1)[0], instance, text, speech))
    ids, classes, instances, texts, speeches = (list(column) for column in zip(*sorted(rows), strict=True))
    encoder = encoders.build(config.encoder)
    columns = {
        name: np.array([encoder.encode(line) for line in tqdm(lines, desc=name, disable=not sys.stderr.isatty())])
        for name, lines in (("text", texts), ("speech", speeches))
    }
    record = {"plug": config.encoder, "fingerprint": encoder.fingerprint}
    names = [np.array(column, dtype=np.str_) for column in (ids, classes, instances)]
    return ObjectViews(columns, names[0], names[1], names[2], {"text": record, "speech": record})


def _lines(path: Path) -> dict[str, list[str]]:
    """Return item -> its descriptions, without empty ones."""
    descriptions: dict[str, list[str]] = {}
    with gzip.open(path, "rt", encoding="utf-8") as file:
        next(file)
        for line in file:
            item, *_, text = line.rstrip("\n").split("\t")
            if len(text.strip(" .")) > 3:
                descriptions.setdefault(item, []).append(text)
    return descriptions


def words_task(objects: ObjectViews, seed: int) -> Task:
    """Return the task in which a written description asks for a transcript of the same object, of any view.

    The objects of the test are new.
    """

    def judge(heads: EMMA, some: ObjectViews) -> dict[str, Row]:
        query, reference = some.observations.only(["text"]), some.observations.only(["speech"])
        return {"heads": words_trials(some, seed).judge(heads.distance(query, reference))}

    return _split(objects, seed, judge)


def words_trials(objects: ObjectViews, seed: int) -> Trials:
    return emma_evaluation.draw(objects.instances, objects.classes, objects.instances, objects.classes, seed)


# --- spoken digits --------------------------------------------------------------------------------------------


def digits(folder: Path, descriptor: str) -> tuple[Array, Names, Names]:
    """Return the vectors of the recordings (N, D), their digits (N,) and their speakers (N,)."""
    encoder = encoders.build("speech", {"descriptor": descriptor})
    rows = []
    for path in sorted(folder.glob("*.wav")):
        with wave.open(str(path)) as file:
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / np.float32(32768)
            rows.append((encoder.encode(Sound(samples, file.getframerate())), *path.stem.split("_")[:2]))
    if not rows:
        raise Any2AnyError(f"There is no sound in {folder}", "it has no .wav", "Give the folder of spoken digits")
    vectors, digit, speaker = zip(*rows, strict=True)
    return np.array(vectors), np.array(digit), np.array(speaker)


def digits_trials(query: ObjectViews, reference: ObjectViews, seed: int) -> Trials:
    return emma_evaluation.draw(query.classes, query.classes, reference.classes, reference.classes, seed)


# --- described objects ----------------------------------------------------------------------------------------


def described(folder: Path) -> ObjectViews:
    """Return the views of a GoLD folder with their written and spoken descriptions, encoded without weights."""
    built = {m: encoders.build(plug) for m, plug in PLUGS.items()}
    return observe(gold.read(folder).views, built, SPOKEN, progress_bar).objects(built)


def objects_task(objects: ObjectViews, seed: int) -> Task:
    def judge(heads: EMMA, some: ObjectViews) -> dict[str, Row]:
        return emma_evaluation.evaluate(heads.distance, some, emma_evaluation.trials_of(some, seed))

    return _split(objects, seed, judge)
