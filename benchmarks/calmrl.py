"""What CalMRL gains where modalities are missing: python benchmarks/calmrl.py --mfeat FOLDER --town DRIVE ...

    synthetic  a linear world with one half missing: imputation error, shift of the anchor, and recall, of all methods
    falls      a thousand small problems of all shapes: does the likelihood ever fall? digits     --mfeat FOLDER: six
    views of real digits, --missing on both sides; R@1 and mAP@100 town       --town DRIVE ...: recall of each
    availability pattern with each imputer, on streets not used for calibration speed      --speed: 100,000 rows, four
    modalities of 512 numbers, one half missing

Each method completes both sides, and the mean cosine over all modalities ranks. "none" completes nothing, and takes the
mean over the modalities that both sides have. Mean ± standard deviation over seeds.
"""

from __future__ import annotations

import argparse
import itertools
import resource
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from calmrl_rivals import Row, judge, rivals, similarity
from calmrl_worlds import synthetic
from cases import Laps
from printing import print_table
from tqdm import tqdm

from any2any_ros import metrics, storage
from any2any_ros.calibration import evaluation
from any2any_ros.calibration.scorer import Scorer
from any2any_ros.calibration.task import Trial
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion.mixture import Mixture
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.imputers import IMPUTERS
from any2any_ros.learning import calmrl
from any2any_ros.learning.calmrl_data import SufficientStatistics
from any2any_ros.learning.imputers import fit as fit_imputer
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Imputer
from any2any_ros.retrieval.retriever import bare_retriever
from any2any_ros.retrieval.similarity import same_modality
from any2any_ros.sim import mfeat
from any2any_ros.sim.mfeat import MfeatConfig


def falls(count: int) -> Row:
    """Return how often the likelihood fell in 25 steps of EM, beyond rounding, and the worst fall (nats per number)."""
    worst, fallen = 0.0, 0
    for seed in tqdm(range(count), desc="falls", disable=not sys.stderr.isatty()):
        draw = np.random.default_rng(seed)
        names = "abcd"[: draw.integers(1, 5)]
        n, size, noise = int(draw.integers(4, 80)), int(draw.integers(1, 6)), draw.choice([0.0, 0.01, 1.0])
        beta, columns = draw.normal(size=(n, int(draw.integers(1, 4)))), {}
        for m in names:
            width = int(draw.integers(1, 8))
            columns[m] = beta @ draw.normal(size=(beta.shape[1], width)) + noise * draw.normal(size=(n, width))
            columns[m][3:][draw.random(n - 3) < draw.choice([0.0, 0.3, 0.7])] = np.nan
        data = SufficientStatistics.of(ObservationSet(columns, np.full((n, 4, 4), np.nan), tuple(map(str, range(n)))))
        gains = np.diff([value for _, value in itertools.islice(calmrl.steps(data, size, seed), 26)]) / data.numbers
        worst, fallen = min(worst, float(gains.min())), fallen + bool((gains < -1e-9).any())
    return {"problems": count, "fell": fallen, "worst": worst}


# --- digits ---------------------------------------------------------------------------------------------------


def digits(folder: Path, seed: int, missing: float) -> dict[str, Row]:
    """Return the figures of each method, fitted on the references, which are as incomplete as the queries."""
    trial = mfeat.make(folder, seed, MfeatConfig(missing=missing))
    right, queries = trial.test.positive, trial.test.queries
    completers = rivals(trial.reference, calmrl.fit(trial.reference, seed=seed))
    figures = {k: judge(similarity(c(queries), c(trial.reference)), right) for k, c in completers.items()}
    random = np.random.default_rng(seed).random(right.shape)
    return figures | {"chance": judge(random, right) | {"R@1": metrics.chance(right.sum(axis=1), right.shape[1], 1)}}


# --- town -----------------------------------------------------------------------------------------------------


def town(folder: Path) -> dict[str, Row]:
    """Return R@1 and chance of each availability pattern and imputer, over both halves of the streets.

    The imputers are fitted on the map.
    """
    laps = Laps.of(folder)
    hits: dict[str, dict[str, list[float]]] = {}
    for name in IMPUTERS.names():
        imputer = fit_imputer(name, laps.mapped)
        for group in itertools.chain.from_iterable(by_pattern(trial, imputer) for trial in laps.halves()):
            row = hits.setdefault(group["pattern"], {})
            for key, value in ((name, group["recall@1"]), ("chance", group["chance@1"])):
                row.setdefault(key, []).append(value)
    return {pattern: {key: float(np.mean(v)) for key, v in row.items()} for pattern, row in hits.items()}


def by_pattern(trial: Trial, imputer: Imputer) -> list[Row]:
    """Return the evaluation of each pattern. The mixture is fitted on the calibration half, as `calibrate` does it."""
    alignments = {**same_modality(trial.reference.modalities), **same_modality(imputer.adds)}
    baseline = Scorer.of(bare_retriever(trial.reference, RawMean(), alignments, imputer=imputer))
    queries = imputer.training_queries(trial.calibration.queries, 0)
    right = np.tile(trial.calibration.positive, (len(queries) // len(trial.calibration), 1))
    fusion = Mixture.fit(baseline.searcher.matrix(queries), right)
    return evaluation.evaluate(baseline.using(fusion), trial.test)


# --- speed ----------------------------------------------------------------------------------------------------


def speed(rows: int, latent_size: int = 64) -> Row:
    """Return the seconds of a fit on `rows` x 4 x 512 numbers, one half missing, and the peak memory of the process."""
    draw = np.random.default_rng(0)
    beta = draw.normal(size=(rows, latent_size)).astype(np.float32)
    columns = {}
    for m in "abcd":
        view = draw.normal(size=(latent_size, 512)).astype(np.float32) / 8
        columns[m] = beta @ view + 0.5 * draw.standard_normal((rows, 512), dtype=np.float32)
        columns[m][draw.random(rows) < 0.5] = np.nan
    data = ObservationSet(columns, np.full((rows, 4, 4), np.nan), tuple(map(str, range(rows))))
    start, busy = time.perf_counter(), time.process_time()
    model = calmrl.fit(data, latent=latent_size)
    took, cpu = time.perf_counter() - start, time.process_time() - busy
    return {
        "rows": rows, "latent": latent_size, "seconds": took, "CPU seconds": cpu, "noise (0.25)": model.noise["a"],
        "data MB": sum(v.nbytes for v in columns.values()) / 1e6,
        "peak MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }  # fmt: skip


# --- report ---------------------------------------------------------------------------------------------------


def spread(runs: list[dict[str, Row]]) -> dict[str, Row]:
    """Return name -> figure -> (mean, standard deviation) over seeds."""
    return {
        name: {key: (float(np.mean(v)), float(np.std(v, ddof=1)) if len(v) > 1 else 0.0)
               for key in row for v in [[run[name][key] for run in runs]]}
        for name, row in runs[0].items()
    }  # fmt: skip


def show(title: str, figures: Mapping[str, Row]) -> None:
    keys = list(dict.fromkeys(key for row in figures.values() for key in row))
    print(f"\n{title}")
    print_table(["", *keys], [[name, *(_cell(row.get(key)) for key in keys)] for name, row in figures.items()])


def _cell(value: tuple[float, float] | None) -> str:
    return "" if value is None or np.isnan(value[0]) else "{:.3f} ± {:.3f}".format(*value)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="worlds, and splits of the digits (default %(default)s)")
    parser.add_argument("--skip", action="store_true", help="leave the synthetic worlds out")
    parser.add_argument("--problems", type=int, default=1000, help="of `falls` (default %(default)s)")
    parser.add_argument("--mfeat", type=Path, metavar="FOLDER", help="also the digits in this folder")
    parser.add_argument("--missing", type=float, nargs="+", default=[0.5], metavar="SHARE", help="of missing views")
    parser.add_argument("--town", type=Path, nargs="+", default=[], metavar="DRIVE", help="also these simulated towns")
    parser.add_argument("--speed", action="store_true", help="also time and memory")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write all figures to this file")
    arguments = parser.parse_args()
    report: Row = {}
    try:
        if not arguments.skip:
            report["synthetic"] = spread([synthetic(seed) for seed in range(arguments.seeds)])
            show("synthetic, half missing", report["synthetic"])
            report["falls"] = falls(arguments.problems)
            print("\nlikelihood:", report["falls"])
        if arguments.mfeat:
            for share in arguments.missing:
                runs = [digits(arguments.mfeat, seed, share) for seed in range(arguments.seeds)]
                report[f"digits {share:g}"] = spread(runs)
                show(f"digits, {share:.0%} missing", report[f"digits {share:g}"])
        if arguments.town:
            report["town"] = spread([town(folder) for folder in tqdm(arguments.town, desc="town")])
            show("town, R@1", report["town"])
        if arguments.speed:
            report["speed"] = speed(100_000)
            print("\n", report["speed"])
        if arguments.json:
            storage.write_json(arguments.json, report)
    except Any2AnyError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
