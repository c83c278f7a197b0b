"""From described objects to a new sensor that few pairs connect with the known ones (learning/cox.py)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros import storage
from any2any_ros.arrays import Names, Rows
from any2any_ros.config import Settings, setting
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import cox, cox_baselines
from any2any_ros.learning.cox import COX, CoxConfig
from any2any_ros.learning.cox_baselines import Task
from any2any_ros.objects.views import ObjectViews
from any2any_ros.workflows import described_objects, training


@dataclass(frozen=True)
class PairsConfig(Settings):
    """Which sensor is new, and how many of its samples are paired with known sensors."""

    new: str = setting("camera", "modality of the new sensor; the others are known, with their classes")
    pairs: float = setting(
        0.03, "share of the new sensor's training samples that are paired with a view of the known sensors; 0 = none",
        minimum=0, maximum=1,
    )  # fmt: skip


def train_cox(
    objects: ObjectViews, folder: Path, pairs: PairsConfig = PairsConfig(), config: CoxConfig = CoxConfig()
) -> dict[str, Any]:
    """Teach a new sensor by few pairs with known sensors, test it, and write cox.npz and training.json.

    Returns the content of training.json. Raises Any2AnyError when the objects lack the new sensor or have no pair.
    """
    training.refuse_unwritable(folder)

    # Data: views of training objects, and of other objects for the test. Nothing is stopped or chosen on a third part.
    of_test = described_objects.split(objects, config.seed) == 2
    train, test = objects.take(~of_test), objects.take(of_test)
    samples, queries = _samples(train, pairs.new), _samples(test, pairs.new)
    task = _task(train, samples, test.embeddings[pairs.new][queries], pairs, config.seed)

    # Fitting and test: the class of unknown objects, and whose view is most similar to a sample of the new sensor.
    model = cox.fit(task.new, task.known, task.pairs, train.classes, config)
    rows = judged(model, task, train.classes, test.classes[queries])

    # On disk: the model, and how it was made and judged.
    record = {
        "config": dataclasses.asdict(pairs) | dataclasses.asdict(config),
        "encoders": objects.encoders,
        "samples": {"known": len(train), "new": len(task.new), "paired": len(task.pairs), "test": len(queries)},
        "agreement": model.agreement,
        "test": rows,
    }
    with training.results(folder) as home:
        storage.save(model, home / "cox")
        training.write_record(home, record)
    return record


def _samples(objects: ObjectViews, new: str) -> Rows:
    """Return the rows of the new sensor's samples, each sample once: one picture has a row for every description."""
    if new not in objects.embeddings or len(objects.embeddings) < 2:
        why = f"there are {', '.join(objects.observations.modalities) or 'none'}"
        raise Any2AnyError(
            f"'{new}' cannot be taught as a new sensor", why, "Choose one of them (--new); another must be known"
        )
    there = np.flatnonzero(objects.observations.present(new))
    if len(there) == 0:
        raise Any2AnyError(
            f"'{new}' cannot be taught as a new sensor",
            "the training or the test objects have no sample of it",
            "Give more objects with this sensor, or another --seed",
        )
    _, first = np.unique(objects.embeddings[new][there], axis=0, return_index=True)
    return np.sort(there[first])


def _task(train: ObjectViews, samples: Rows, queries: Any, pairs: PairsConfig, seed: int) -> Task:
    """Return the task: the known sensors' rows, the new samples, and which of these are paired with their row."""
    drawn = np.random.default_rng(seed).permutation(len(samples))[: round(pairs.pairs * len(samples))]
    if pairs.pairs > 0 and len(drawn) == 0:
        why = f"{pairs.pairs:g} of {len(samples)} samples is less than one"
        raise Any2AnyError("The new sensor has no pair", why, "Give a larger share (--pairs), or 0 for no pair at all")
    known = train.observations.only([m for m in train.observations.modalities if m != pairs.new])
    label = np.unique(train.classes, return_inverse=True)[1].astype(np.intp)
    new = train.embeddings[pairs.new][samples].astype(np.float64)
    drawn = np.sort(drawn)
    return Task(new, known, label, np.stack([drawn, samples[drawn]], axis=1), np.asarray(queries, dtype=np.float64))


def judged(model: COX, task: Task, known_class: Names, test_class: Names) -> list[dict[str, Any]]:
    """Return accuracy and R@1 (mean over the known sensors) of COX, of baselines on the pairs alone, and of chance.

    Chance is a view drawn at random from the known ones.
    """
    names = np.unique(known_class)
    rows = [{"method": "COX", "accuracy": float(np.mean(model.classify(task.test) == test_class)),
             "recall@1": _recall(model, task, known_class, test_class)}]  # fmt: skip
    baselines = {"ERM on the pairs": cox_baselines.erm, "ridge to known heads": cox_baselines.ridge}
    for name, method in baselines.items() if len(task.pairs) else ():
        answers = names[method(task).argmax(axis=1)]
        rows.append({"method": name, "accuracy": float(np.mean(answers == test_class))})
    chance = float(np.mean([np.mean(known_class == name) for name in test_class]))
    return [*rows, {"method": "chance", "accuracy": chance, "recall@1": chance}]


def _recall(model: COX, task: Task, known_class: Names, test_class: Names) -> float:
    """Return how often the known view that is most similar to a new sample is of the sample's class."""
    hits, test = [], task.test.astype(np.float32)
    for (_, known), alignment in model.alignments("new").items():
        present = task.known.present(known)
        similarity = alignment.query(test) @ alignment.reference(task.known.embeddings[known][present]).T
        hits.append(np.mean(known_class[present][similarity.argmax(axis=1)] == test_class))
    return float(np.mean(hits))
