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
    """What the new sensor is, and how little is known of it."""

    new: str = setting("camera", "the modality that is new; all others are known, with their classes")
    pairs: float = setting(
        0.03, "share of the new training samples of which it is known what the known sensors saw; 0 = no pair",
        minimum=0, maximum=1,
    )  # fmt: skip


def train_cox(
    objects: ObjectViews, folder: Path, pairs: PairsConfig = PairsConfig(), config: CoxConfig = CoxConfig()
) -> dict[str, Any]:
    """Teach a new sensor by few pairs with known sensors, test it, and write cox.npz, cox.json and training.json.

    Returns the content of training.json. Raises Any2AnyError when the objects lack the new sensor or have no pair.
    """
    # Data: views of training objects, and of objects that only the test knows; nothing is stopped or chosen.
    of_test = described_objects.split(objects, config.seed) == 2
    train, test = objects.take(~of_test), objects.take(of_test)
    samples, queries = _samples(train, pairs.new), _samples(test, pairs.new)
    task = _task(train, samples, test.embeddings[pairs.new][queries], pairs, config.seed)

    # Fitting and test: the class of unknown objects, and whose view is most similar to a sample of the new sensor.
    model = cox.fit(task.new, task.known, task.pairs, train.classes, config)
    rows = judged(model, task, train.classes, test.classes[queries])

    # On disk: the model, and how it was made and judged.
    storage.save(model, folder / "cox")
    record = {
        "config": dataclasses.asdict(pairs) | dataclasses.asdict(config),
        "encoders": objects.encoders,
        "samples": {"known": len(train), "new": len(task.new), "paired": len(task.pairs), "test": len(queries)},
        "agreement": model.agreement,
        "test": rows,
    }
    training.write_record(folder, record)
    return record


def _samples(objects: ObjectViews, new: str) -> Rows:
    """Return the rows of what the new sensor recorded, each once: a picture stands beside every description."""
    if new not in objects.embeddings or len(objects.embeddings) < 2:
        why = f"there are {', '.join(objects.observations.modalities) or 'none'}"
        raise Any2AnyError(
            f"'{new}' cannot be taught as a new sensor", why, "Give --new one of them; another must be known"
        )
    there = np.flatnonzero(objects.observations.present(new))
    if len(there) == 0:
        raise Any2AnyError(f"'{new}' cannot be taught as a new sensor", "some part of the objects has none of it",
                           "Give objects of which more were recorded, or another --seed")  # fmt: skip
    _, first = np.unique(objects.embeddings[new][there], axis=0, return_index=True)
    return np.sort(there[first])


def _task(train: ObjectViews, samples: Rows, asked: Any, pairs: PairsConfig, seed: int) -> Task:
    """Return the task: the known sensors' rows, and which new samples are paired with the row they stand in."""
    drawn = np.random.default_rng(seed).permutation(len(samples))[: round(pairs.pairs * len(samples))]
    if pairs.pairs > 0 and len(drawn) == 0:
        why = f"{pairs.pairs:g} of {len(samples)} samples is less than one"
        raise Any2AnyError("The new sensor has no pair", why, "Give more --pairs, or 0 if none is meant")
    known = train.observations.only([m for m in train.observations.modalities if m != pairs.new])
    label = np.unique(train.classes, return_inverse=True)[1].astype(np.intp)
    new = train.embeddings[pairs.new][samples].astype(np.float64)
    drawn = np.sort(drawn)
    return Task(new, known, label, np.stack([drawn, samples[drawn]], axis=1), np.asarray(asked, dtype=np.float64))


def judged(model: COX, task: Task, known_class: Names, test_class: Names) -> list[dict[str, Any]]:
    """Return accuracy and R@1 (mean over the known sensors) of COX, of what the pairs alone teach, and chance: that of
    a view drawn among the known ones."""
    names = np.unique(known_class)
    rows = [{"method": "COX", "accuracy": float(np.mean(model.classify(task.test) == test_class)),
             "recall@1": _recall(model, task, known_class, test_class)}]  # fmt: skip
    rivals = {"ERM on the pairs": cox_baselines.erm, "ridge to known heads": cox_baselines.ridge}
    for name, method in rivals.items() if len(task.pairs) else ():
        found = names[method(task).argmax(axis=1)]
        rows.append({"method": name, "accuracy": float(np.mean(found == test_class))})
    chance = float(np.mean([np.mean(known_class == name) for name in test_class]))
    return [*rows, {"method": "chance", "accuracy": chance, "recall@1": chance}]


def _recall(model: COX, task: Task, known_class: Names, test_class: Names) -> float:
    """Return how often the first known view is of the class of the new sample that asks."""
    hits, test = [], task.test.astype(np.float32)
    for (_, known), alignment in model.alignments("new").items():
        there = task.known.present(known)
        similarity = alignment.query(test) @ alignment.reference(task.known.embeddings[known][there]).T
        hits.append(np.mean(known_class[there][similarity.argmax(axis=1)] == test_class))
    return float(np.mean(hits))
