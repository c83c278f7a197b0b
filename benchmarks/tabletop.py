"""How well encoders without weights tell household objects apart, and whether words find them by a linear map alone.

    python benchmarks/tabletop.py out/tabletop0 [out/tabletop1 ...] [--camera PLUG] [--splits 3] [--json FILE]

Each folder is a GoLD folder: the recorded one, or one of `any2any simulate-tabletop FOLDER --seed N`.

Nearest neighbour (without training): the nearest one of all other views is of the same object; of the same class; and,
without the views of the same object, of the same class.

Grounding (EMMA's protocol, Eq. 9): one description and five candidate views of five different classes; one of them
shows the described object. Objects are split .5/.25/.25 into training, validation and test; no object is in two parts.
CSA between descriptions and views is fitted on the training rows; its dimension and ridge are selected on the
validation rows. Ties count against the method. Mean and spread over folders and splits. Chance is that of a random
ranker.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros import encoders, storage
from any2any_ros.arrays import Array, Names, Rows
from any2any_ros.data import gold, splits
from any2any_ros.data.examples import Examples, observe
from any2any_ros.learning import csa, emma_evaluation
from any2any_ros.progress import progress_bar

PLUGS = {"depth": "depth", "text": "text"}
SIDES: tuple[tuple[str, ...], ...] = (("camera",), ("depth",), ("camera", "depth"))
SHARES = (0.5, 0.25, 0.25)
DIMENSIONS, RIDGES = (20, 40, 80), (0.1, 1.0)


def nearest_neighbours(features: Array, labels: Names, instances: Names) -> dict[str, float]:
    """Return the share of nearest neighbours of the same object and class, with chance. features (N, D)."""
    similarity = features @ features.T
    np.fill_diagonal(similarity, -np.inf)
    other = ~np.eye(len(labels), dtype=bool)
    same_object, same_class = instances[:, None] == instances, labels[:, None] == labels
    figures = {}
    for name, right, allowed in (
        ("same object", same_object, other),
        ("same class", same_class, other),
        ("same class, another object", same_class, ~same_object),
    ):
        nearest = np.where(allowed, similarity, -np.inf).argmax(axis=1)
        figures[name] = float(right[np.arange(len(labels)), nearest].mean())
        figures[f"{name}, chance"] = float(((right & allowed).sum(axis=1) / allowed.sum(axis=1)).mean())
    return figures


def ground(examples: Examples, side: tuple[str, ...], seed: int) -> tuple[float, float]:
    """Return MRR and accuracy of texts that find views, on the test objects of one split.

    side: the modalities of the views.
    """
    rows_of = examples.observations
    text, views = rows_of.embeddings["text"], np.hstack([rows_of.embeddings[m] for m in side])
    usable = np.isfinite(text[:, 0]) & np.isfinite(views).all(axis=1)
    part = splits.by_instance(examples.labels, examples.instances, SHARES, seed)
    train, validation, test = (np.flatnonzero(usable & (part == p)) for p in range(3))

    def judge(fitted: Any, rows: Rows) -> dict[str, float]:
        ids, labels = np.array(rows_of.ids)[rows], examples.labels[rows]
        trials = emma_evaluation.draw(ids, labels, ids, labels, seed)
        return trials.judge(-fitted.query(text[rows]) @ fitted.reference(views[rows]).T)

    whole = [csa.fit(text[train], views[train], dim=max(DIMENSIONS), ridge=r) for r in RIDGES]
    fits = [strongest(fitted, d) for fitted, d in itertools.product(whole, DIMENSIONS)]
    figures = judge(max(fits, key=lambda fitted: judge(fitted, validation)["mrr"]), test)
    return figures["mrr"], figures["accuracy"]


def strongest(fitted: csa.CSA, dimension: int) -> csa.CSA:
    """Return the alignment reduced to its strongest directions."""
    return replace(
        fitted, query_projection=fitted.query_projection[:, :dimension],
        reference_projection=fitted.reference_projection[:, :dimension], correlations=fitted.correlations[:dimension],
    )  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=Path, help="GoLD folders")
    parser.add_argument("--most", type=int, default=5, help="descriptions used of each view (default %(default)s)")
    parser.add_argument("--splits", type=int, default=3, help="of each folder; 0: no grounding (default %(default)s)")
    parser.add_argument("--camera", default="crop", help="encoder of the pictures (default %(default)s)")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    arguments = parser.parse_args()
    near: dict[str, list[dict[str, float]]] = {" + ".join(side): [] for side in SIDES}
    grounding: dict[str, list[tuple[float, float]]] = {name: [] for name in near}
    for folder in arguments.folders:
        examples = observe(
            gold.read(folder).views,
            {m: encoders.build(p) for m, p in ({"camera": arguments.camera} | PLUGS).items()},
            arguments.most,
            progress_bar,
        )
        one = np.unique(examples.views, return_index=True)[1]
        for name, side in zip(near, SIDES, strict=True):
            views = examples.observations.take(one)
            rows = np.flatnonzero(np.all([views.present(m) for m in side], axis=0))
            features = np.hstack([views.embeddings[m][rows] for m in side])
            near[name].append(nearest_neighbours(features, examples.labels[one][rows], examples.instances[one][rows]))
            grounding[name] += [ground(examples, side, seed) for seed in range(arguments.splits)]
    _print(near, grounding)
    if arguments.json:
        storage.write_json(arguments.json, {"nearest": near, "grounding": grounding})
    return 0


def _print(near: dict[str, list[dict[str, float]]], grounding: dict[str, list[tuple[float, float]]]) -> None:
    print("| nearest neighbour by | same object | same class | same class, another object |\n|---|---|---|---|")
    names = ("same object", "same class", "same class, another object")
    for side, figures in near.items():
        print(f"| {side} | " + " | ".join(f"{np.mean([f[n] for f in figures]):.3f}" for n in names) + " |")
    chance = [np.mean([f[f"{n}, chance"] for f in next(iter(near.values()))]) for n in names]
    print("| chance | " + " | ".join(f"{c:.3f}" for c in chance) + " |")
    if not any(grounding.values()):
        return
    chance_of = emma_evaluation.chance()
    print(f"\n| a text finds, among {emma_evaluation.CANDIDATES} | MRR | accuracy |\n|---|---|---|")
    for side, pairs in grounding.items():
        mean, spread = np.mean(pairs, axis=0), np.std(pairs, axis=0)
        print(f"| {side} | {mean[0]:.3f} ± {spread[0]:.3f} | {mean[1]:.3f} ± {spread[1]:.3f} |")
    print(f"| chance | {chance_of['mrr']:.3f} | {chance_of['accuracy']:.3f} |")


if __name__ == "__main__":
    sys.exit(main())
