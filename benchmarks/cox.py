"""A new sensor with few pairs or none, on real digits: python benchmarks/cox.py --mfeat ../shared/data/mfeat

Each of six views of handwritten digits is new in turn, the five others are known (700 digits, of which every class is
known); 800 new digits, a share of them paired with known ones; 500 test digits, the same for every seed and looked at
by nothing but the tables. Accuracy of the class, and R@1: a known digit of the query's class comes first, mean over the
known views. Mean ± standard deviation over seeds of the mean over views; chance is .1 for both.

    pairs        COX, without exploration, and what else there is, for every share of pairs
    views        accuracy of every view for itself
    skew         the new sensor sees the classes in other proportions than the known ones have
    no pairs     nothing aligned: COX must refuse; aligned by digits of other classes: what is gained
    choice       --choose: settings compared on 400 validation digits, of the 1500 that are not for the test
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from cox_rivals import BASELINES, CLASSES, Task, entropy
from tqdm import tqdm

from any2any_ros import storage
from any2any_ros.arrays import Float64, Rows
from any2any_ros.errors import Any2AnyError
from any2any_ros.learning import cox, cox_steps
from any2any_ros.learning.cox import COX, CoxConfig
from any2any_ros.learning.cox_baselines import RIDGE, standard
from any2any_ros.learning.cox_examples import PENALTY
from any2any_ros.observation import ObservationSet
from any2any_ros.sim import mfeat
from any2any_ros.standardisation import standardised, statistics

TEST, KNOWN, NEW = 500, 700, 800
DEALT = 1234  # which digits are for the test: one deal for all seeds
SHARES = (0.01, 0.03, 0.1)
COX_NAME, PLAIN = "COX", "COX without exploration"
Answer = dict[str, float]


def observed(views: Mapping[str, Float64], rows: Rows) -> ObservationSet:
    columns = {m: v[rows].astype(np.float32) for m, v in views.items()}
    return ObservationSet(columns, np.full((len(rows), 4, 4), np.nan), tuple(map(str, range(len(rows)))))


class Digits:
    """The digits, and how they are dealt out."""

    def __init__(self, folder: Path) -> None:
        self.views, self.classes = mfeat.read(folder)
        dealt = np.random.default_rng(DEALT).permutation(len(self.classes))
        self.rest, self.test = dealt[:-TEST], dealt[-TEST:]

    def paired(self, share: float) -> Callable[[str, int], Task]:
        return lambda view, seed: self.task(view, share, seed)

    def task(self, view: str, share: float, seed: int, skew: float = 1.0) -> Task:
        """Return the task of one seed; skew: how many times as often the commonest new class comes as the rarest."""
        order = np.random.default_rng(seed).permutation(self.rest)
        new = order[KNOWN : KNOWN + NEW]
        if skew != 1:
            new = self._skewed(new, skew, seed)
        return self._task(view, share, order[:KNOWN], new, self.test)

    def choice(self, view: str, share: float, seed: int) -> Task:
        """Return a task that never touches the test digits: 500 known, 600 new, 400 for validation."""
        order = np.random.default_rng((seed, 1)).permutation(self.rest)
        return self._task(view, share, order[:500], order[500:1100], order[1100:])

    def _task(self, view: str, share: float, known: Rows, new: Rows, test: Rows) -> Task:
        # A pair is a new digit that the known sensors have seen as well.
        paired = np.arange(round(share * len(new)))
        known = np.concatenate([known, new[paired]])
        others = {m: v for m, v in self.views.items() if m != view}
        pairs = np.stack([paired, len(known) - len(paired) + paired], axis=1)
        mine = self.views[view]
        return Task(
            mine[new], observed(others, known), self.classes[known], pairs, mine[test], self.classes[new],
            self.classes[test],
        )  # fmt: skip

    def _skewed(self, rows: Rows, skew: float, seed: int) -> Rows:
        draw = np.random.default_rng((seed, 2))
        kept = np.geomspace(1 / skew, 1, CLASSES)[draw.permutation(CLASSES)]
        return rows[draw.random(len(rows)) < kept[self.classes[rows]]]


OURS = {
    PLAIN: CoxConfig(explore=False),
    COX_NAME: CoxConfig(),
}


# --- figures --------------------------------------------------------------------------------------------------


def fitted(task: Task, config: CoxConfig) -> COX:
    return cox.fit(task.new, task.known, task.pairs, task.known_class, config)


def judged(task: Task, model: COX) -> Answer:
    """Return accuracy, and R@1 as the mean over the known views."""
    hits = []
    for (_, view), alignment in model.alignments("new").items():
        similarity = alignment.query(task.test.astype(np.float32)) @ alignment.reference(task.known.embeddings[view]).T
        hits.append(_right(task.known_class[similarity.argmax(axis=1)], task))
    return {"accuracy": _right(model.classify(task.test), task), "recall@1": float(np.mean(hits))}


def _right(found: Rows, task: Task) -> float:
    return float((found == task.test_class).mean())


def measure(make: Callable[[str, int], Task], seeds: int, what: str, ours: Mapping[str, CoxConfig]) -> dict[str, Any]:
    """Return method -> figure -> (views, seeds)."""
    found: dict[str, dict[str, Any]] = {}
    everything = [(view, seed) for view in mfeat.MODALITIES for seed in range(seeds)]
    for view, seed in tqdm(everything, desc=what, disable=not sys.stderr.isatty()):
        task = make(view, seed)
        answers = {name: {"accuracy": _right(method(task).argmax(axis=1), task)} for name, method in BASELINES.items()}
        answers |= {name: judged(task, fitted(task, config)) for name, config in ours.items()}
        for name, answer in answers.items():
            for figure, value in answer.items():
                found.setdefault(name, {}).setdefault(figure, {}).setdefault(view, []).append(value)
    return found


def over_seeds(by_view: Mapping[str, Iterable[float]]) -> Float64:
    """Return (seeds,): the mean over views."""
    return np.asarray(np.mean([np.array(list(values)) for values in by_view.values()], axis=0))


def spread(values: Float64) -> str:
    deviation = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{deviation}"


def show(found: Mapping[str, Any]) -> None:
    """Print the means of every share, and accuracy by view."""
    shares = list(found)
    names = list(next(iter(found.values())))
    for figure in ("accuracy", "recall@1"):
        print(f"\n| {figure} | {' | '.join(shares)} |\n{'|---' * (len(shares) + 1)}|")
        for name in names:
            if figure in found[shares[0]][name]:
                print(f"| {name} | {' | '.join(spread(over_seeds(found[s][name][figure])) for s in shares)} |")
        print(f"| chance |{' .100 |' * len(shares)}")
    for share in shares:
        print(f"\n| accuracy, {share} | {' | '.join(mfeat.MODALITIES)} |\n{'|---' * (len(mfeat.MODALITIES) + 1)}|")
        for name in names:
            print(f"| {name} | {' | '.join(f'{np.mean(v):.3f}' for v in found[share][name]['accuracy'].values())} |")
    for share in shares:
        print(f"\n{share}: {goals(found[share])}")


def goals(found: Mapping[str, Any]) -> str:
    """Return whether what was asked for is there: the means, and the worst view."""
    own = found[COX_NAME]["accuracy"]
    rows = []
    for rival, margin in (("ERM on the pairs", 0.03), ("ridge to known heads", -0.01), (PLAIN, 0.0)):
        ahead = {view: np.mean(own[view]) - np.mean(found[rival]["accuracy"][view]) for view in own}
        worst = min(ahead, key=lambda view: ahead[view])
        verdict = "met" if np.mean(list(ahead.values())) >= margin else "NOT MET"
        everywhere = "in every view" if ahead[worst] >= margin else f"not in {worst}"
        rows.append(f"COX - {rival}: {np.mean(list(ahead.values())):+.3f}, worst {worst} {ahead[worst]:+.3f}; "
                    f"asked {margin:+.2f}: {verdict}, {everywhere}")  # fmt: skip
    return "\n    ".join(["", *rows])


def without_pairs(digits: Digits, seeds: int) -> dict[str, Any]:
    """Return how often nothing aligned was refused, and what COX makes of a prior alignment by other classes.

    Digits 5 to 9 teach a ridge map from the new view to a known one; the task is digits 0 to 4, of which no pair and no
    label is known.
    """
    found: dict[str, Any] = {"refused": 0, "asked": 0, "prior alone": {}, PLAIN: {}, COX_NAME: {}}
    for view, seed in [(v, s) for v in mfeat.MODALITIES for s in range(seeds)]:
        task = digits.task(view, 0, seed)
        target = "kar" if view == "fac" else "fac"
        found["asked"] += 2
        found["refused"] += _refused(task, task.new)
        found["refused"] += _refused(task, _as_wide(task.new, task.known.embeddings[target].shape[1], seed))
        for name, value in _aligned_by_others(digits, view, target, seed).items():
            found[name].setdefault(view, []).append(value)
    return found


def _refused(task: Task, new: Float64) -> bool:
    try:
        cox.fit(new, task.known, None, task.known_class)
    except Any2AnyError:
        return True
    return False


def _as_wide(x: Float64, width: int, seed: int) -> Float64:
    """Return x (N, D) in a space of `width` that has nothing to do with any other: a random mixture."""
    return np.asarray(x @ np.random.default_rng(seed).normal(size=(x.shape[1], width)) / x.std())


def _aligned_by_others(digits: Digits, view: str, target: str, seed: int) -> Answer:
    order = np.random.default_rng(seed).permutation(digits.rest)
    other, mine = (order[(digits.classes[order] >= 5) == high] for high in (True, False))
    known, new = np.array_split(mine, 2)
    test = digits.test[digits.classes[digits.test] < 5]
    w, b = cox_steps.ridge_regression(digits.views[view][other], digits.views[target][other], RIDGE)
    wide = digits.views[view] @ w + b
    task = Task(
        wide[new], observed({m: v for m, v in digits.views.items() if m != view}, known), digits.classes[known],
        np.empty((0, 2), dtype=np.intp), wide[test], digits.classes[new], digits.classes[test],
    )  # fmt: skip
    _, asked = standard(task)
    z = standardised(digits.views[target][known], *statistics(digits.views[target][known]))
    w, b = cox_steps.softmax_regression(z, np.eye(5)[task.known_class], np.ones(len(z)), PENALTY)
    answers = {"prior alone": _right((asked @ w + b).argmax(axis=1), task)}
    for name in (PLAIN, COX_NAME):
        try:
            answers[name] = judged(task, fitted(task, OURS[name]))["accuracy"]
        except Any2AnyError:
            answers[name] = float("nan")  # refused
    return answers


def show_without(found: Mapping[str, Any]) -> None:
    print(f"\nno pairs, nothing aligned: refused {found['refused']} of {found['asked']}")
    print(f"| no pairs, aligned by other classes | {' | '.join(mfeat.MODALITIES)} | mean |\n{'|---' * 8}|")
    for name in ("prior alone", PLAIN, COX_NAME):
        refused = sum(np.isnan(values).sum() for values in found[name].values())
        cells = [f"{np.nanmean(values):.3f}" if not np.isnan(values).all() else "" for values in found[name].values()]
        both = np.nanmean([v for values in found[name].values() for v in values])
        print(f"| {name} | {' | '.join(cells)} | {both:.3f} ({refused} refused) |")
    print(f"| chance |{' .200 |' * 7}")


# --- settings -------------------------------------------------------------------------------------------------

VARIANTS: dict[str, dict[str, Any]] = {
    "default": {}, "rounds 1": {"rounds": 1}, "rounds 6": {"rounds": 6}, "neighbours 10": {"neighbours": 10},
    "neighbours 20": {"neighbours": 20}, "spread 0.8": {"spread": 0.8}, "spread 0.99": {"spread": 0.99},
    "doubt 0.01": {"doubt": 0.01}, "doubt 0.2": {"doubt": 0.2}, "sharpness 1": {"sharpness": 1.0},
    "sharpness 4": {"sharpness": 4.0}, "balance 0": {"balance": 0.0}, "balance 0.9": {"balance": 0.9},
    "variational": {"connection": "variational"},
}  # fmt: skip


def choice(digits: Digits, seeds: int) -> dict[str, Any]:
    """Return setting -> share -> accuracy on validation digits."""
    found: dict[str, Any] = {}
    everything = [(share, view, seed) for share in SHARES[:2] for view in mfeat.MODALITIES for seed in range(seeds)]
    for share, view, seed in tqdm(everything, desc="choice", disable=not sys.stderr.isatty()):
        task = digits.choice(view, share, seed)
        for name, values in VARIANTS.items():
            model = fitted(task, CoxConfig(**values))
            found.setdefault(name, {}).setdefault(f"{share:g}", []).append(_right(model.classify(task.test), task))
        for weight in (0.01, 0.1, 1.0):
            right = _right(entropy(task, weight).argmax(axis=1), task)
            found.setdefault(f"entropy {weight:g}", {}).setdefault(f"{share:g}", []).append(right)
    print(f"| validation accuracy | {' | '.join(found['default'])} |\n{'|---' * 3}|")
    for name, row in found.items():
        print(f"| {name} | {' | '.join(f'{np.mean(values):.3f}' for values in row.values())} |")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mfeat", type=Path, metavar="FOLDER", required=True, help="UCI Multiple Features")
    parser.add_argument("--seeds", type=int, default=5, help="deals of known, new and paired (default %(default)s)")
    parser.add_argument("--choose", action="store_true", help="compare settings on validation digits")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure there")
    given = parser.parse_args()
    if given.seeds < 1:
        parser.error("--seeds must be at least 1")
    try:
        digits = Digits(given.mfeat)
        if given.choose:
            report: dict[str, Any] = {"choice": choice(digits, given.seeds)}
        else:
            report = {"pairs": {}}
            for share in SHARES:
                found = measure(digits.paired(share), given.seeds, f"{share:.0%}", OURS)
                report["pairs"][f"{share:.0%} pairs"] = found
            show(report["pairs"])
            unequal = {name: OURS[name] for name in (PLAIN, COX_NAME)} | {"COX, balance 0": CoxConfig(balance=0.0)}
            skewed = measure(lambda v, s: digits.task(v, 0.03, s, skew=10), given.seeds, "skew", unequal)
            report["skew"] = {"3% pairs, classes 1 : 10": skewed}
            show(report["skew"])
            report["without"] = without_pairs(digits, given.seeds)
            show_without(report["without"])
        if given.json:
            storage.write_json(given.json, report)
    except (Any2AnyError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
