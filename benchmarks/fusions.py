"""All fusions on complementary, redundant and unequal sensors: python benchmarks/fusions.py

One half of the sensors is off at random, in the map and in the queries (sim/regimes.py, sim/mfeat.py). Each fusion is
fitted on the calibration queries and judged on the test queries, with the sensors that each of them has. A query that
can be compared with nothing is a miss. "default" is the fusion that `calibrate` selects; it sees the calibration
queries only.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from cases import calibrated
from printing import mean_and_deviation, print_table
from tqdm import tqdm

from any2any_ros import storage
from any2any_ros.arrays import Flags
from any2any_ros.calibration import evaluation
from any2any_ros.calibration.scorer import Scorer
from any2any_ros.calibration.task import Trial
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion import FUSIONS
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Fusion
from any2any_ros.retrieval.large.search import top_k
from any2any_ros.retrieval.retriever import bare_retriever
from any2any_ros.retrieval.similarity import SimilarityMatrix, same_modality
from any2any_ros.sim import mfeat, regimes

DEFAULT, LIMIT = "default", "a sensor in common"
BEATEN = ("reciprocal_rank", "z_score", "min_max", "any2any")  # fusions that the default must beat
MATCHED, MARGIN = "best_available", 0.03  # fusion that may be better than the default, by this much


def fusions() -> list[str]:
    return list(FUSIONS.names())


def fitted(name: str, trial: Trial) -> Fusion:
    """Return the fusion of this name, fitted on the calibration queries."""
    if name == DEFAULT:
        return selected(trial)
    matrix = SimilarityMatrix(trial.reference, same_modality(trial.reference.modalities))
    fusion: Fusion = FUSIONS.find(name).fit(matrix(trial.calibration.queries), trial.calibration.positive)
    return fusion


def selected(trial: Trial) -> Fusion:
    """Return the fusion that `calibrate` selects."""
    return calibrated(trial).fusion


def ranked(fusion: Fusion, trial: Trial) -> Flags:
    """Return (Q, 5): which of the best five references of each test query are right."""
    ranker = Scorer.of(bare_retriever(trial.reference, fusion))
    relevant = np.zeros((len(trial.test), evaluation.DEEPEST), dtype=bool)
    for start in range(0, len(trial.test), evaluation.CHUNK):
        rows = range(start, min(start + evaluation.CHUNK, len(trial.test)))
        _, scores = ranker.scores(trial.test.queries.take(rows))
        for row, score in zip(rows, scores, strict=True):
            best = top_k(score, evaluation.DEEPEST)
            relevant[row, : len(best)] = trial.test.positive[row, best]
    return relevant


def judge(fusion: Fusion, trial: Trial) -> dict[str, Any]:
    """Return recalls and chance on the test queries."""
    relevant, right = ranked(fusion, trial), trial.test.positive
    return evaluation.summary(relevant, right.sum(axis=1), np.full(len(right), right.shape[1]))


def in_common(trial: Trial) -> float:
    """Return the share of test queries that have a sensor in common with a right reference: the limit of any fusion."""
    ranker = Scorer.of(bare_retriever(trial.reference, RawMean()))
    comparable = [~np.isnan(ranker.scores(one)[1][0]) for one in _one_by_one(trial.test.queries)]
    return float((np.array(comparable) & trial.test.positive).any(axis=1).mean())


def _one_by_one(queries: ObservationSet) -> list[ObservationSet]:
    return [queries.take([row]) for row in range(len(queries))]


def measure(name: str, make: Callable[[int], Trial], seeds: int) -> dict[str, Any]:
    """Return the figures of one task, a value for each seed: the limit, and chance and recalls of each fusion."""
    report: dict[str, Any] = {"task": name, LIMIT: [], "chosen": [], "fusions": {}}
    with tqdm(total=seeds * (len(fusions()) + 1), desc=name, disable=not sys.stderr.isatty()) as bar:
        for seed in range(seeds):
            trial = make(seed)
            report[LIMIT].append(in_common(trial))
            for fusion in (*fusions(), DEFAULT):
                bar.set_postfix_str(f"seed {seed}, {fusion}")
                instance = fitted(fusion, trial)
                if fusion == DEFAULT:
                    report["chosen"].append(instance.plug)
                for key, value in judge(instance, trial).items():
                    report["fusions"].setdefault(fusion, {}).setdefault(key, []).append(value)
                bar.update()
    return report


def requirement(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return by how much the R@5 of the default is above that of each rival, seed by seed."""
    default = np.array(report["fusions"][DEFAULT]["recall@5"])
    rows = []
    for rival in (*BEATEN, MATCHED):
        ahead = default - report["fusions"][rival]["recall@5"]
        enough = ahead.mean() >= -MARGIN if rival == MATCHED else ahead.mean() > 0
        rows.append({"rival": rival, "ahead": ahead.tolist(), "met": bool(enough)})
    return rows


def show(report: Mapping[str, Any]) -> None:
    fused = report["fusions"]
    first = next(iter(fused.values()))
    print(f"\n{report['task']}: {len(first['queries'])} seeds, {first['queries'][0]} test queries each")
    rows = []
    for name in sorted(fused, key=lambda name: (name != DEFAULT, -np.mean(fused[name]["recall@5"]))):
        selection = ", ".join(f"{plug} x{n}" for plug, n in Counter(report["chosen"]).most_common())
        label = f"**default** ({selection})" if name == DEFAULT else name
        rows.append((label, *(mean_and_deviation(fused[name][f"recall@{k}"]) for k in (1, 5))))
    rows.append(("chance", *(mean_and_deviation(first[f"chance@{k}"]) for k in (1, 5))))
    rows.append((LIMIT, *[mean_and_deviation(report[LIMIT])] * 2))
    print_table(("fusion", "R@1", "R@5"), rows)
    for row in report.get("requirement", []):
        verdict = "met" if row["met"] else "NOT MET"
        print(f"default - {row['rival']}: {mean_and_deviation(row['ahead'])} R@5, {verdict}")


def tasks(folder: Path | None) -> dict[str, Callable[[int], Trial]]:
    def regime(name: str) -> Callable[[int], Trial]:
        return lambda seed: regimes.make(name, seed)

    made = {name: regime(name) for name in regimes.NOISE}
    if folder is not None:
        mfeat.read(folder)  # so that a damaged folder is reported at once
        made["mfeat"] = lambda seed: mfeat.make(folder, seed)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="number of seeds of each task (default %(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to this file")
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
