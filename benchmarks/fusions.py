"""Every fusion on sensors that complement, repeat or outclass one another: python benchmarks/fusions.py

Half of the sensors are off at random, on the map's side and on the query's (sim/regimes.py, sim/mfeat.py). Each
fusion is fitted on the calibration queries and judged on the test queries, each with whatever it has; a query that
nothing can be compared with is a miss. "default" is what `calibrate` chooses, which sees calibration queries only.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from confidence import as_map
from numpy.typing import NDArray
from tqdm import tqdm

from any2any_ros import storage
from any2any_ros.calibration import evaluation
from any2any_ros.calibration.fitting import calibrate
from any2any_ros.calibration.judge import Judge
from any2any_ros.calibration.task import Task
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion import FUSIONS
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Fusion
from any2any_ros.retrieval.large.search import top_k
from any2any_ros.retrieval.retriever import bare_retriever
from any2any_ros.retrieval.similarity import SimilarityMatrix, same_modality
from any2any_ros.sim import mfeat, regimes
from any2any_ros.sim.regimes import Trial

DEFAULT, LIMIT = "default", "something in common"
BEATEN = ("reciprocal_rank", "z_score", "min_max", "any2any")  # what the default is asked to beat
MATCHED, MARGIN = "best_available", 0.03  # and what it may lose to, by how much
SAME_PLACE = regimes.SPACING / 2

Figures = dict[str, list[float]]  # recall@1, recall@5, one a seed


def fusions() -> list[str]:
    return list(FUSIONS.names())


def fitted(name: str, trial: Trial) -> Fusion:
    if name == DEFAULT:
        return chosen(trial)
    matrix = SimilarityMatrix(trial.reference, same_modality(trial.reference.modalities))
    fusion: Fusion = FUSIONS.find(name).fit(matrix(trial.calibration), trial.calibration_positive)
    return fusion


def chosen(trial: Trial) -> Fusion:
    """Return the fusion that the product's calibration takes."""
    reference = as_map(trial.reference)
    task = Task(trial.calibration, trial.calibration_positive, folds=trial.folds, same_place=SAME_PLACE)
    return calibrate(reference, task).fusion


def ranked(fusion: Fusion, trial: Trial) -> NDArray[np.bool_]:
    """Return (Q, 5): whether each of the best five of every test query is right."""
    judge = Judge.of(bare_retriever(trial.reference, fusion))
    relevant = np.zeros((len(trial.test), evaluation.DEEPEST), dtype=bool)
    for start in range(0, len(trial.test), evaluation.CHUNK):
        rows = range(start, min(start + evaluation.CHUNK, len(trial.test)))
        _, scores = judge.scores(trial.test.take(rows))
        for row, score in zip(rows, scores, strict=True):
            best = top_k(score, evaluation.DEEPEST)
            relevant[row, : len(best)] = trial.test_positive[row, best]
    return relevant


def judge(fusion: Fusion, trial: Trial) -> dict[str, Any]:
    relevant, right = ranked(fusion, trial), trial.test_positive
    return evaluation.summary(relevant, right.sum(axis=1), np.full(len(right), right.shape[1]))


def in_common(trial: Trial) -> float:
    """Return the share of test queries that share a sensor with a right reference: no fusion can find more."""
    judge = Judge.of(bare_retriever(trial.reference, RawMean()))
    comparable = [~np.isnan(judge.scores(one)[1][0]) for one in _one_by_one(trial.test)]
    return float((np.array(comparable) & trial.test_positive).any(axis=1).mean())


def _one_by_one(queries: ObservationSet) -> list[ObservationSet]:
    return [queries.take([row]) for row in range(len(queries))]


def measure(name: str, make: Callable[[int], Trial], seeds: int) -> dict[str, Any]:
    """Return the figures of one task: chance and the limit, and for every fusion its recalls, one a seed."""
    report: dict[str, Any] = {"task": name, LIMIT: [], "chosen": [], "fusions": {}}
    with tqdm(total=seeds * (len(fusions()) + 1), desc=name, disable=not sys.stderr.isatty()) as bar:
        for seed in range(seeds):
            trial = make(seed)
            report[LIMIT].append(in_common(trial))
            for fusion in (*fusions(), DEFAULT):
                bar.set_postfix_str(f"seed {seed}, {fusion}")
                made = fitted(fusion, trial)
                if fusion == DEFAULT:
                    report["chosen"].append(made.plug)
                for key, value in judge(made, trial).items():
                    report["fusions"].setdefault(fusion, {}).setdefault(key, []).append(value)
                bar.update()
    return report


def requirement(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return by how much the default's R@5 is above each rival it is held against, seed by seed."""
    own = np.array(report["fusions"][DEFAULT]["recall@5"])
    rows = []
    for rival in (*BEATEN, MATCHED):
        ahead = own - report["fusions"][rival]["recall@5"]
        enough = ahead.mean() >= -MARGIN if rival == MATCHED else ahead.mean() > 0
        rows.append({"rival": rival, "ahead": ahead.tolist(), "met": bool(enough)})
    return rows


def show(report: Mapping[str, Any]) -> None:
    fused = report["fusions"]
    first = next(iter(fused.values()))
    print(f"\n{report['task']}: {len(first['queries'])} seeds, {first['queries'][0]} test queries each")
    print(f"| fusion | R@1 | R@5 |\n{'|---' * 3}|")
    for name in sorted(fused, key=lambda name: (name != DEFAULT, -np.mean(fused[name]["recall@5"]))):
        picked = ", ".join(f"{plug} x{n}" for plug, n in Counter(report["chosen"]).most_common())
        label = f"**default** ({picked})" if name == DEFAULT else name
        print(f"| {label} | {_mean(fused[name]['recall@1'])} | {_mean(fused[name]['recall@5'])} |")
    print(f"| chance | {_mean(first['chance@1'])} | {_mean(first['chance@5'])} |")
    print(f"| {LIMIT} | {_mean(report[LIMIT])} | {_mean(report[LIMIT])} |")
    for row in report.get("requirement", []):
        verdict = "met" if row["met"] else "NOT MET"
        print(f"default - {row['rival']}: {_mean(row['ahead'])} R@5, {verdict}")


def _mean(values: list[float]) -> str:
    spread = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{spread}"


def tasks(folder: Path | None) -> dict[str, Callable[[int], Trial]]:
    def regime(name: str) -> Callable[[int], Trial]:
        return lambda seed: regimes.make(name, seed)

    found = {name: regime(name) for name in regimes.NOISE}
    if folder is not None:
        mfeat.read(folder)  # a folder that is not whole is better known at once
        found["mfeat"] = lambda seed: mfeat.make(folder, seed)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="worlds of each kind (default %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure there")
    parser.add_argument("--mfeat", type=Path, metavar="FOLDER", help="also the digits in this folder")
    arguments = parser.parse_args()
    if arguments.seeds < 1:
        parser.error("--seeds must be at least 1")
    reports = []
    try:
        for name, make in tasks(arguments.mfeat).items():
            report = measure(name, make, arguments.seeds)
            if name in regimes.NOISE:
                report["requirement"] = requirement(report)
            show(report)
            reports.append(report)
        if arguments.json:
            storage.write_json(arguments.json, {"seeds": arguments.seeds, "tasks": reports})
    except Any2AnyError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
