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
import dataclasses
import json
import sys
import warnings
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from any2any_ros import plugins
from any2any_ros.data import mfeat
from any2any_ros.errors import Any2AnyError
from any2any_ros.methods import cox, cox_steps
from any2any_ros.methods.cox import COX, PENALTY, CoxConfig
from any2any_ros.methods.cox_steps import Float64, Line
from any2any_ros.observation import ObservationSet

TEST, KNOWN, NEW = 500, 700, 800
DEALT = 1234  # which digits are for the test: one deal for all seeds
SHARES = (0.01, 0.03, 0.1)
CLASSES = 10
RIDGE = CoxConfig().ridge
ENTROPY = 1.0  # weight of the entropy beside the labels' cross-entropy, by --choose
MASKED, HIDDEN, EPOCHS = 0.3, 64, 40  # of the pretext: share of features hidden, width of the code
COX_NAME, PLAIN = "COX", "COX without exploration"
Rows = NDArray[np.intp]
Answer = dict[str, float]


@dataclasses.dataclass(frozen=True, eq=False)
class Task:
    """One new view: features of new and test digits, all views of the known ones, classes, and which are paired."""

    new: Float64
    new_class: Rows  # for the ceiling only
    known: ObservationSet
    known_class: Rows
    pairs: Rows
    test: Float64
    test_class: Rows

    @property
    def labels(self) -> Float64:
        """Return (N, C): the classes that the pairs give away, 0 elsewhere."""
        found = np.zeros((len(self.new), CLASSES))
        found[self.pairs[:, 0], self.known_class[self.pairs[:, 1]]] = 1
        return found


def observed(views: Mapping[str, Float64], rows: Rows) -> ObservationSet:
    columns = {m: v[rows] for m, v in views.items()}
    return ObservationSet(columns, np.full((len(rows), 4, 4), np.nan), tuple(map(str, range(len(rows)))))


class Digits:
    """The digits, and how they are dealt out."""

    def __init__(self, folder: Path) -> None:
        self.views, self.classes = mfeat.read(folder)
        dealt = np.random.default_rng(DEALT).permutation(len(self.classes))
        self.rest, self.test = dealt[:-TEST], dealt[-TEST:]

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
            mine[new], self.classes[new], observed(others, known), self.classes[known], pairs, mine[test],
            self.classes[test],
        )  # fmt: skip

    def _skewed(self, rows: Rows, skew: float, seed: int) -> Rows:
        draw = np.random.default_rng((seed, 2))
        kept = np.geomspace(1 / skew, 1, CLASSES)[draw.permutation(CLASSES)]
        return rows[draw.random(len(rows)) < kept[self.classes[rows]]]


# --- what else there is ---------------------------------------------------------------------------------------


def standard(task: Task) -> tuple[Float64, Float64]:
    """Return new and test features in standard deviations of the new ones, cut as COX cuts them."""
    line = cox_steps.statistics(task.new)
    return cox_steps.standardised(task.new, line), cox_steps.standardised(task.test, line)


def erm(task: Task) -> Float64:
    """A linear classifier of what the pairs label."""
    x, test = standard(task)
    return _taught(x, task.labels, test)


def _taught(x: Float64, labels: Float64, test: Float64) -> Float64:
    w, b = cox_steps.softmax_regression(x, labels, labels.sum(axis=1), PENALTY)
    return cox_steps.softmax(test @ w + b)


def entropy(task: Task, weight: float | None = None) -> Float64:
    """The same, and sure of itself on what is not labelled (Grandvalet & Bengio 2004)."""
    from scipy.optimize import minimize

    x, test = standard(task)
    labels, share = task.labels, ENTROPY if weight is None else weight
    marked = labels.sum(axis=1)
    rest = x[marked == 0]

    def loss(flat: Float64) -> tuple[float, Float64]:
        value, gradient = cox_steps.softmax_loss(flat, x, labels, marked, PENALTY)
        line = flat.reshape(x.shape[1] + 1, -1)
        p = cox_steps.softmax(rest @ line[:-1] + line[-1])
        surprise = -np.log(p + cox_steps.TINY)
        own = (p * surprise).sum(axis=1, keepdims=True)
        slope = share * p * (surprise - own)
        both = np.concatenate([rest.T @ slope, slope.sum(axis=0)[None]]).ravel()
        return value + share * float(own.sum()), gradient + both

    w, b = cox_steps.softmax_regression(x, labels, marked, PENALTY)
    start = np.concatenate([w, b[None]]).ravel()
    line = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 100}).x.reshape(len(w) + 1, -1)
    return cox_steps.softmax(test @ line[:-1] + line[-1])


def label_propagation(task: Task) -> Float64:
    """What the pairs label, carried on and balanced as COX does it, and no other word of the known modalities."""
    x, test = standard(task)
    config, labels = CoxConfig(), task.labels
    graph = cox_steps.neighbour_graph(x, config.neighbours)
    carried = cox_steps.rows_to_one(cox_steps.propagate(graph, labels, config.spread))
    share = np.bincount(task.known_class, minlength=CLASSES) / len(task.known_class)
    found = cox_steps.balanced(carried**config.sharpness, share, config.balance)
    return _taught(x, np.where(labels.sum(axis=1, keepdims=True) > 0, labels, found), test)


def self_supervised(task: Task) -> Float64:
    """A masked autoencoder of all new digits gives features; a linear classifier of what the pairs label."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.neural_network import MLPRegressor

    x, test = standard(task)
    draw = np.random.default_rng(0)
    masked = x * (draw.random(x.shape) > MASKED)
    net = MLPRegressor(hidden_layer_sizes=(HIDDEN,), max_iter=EPOCHS, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is stopped in time
        net.fit(masked, x)

    def code(values: Float64) -> Float64:
        return np.maximum(values @ net.coefs_[0] + net.intercepts_[0], 0)

    line = cox_steps.statistics(code(x))
    both = [cox_steps.standardised(code(values), line) for values in (x, test)]
    return _taught(both[0], task.labels, both[1])


def ridge(task: Task) -> Float64:
    """Ridge regression from the new features to each known view on the pairs, and that view's classifier; pooled."""
    x, test = standard(task)
    rows, partner = task.pairs.T
    one_hot = np.eye(CLASSES)[task.known_class]
    opinions = []
    for columns in task.known.embeddings.values():
        z = columns.astype(np.float64)
        z = cox_steps.standardised(z, cox_steps.statistics(z))
        head = cox_steps.softmax_regression(z, one_hot, np.ones(len(z)), PENALTY)
        opinions.append(_through(cox_steps.ridge_regression(x[rows], z[partner], RIDGE), head, test))
    return cox_steps.pooled(opinions)


def _through(line: Line, head: Line, x: Float64) -> Float64:
    return cox_steps.softmax((x @ line[0] + line[1]) @ head[0] + head[1])


def aligned(task: Task) -> Float64:
    """The ceiling: every new digit is paired."""
    x, test = standard(task)
    return _taught(x, np.eye(CLASSES)[task.new_class], test)


BASELINES: dict[str, Callable[[Task], Float64]] = {
    "ERM on the pairs": erm,
    "entropy minimisation": entropy,
    "label propagation": label_propagation,
    "self-supervision": self_supervised,
    "ridge to known heads": ridge,
    "fully aligned": aligned,
}
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
        similarity = alignment.query(task.test) @ alignment.reference(task.known.embeddings[view]).T
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
    return np.mean([np.array(list(values)) for values in by_view.values()], axis=0)


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
    return x @ np.random.default_rng(seed).normal(size=(x.shape[1], width)) / x.std()


def _aligned_by_others(digits: Digits, view: str, target: str, seed: int) -> Answer:
    order = np.random.default_rng(seed).permutation(digits.rest)
    other, mine = (order[(digits.classes[order] >= 5) == high] for high in (True, False))
    known, new = np.array_split(mine, 2)
    test = digits.test[digits.classes[digits.test] < 5]
    w, b = cox_steps.ridge_regression(digits.views[view][other], digits.views[target][other], RIDGE)
    wide = digits.views[view] @ w + b
    task = Task(
        wide[new], digits.classes[new], observed({m: v for m, v in digits.views.items() if m != view}, known),
        digits.classes[known], np.empty((0, 2), dtype=np.intp), wide[test], digits.classes[test],
    )  # fmt: skip
    _, asked = standard(task)
    z = cox_steps.standardised(digits.views[target][known], cox_steps.statistics(digits.views[target][known]))
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
                found = measure(lambda v, s, p=share: digits.task(v, p, s), given.seeds, f"{share:.0%}", OURS)
                report["pairs"][f"{share:.0%} pairs"] = found
            show(report["pairs"])
            unequal = {name: OURS[name] for name in (PLAIN, COX_NAME)} | {"COX, balance 0": CoxConfig(balance=0.0)}
            skewed = measure(lambda v, s: digits.task(v, 0.03, s, skew=10), given.seeds, "skew", unequal)
            report["skew"] = {"3% pairs, classes 1 : 10": skewed}
            show(report["skew"])
            report["without"] = without_pairs(digits, given.seeds)
            show_without(report["without"])
        if given.json:
            text = json.dumps(report, indent=1).encode()
            plugins.write_atomically(given.json, lambda stream: stream.write(text))
    except (Any2AnyError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
