"""A new sensor with few pairs, or with none, on real digits: python benchmarks/cox.py --mfeat FOLDER

Each of six views of handwritten digits is the new sensor in turn, and the five others are known. There are 700 known
digits, whose classes are known; 800 new digits, a share of which is paired with known ones; and 500 test digits, the
same for all seeds, which are used for nothing but the tables. Figures: accuracy of the class; and R@1, the share of
queries for which a known digit of their class comes first, mean over the known views. Mean ± standard deviation over
seeds of the mean over views. Chance is .1 for both.

    pairs        COX, COX without exploration, and the rivals, for each share of pairs
    views        the accuracy of each view
    skew         the new sensor sees the classes in other proportions than the known sensors
    no pairs     without an alignment COX must refuse; with an alignment from digits of other classes: the gain
    choice       --choose: settings compared on 400 validation digits, from the 1500 that are not for the test
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from cox_digits import Digits, observed
from cox_rivals import BASELINES, Task, entropy
from printing import mean_and_deviation, print_table
from tqdm import tqdm

from any2any_ros import storage
from any2any_ros.arrays import Float64, Rows
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import cox, cox_steps
from any2any_ros.learning.cox import COX, CoxConfig
from any2any_ros.learning.cox_baselines import RIDGE, standard
from any2any_ros.learning.cox_examples import PENALTY
from any2any_ros.sim import mfeat
from any2any_ros.standardisation import standardised, statistics

SHARES = (0.01, 0.03, 0.1)
COX_NAME, PLAIN = "COX", "COX without exploration"
Answer = dict[str, float]

OURS = {
    PLAIN: CoxConfig(explore=False),
    COX_NAME: CoxConfig(),
}


# --- figures --------------------------------------------------------------------------------------------------


def fitted(task: Task, config: CoxConfig) -> COX:
    return cox.fit(task.new, task.known, task.pairs, task.known_class, config)


def judge(task: Task, model: COX) -> Answer:
    """Return the accuracy, and R@1 as the mean over the known views."""
    hits = []
    for (_, view), alignment in model.alignments("new").items():
        similarity = alignment.query(task.test.astype(np.float32)) @ alignment.reference(task.known.embeddings[view]).T
        hits.append(_accuracy(task.known_class[similarity.argmax(axis=1)], task))
    return {"accuracy": _accuracy(model.classify(task.test), task), "recall@1": float(np.mean(hits))}


def _accuracy(classes: Rows, task: Task) -> float:
    return float((classes == task.test_class).mean())


def measure(make: Callable[[str, int], Task], seeds: int, what: str, ours: Mapping[str, CoxConfig]) -> dict[str, Any]:
    """Return method -> figure -> view -> values over seeds."""
    figures: dict[str, dict[str, Any]] = {}
    everything = [(view, seed) for view in mfeat.MODALITIES for seed in range(seeds)]
    for view, seed in tqdm(everything, desc=what, disable=not sys.stderr.isatty()):
        task = make(view, seed)
        answers = {
            name: {"accuracy": _accuracy(method(task).argmax(axis=1), task)} for name, method in BASELINES.items()
        }
        answers |= {name: judge(task, fitted(task, config)) for name, config in ours.items()}
        for name, answer in answers.items():
            for figure, value in answer.items():
                figures.setdefault(name, {}).setdefault(figure, {}).setdefault(view, []).append(value)
    return figures


def over_seeds(by_view: Mapping[str, Iterable[float]]) -> Float64:
    """Return the mean over views (seeds,)."""
    return np.asarray(np.mean([np.array(list(values)) for values in by_view.values()], axis=0))


def show(figures: Mapping[str, Any]) -> None:
    """Print the means for each share of pairs, and the accuracy of each view."""
    shares = list(figures)
    names = list(next(iter(figures.values())))
    for figure in ("accuracy", "recall@1"):
        print()
        rows = [
            [name, *(mean_and_deviation(over_seeds(figures[share][name][figure]).tolist()) for share in shares)]
            for name in names if figure in figures[shares[0]][name]
        ]  # fmt: skip
        print_table([figure, *shares], [*rows, ["chance", *[".100"] * len(shares)]])
    for share in shares:
        print()
        by_view = {name: figures[share][name]["accuracy"].values() for name in names}
        rows = [[name, *(f"{np.mean(v):.3f}" for v in values)] for name, values in by_view.items()]
        print_table([f"accuracy, {share}", *mfeat.MODALITIES], rows)
    for share in shares:
        print(f"\n{share}: {goals(figures[share])}")


def goals(figures: Mapping[str, Any]) -> str:
    """Return whether COX is as far ahead of its rivals as it should be: on average, and in the worst view."""
    ours = figures[COX_NAME]["accuracy"]
    rows = []
    for rival, margin in (("ERM on the pairs", 0.03), ("ridge to known heads", -0.01), (PLAIN, 0.0)):
        ahead = {view: np.mean(ours[view]) - np.mean(figures[rival]["accuracy"][view]) for view in ours}
        worst = min(ahead, key=lambda view: ahead[view])
        verdict = "met" if np.mean(list(ahead.values())) >= margin else "NOT MET"
        everywhere = "in every view" if ahead[worst] >= margin else f"not in {worst}"
        rows.append(f"COX - {rival}: {np.mean(list(ahead.values())):+.3f}, worst {worst} {ahead[worst]:+.3f}; "
                    f"wanted {margin:+.2f}: {verdict}, {everywhere}")  # fmt: skip
    return "\n    ".join(["", *rows])


def without_pairs(digits: Digits, seeds: int) -> dict[str, Any]:
    """Return how often COX refused without an alignment, and its accuracy with an alignment from other classes.

    The alignment is a ridge regression from the new view to a known one, fitted on digits 5 to 9. The task is digits 0
    to 4, of which no pair and no label is known.
    """
    figures: dict[str, Any] = {"refused": 0, "tried": 0, "prior alone": {}, PLAIN: {}, COX_NAME: {}}
    for view, seed in [(v, s) for v in mfeat.MODALITIES for s in range(seeds)]:
        task = digits.task(view, 0, seed)
        target = "kar" if view == "fac" else "fac"
        figures["tried"] += 2
        figures["refused"] += _refused(task, task.new)
        figures["refused"] += _refused(task, _as_wide(task.new, task.known.embeddings[target].shape[1], seed))
        for name, value in _aligned_by_others(digits, view, target, seed).items():
            figures[name].setdefault(view, []).append(value)
    return figures


def _refused(task: Task, new: Float64) -> bool:
    try:
        cox.fit(new, task.known, None, task.known_class)
    except Any2AnyError:
        return True
    return False


def _as_wide(x: Float64, width: int, seed: int) -> Float64:
    """Return x (N, D) mixed at random into a space of `width` numbers that is aligned with no other."""
    return np.asarray(x @ np.random.default_rng(seed).normal(size=(x.shape[1], width)) / x.std())


def _aligned_by_others(digits: Digits, view: str, target: str, seed: int) -> Answer:
    order = np.random.default_rng(seed).permutation(digits.rest)
    others, own = (order[(digits.classes[order] >= 5) == high] for high in (True, False))
    known, new = np.array_split(own, 2)
    test = digits.test[digits.classes[digits.test] < 5]
    w, b = cox_steps.ridge_regression(digits.views[view][others], digits.views[target][others], RIDGE)
    aligned = digits.views[view] @ w + b
    task = Task(
        aligned[new], observed({m: v for m, v in digits.views.items() if m != view}, known), digits.classes[known],
        np.empty((0, 2), dtype=np.intp), aligned[test], digits.classes[new], digits.classes[test],
    )  # fmt: skip
    _, test_vectors = standard(task)
    z = standardised(digits.views[target][known], *statistics(digits.views[target][known]))
    w, b = cox_steps.softmax_regression(z, np.eye(5)[task.known_class], np.ones(len(z)), PENALTY)
    answers = {"prior alone": _accuracy((test_vectors @ w + b).argmax(axis=1), task)}
    for name in (PLAIN, COX_NAME):
        try:
            answers[name] = judge(task, fitted(task, OURS[name]))["accuracy"]
        except Any2AnyError:
            answers[name] = float("nan")  # refused
    return answers


def show_without(figures: Mapping[str, Any]) -> None:
    print(f"\nno pairs, no alignment: refused {figures['refused']} of {figures['tried']}")
    rows = []
    for name in ("prior alone", PLAIN, COX_NAME):
        refused = sum(np.isnan(values).sum() for values in figures[name].values())
        cells = [f"{np.nanmean(values):.3f}" if not np.isnan(values).all() else "" for values in figures[name].values()]
        mean = np.nanmean([v for values in figures[name].values() for v in values])
        rows.append([name, *cells, f"{mean:.3f} ({refused} refused)"])
    headings = ["no pairs, aligned by other classes", *mfeat.MODALITIES, "mean"]
    print_table(headings, [*rows, ["chance", *[".200"] * (len(mfeat.MODALITIES) + 1)]])


# --- settings -------------------------------------------------------------------------------------------------

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {}, "rounds 1": {"rounds": 1}, "rounds 6": {"rounds": 6}, "neighbours 10": {"neighbours": 10},
    "neighbours 20": {"neighbours": 20}, "spread 0.8": {"spread": 0.8}, "spread 0.99": {"spread": 0.99},
    "doubt 0.01": {"doubt": 0.01}, "doubt 0.2": {"doubt": 0.2}, "sharpness 1": {"sharpness": 1.0},
    "sharpness 4": {"sharpness": 4.0}, "balance 0": {"balance": 0.0}, "balance 0.9": {"balance": 0.9},
    "variational": {"connection": "variational"},
}  # fmt: skip


def choice(digits: Digits, seeds: int) -> dict[str, Any]:
    """Return setting -> share of pairs -> accuracies on validation digits."""
    figures: dict[str, Any] = {}
    everything = [(share, view, seed) for share in SHARES[:2] for view in mfeat.MODALITIES for seed in range(seeds)]
    for share, view, seed in tqdm(everything, desc="choice", disable=not sys.stderr.isatty()):
        task = digits.choice(view, share, seed)
        for name, values in VARIANTS.items():
            model = fitted(task, CoxConfig(**values))
            figures.setdefault(name, {}).setdefault(f"{share:g}", []).append(_accuracy(model.classify(task.test), task))
        for weight in (0.01, 0.1, 1.0):
            accuracy = _accuracy(entropy(task, weight).argmax(axis=1), task)
            figures.setdefault(f"entropy {weight:g}", {}).setdefault(f"{share:g}", []).append(accuracy)
    rows = [[name, *(f"{np.mean(values):.3f}" for values in row.values())] for name, row in figures.items()]
    print_table(["validation accuracy", *figures["default"]], rows)
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mfeat", type=Path, metavar="FOLDER", required=True, help="folder of UCI Multiple Features")
    parser.add_argument("--seeds", type=int, default=5, help="splits of the digits (default %(default)s)")
    parser.add_argument("--choose", action="store_true", help="compare settings on validation digits")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to this file")
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error("--seeds must be at least 1")
    try:
        digits = Digits(arguments.mfeat)
        if arguments.choose:
            report: dict[str, Any] = {"choice": choice(digits, arguments.seeds)}
        else:
            report = {"pairs": {}}
            for share in SHARES:
                figures = measure(digits.paired(share), arguments.seeds, f"{share:.0%}", OURS)
                report["pairs"][f"{share:.0%} pairs"] = figures
            show(report["pairs"])
            unequal = {name: OURS[name] for name in (PLAIN, COX_NAME)} | {"COX, balance 0": CoxConfig(balance=0.0)}
            skewed = measure(lambda v, s: digits.task(v, 0.03, s, skew=10), arguments.seeds, "skew", unequal)
            report["skew"] = {"3% pairs, classes 1 : 10": skewed}
            show(report["skew"])
            report["without"] = without_pairs(digits, arguments.seeds)
            show_without(report["without"])
        if arguments.json:
            storage.write_json(arguments.json, report)
    except (Any2AnyError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
