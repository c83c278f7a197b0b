"""What CalMRL gains where modalities are missing: python benchmarks/calmrl.py --mfeat FOLDER --town DRIVE ...

    synthetic  a linear world, half of it missing: imputation error, shift of the anchor, recall, beside the rivals
    falls      a thousand small problems of any shape: does the likelihood ever fall?
    digits     --mfeat FOLDER: six views of real digits, --missing on both sides; R@1 and mAP@100
    town       --town DRIVE ...: recall of every pattern with the imputer and without, on streets not calibrated on
    speed      --speed: 1e5 rows, four modalities of 512 numbers, half of them missing

What cannot be compared in part is compared in whole: every rival completes both sides, and the mean cosine over all
modalities ranks. "none" takes the mean over the modalities that both sides have. Mean ± standard deviation over seeds.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import resource
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from confidence import Case, Laps
from tqdm import tqdm

from any2any_ros import storage
from any2any_ros.arrays import Flags, Float64
from any2any_ros.calibration import evaluation, metrics
from any2any_ros.calibration.judge import Judge
from any2any_ros.calibration.task import Task
from any2any_ros.data.availability import sensors_off
from any2any_ros.errors import Any2AnyError
from any2any_ros.fusion.mixture import Mixture
from any2any_ros.fusion.raw_mean import RawMean
from any2any_ros.imputers import IMPUTERS
from any2any_ros.imputers.calmrl import CalMRL
from any2any_ros.imputers.groups import patterns
from any2any_ros.learning import calmrl
from any2any_ros.learning.calmrl_data import SufficientStatistics
from any2any_ros.learning.imputers import fit as fit_imputer
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Imputer
from any2any_ros.retrieval.retriever import bare_retriever
from any2any_ros.retrieval.similarity import same_modality
from any2any_ros.sim import mfeat
from any2any_ros.sim.mfeat import MfeatConfig

Row = dict[str, Any]
Completer = Callable[[ObservationSet], ObservationSet]
DEPTH = 100  # of the average precision
RIDGE = 0.1  # of the features' mean variance


# --- rivals ---------------------------------------------------------------------------------------------------


def mean_of(train: ObservationSet) -> Completer:
    means = {m: np.asarray(np.nanmean(v, axis=0, dtype=np.float64)) for m, v in train.embeddings.items()}
    return lambda data: data.filled(means)


def zero(data: ObservationSet) -> ObservationSet:
    return data.filled({m: np.zeros(v.shape[1]) for m, v in data.embeddings.items()})


def ridge_of(train: ObservationSet) -> Completer:
    """Return what regresses the missing modalities on the observed ones, pattern by pattern, as complete rows teach."""
    whole = train.take(np.all([train.present(m) for m in train.modalities], axis=0))
    means = {m: v.mean(axis=0, dtype=np.float64) for m, v in whole.embeddings.items()}

    def complete(data: ObservationSet) -> ObservationSet:
        found = {m: np.tile(means[m], (len(data), 1)) for m in data.modalities}
        for pattern, rows in patterns(data, data.modalities):
            x, new = (
                np.column_stack([d.embeddings[m][r] - means[m] for m in pattern] or [np.zeros((len(r), 1))])
                for d, r in ((whole, np.arange(len(whole))), (data, rows))
            )
            kernel = x @ x.T  # the dual: rows are few
            kernel[np.diag_indices_from(kernel)] += RIDGE * np.trace(kernel) / max(len(kernel), 1) + 1e-9
            weight = np.linalg.solve(kernel, x @ new.T).T
            for m in set(data.modalities) - set(pattern):
                found[m][rows] += weight @ (whole.embeddings[m] - means[m])
        return data.filled(found)

    return complete


def rivals(train: ObservationSet, model: CalMRL) -> dict[str, Completer]:
    return {
        "none": lambda data: data, "zero": zero, "mean": mean_of(train), "ridge, complete rows": ridge_of(train),
        "CalMRL, imputed": model.impute, "CalMRL, latent": lambda data: latent(model, data),
    }  # fmt: skip


def latent(model: CalMRL, data: ObservationSet) -> ObservationSet:
    return ObservationSet({"latent": model.posterior(data)[0].astype(np.float32)}, data.poses, data.ids)


def similarity(query: ObservationSet, reference: ObservationSet) -> Float64:
    """Return (Q, R): mean cosine over the modalities that both have; lowest where they share none."""
    total, count = np.zeros((len(query), len(reference))), np.zeros((len(query), len(reference)))
    for m in query.modalities:
        seen = query.present(m)[:, None] & reference.present(m)
        a, b = (np.nan_to_num(d.embeddings[m].astype(np.float64)) for d in (query, reference))
        a, b = (x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12) for x in (a, b))
        total += np.where(seen, a @ b.T, 0)
        count += seen
    return np.where(count > 0, total / np.maximum(count, 1), -2.0)


def ranked(scores: Float64, right: Flags) -> Row:
    order = np.argsort(-scores, axis=1, kind="stable")[:, :DEPTH]
    relevant = np.take_along_axis(right, order, axis=1)
    return {
        "R@1": metrics.recall_at_k(relevant, 1),
        f"mAP@{DEPTH}": metrics.average_precision_at_k(relevant, right.sum(axis=1), DEPTH),
    }


# --- synthetic ------------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class World:
    """A linear world: rows to learn from, things to find, modalities, numbers in each, latent size, noise, missing."""

    rows: int = 2000
    things: int = 1000
    modalities: int = 4
    width: int = 32
    latent: int = 8
    noise: float = 0.7
    missing: float = 0.5


def synthetic(seed: int, world: World = World()) -> dict[str, Row]:
    """Return the figures of every rival; a query is a thing seen again with noise of its own, the map is complete."""
    draw = np.random.default_rng(seed)
    names = [f"m{i}" for i in range(world.modalities)]
    # Modalities have a space in common, as after alignment: their views of a thing are alike, or there is no anchor.
    common = draw.normal(size=(world.latent, world.width))
    view = {m: common + 0.5 * draw.normal(size=common.shape) for m in names}

    def seen(beta: Float64, what: str) -> ObservationSet:
        noise = {m: world.noise * draw.normal(size=(len(beta), world.width)) for m in view}
        columns = {m: (beta @ w + noise[m]).astype(np.float32) for m, w in view.items()}
        return ObservationSet(columns, np.zeros((len(beta), 4, 4)), tuple(f"{what}/{i}" for i in range(len(beta))))

    def lossy(data: ObservationSet) -> ObservationSet:
        off = sensors_off(len(data), len(names), world.missing, draw)
        return data.without(off)

    train = lossy(seen(draw.normal(size=(world.rows, world.latent)), "train"))
    things = draw.normal(size=(world.things, world.latent))
    reference, whole = seen(things, "map"), seen(things, "query")
    query, right = lossy(whole), np.eye(world.things, dtype=bool)
    completers = rivals(train, calmrl.fit(train))
    found = {k: ranked(similarity(c(query), c(reference)), right) for k, c in completers.items()}
    for name, complete in completers.items():
        if name != "CalMRL, latent":
            found[name] |= {"error": error(complete(query), query, whole), "shift": shift(complete(query), whole)}
    return found | {"all modalities": ranked(similarity(whole, reference), right) | {"shift": 0.0}}


def error(guess: ObservationSet, query: ObservationSet, whole: ObservationSet) -> float:
    """Return the root mean square error of what was missing; NaN for who guesses nothing."""
    parts = [(guess.embeddings[m] - whole.embeddings[m])[~query.present(m)].ravel() for m in whole.modalities]
    return float(np.sqrt(np.mean(np.square(np.concatenate(parts)))))


def shift(guess: ObservationSet, whole: ObservationSet) -> float:
    """Return the mean distance between the anchors of what is guessed and of everything, modalities at length 1."""
    stacks = []
    for data in (guess, whole):
        z = np.stack([data.embeddings[m] for m in whole.modalities], axis=1).astype(np.float64)
        stacks.append(z / np.maximum(np.linalg.norm(z, axis=2, keepdims=True), 1e-12))
    return float(np.mean([np.linalg.norm(calmrl.anchor(a) - calmrl.anchor(b)) for a, b in zip(*stacks, strict=True)]))


def falls(count: int) -> Row:
    """Return how often the likelihood fell in 25 steps of EM, beyond rounding, and the worst fall, nats a number."""
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
        data = SufficientStatistics.of(ObservationSet(columns, np.zeros((n, 4, 4)), tuple(map(str, range(n)))))
        gains = np.diff([value for _, value in itertools.islice(calmrl.steps(data, size, seed), 26)]) / data.numbers
        worst, fallen = min(worst, float(gains.min())), fallen + bool((gains < -1e-9).any())
    return {"problems": count, "fell": fallen, "worst": worst}


# --- digits ---------------------------------------------------------------------------------------------------


def digits(folder: Path, seed: int, missing: float) -> dict[str, Row]:
    """Return the figures of every rival; all is learnt from the references, which are incomplete like the queries."""
    trial = mfeat.make(folder, seed, MfeatConfig(missing=missing))
    right = trial.test_positive
    completers = rivals(trial.reference, calmrl.fit(trial.reference, seed=seed))
    found = {k: ranked(similarity(c(trial.test), c(trial.reference)), right) for k, c in completers.items()}
    random = np.random.default_rng(seed).random(right.shape)
    return found | {"chance": ranked(random, right) | {"R@1": metrics.chance(right.sum(axis=1), right.shape[1], 1)}}


# --- town -----------------------------------------------------------------------------------------------------


def town(folder: Path) -> dict[str, Row]:
    """Return R@1 and chance by pattern, of both halves of the streets, for each imputer, fitted on the map."""
    laps = Laps.of(folder)
    hits: dict[str, dict[str, list[float]]] = {}
    for name in IMPUTERS.names():
        imputer = fit_imputer(name, laps.mapped)
        for group in itertools.chain.from_iterable(judged(case, imputer) for case in laps.halves()):
            row = hits.setdefault(group["pattern"], {})
            for key, value in ((name, group["recall@1"]), ("chance", group["chance@1"])):
                row.setdefault(key, []).append(value)
    return {pattern: {key: float(np.mean(v)) for key, v in row.items()} for pattern, row in hits.items()}


def judged(case: Case, imputer: Imputer) -> list[Row]:
    """Return a group a pattern, ranked by a mixture that has learnt from the calibration half, as `calibrate` does."""
    alignments = {**same_modality(case.reference.modalities), **same_modality(imputer.adds)}
    baseline = bare_retriever(case.reference, RawMean(), alignments, imputer=imputer)
    lessons = imputer.training_queries(case.calibration, 0)
    right = np.tile(case.positive, (len(lessons) // len(case.calibration), 1))
    judge = Judge.of(baseline)
    fusion = Mixture.fit(judge.searcher.matrix(lessons), right)
    return evaluation.evaluate(judge.using(fusion), Task(case.test, case.test_positive))


# --- speed ----------------------------------------------------------------------------------------------------


def speed(rows: int, latent_size: int = 64) -> Row:
    """Return seconds of a fit on `rows` x 4 x 512, half of it missing, and the most memory that the process took."""
    draw = np.random.default_rng(0)
    beta = draw.normal(size=(rows, latent_size)).astype(np.float32)
    columns = {}
    for m in "abcd":
        view = draw.normal(size=(latent_size, 512)).astype(np.float32) / 8
        columns[m] = beta @ view + 0.5 * draw.standard_normal((rows, 512), dtype=np.float32)
        columns[m][draw.random(rows) < 0.5] = np.nan
    data = ObservationSet(columns, np.zeros((rows, 4, 4)), tuple(map(str, range(rows))))
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


def show(title: str, found: Mapping[str, Row]) -> None:
    keys = list(dict.fromkeys(key for row in found.values() for key in row))
    print(f"\n{title}\n| | {' | '.join(keys)} |\n{'|---' * (len(keys) + 1)}|")
    for name, row in found.items():
        cells = ["{:.3f} ± {:.3f}".format(*row[k]) if k in row and row[k][0] == row[k][0] else "" for k in keys]
        print(f"| {name} | {' | '.join(cells)} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="worlds, and deals of the digits (default %(default)s)")
    parser.add_argument("--skip", action="store_true", help="leave the made-up worlds out")
    parser.add_argument("--problems", type=int, default=1000, help="of falls (default %(default)s)")
    parser.add_argument("--mfeat", type=Path, metavar="FOLDER", help="also the digits in this folder")
    parser.add_argument("--missing", type=float, nargs="+", default=[0.5], metavar="SHARE", help="of the digits' views")
    parser.add_argument("--town", type=Path, nargs="+", default=[], metavar="DRIVE", help="also these simulated towns")
    parser.add_argument("--speed", action="store_true", help="also time and memory")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write every figure there")
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
