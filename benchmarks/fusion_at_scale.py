"""What exact fusion costs on a large map: python benchmarks/fusion_at_scale.py [--places 100000 1000000]

The vectors are simulated. Each place has a latent vector. Each of three modalities is the latent vector plus noise of
its own strength, normalised, with 256 numbers, stored in half precision. 30 % of the vectors are missing in the map and
in the queries. There are nine pairs of modalities in one aligned space. All methods read the same shards, block by
block, with one thread.

    plain                       the mean of the observed similarities, and top-k: no fusion any2any, likelihood_ratio
    exact search (any2any_ros/retrieval/large/search.py) alpha k                     the heuristic of the paper: the
    union of the alpha * k best of each pair, ranked by any2any reciprocal rank fusion      of all references
    (any2any_ros/fusion/reciprocal_rank.py)

Figures: CPU time (process_time) of one query, the median over queries and rounds; the methods take turns in each round.
Ratio: the median of the method's time over the time of plain in the same turn. Every exact answer is compared with a
brute-force ranking in float64.
"""

from __future__ import annotations

import os

os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")})  # before NumPy is imported

import argparse
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from any2any_ros import storage
from any2any_ros.arrays import Array, Flags, Float64, Rows
from any2any_ros.fusion.any2any import Any2Any
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.fusion.reciprocal_rank import ReciprocalRank
from any2any_ros.protocols import Fusion
from any2any_ros.retrieval.large import shards
from any2any_ros.retrieval.large.bounds import Bound, PairQuery, Part
from any2any_ros.retrieval.large.search import Search, best_first, largest
from any2any_ros.retrieval.large.shards import Shards

MODALITIES, DIMENSION, MISSING = 3, 256, 0.3
NOISE = (1.5, 2.0, 2.5)  # of each modality; the latent vector has the strength 1
PAIRS = [(q, r) for q in range(MODALITIES) for r in range(MODALITIES)]
ALPHAS = (1, 4, 16)
PORTION = 1 << 15  # places that are handled at once
Method = Callable[[list[PairQuery]], Rows]


def observe(draw: np.random.Generator, latent: Array, noise: float) -> Array:
    """Return the vectors (n, D) of one modality, of length 1, for places with latent vectors (n, D)."""
    vectors = latent + np.float32(noise) * draw.standard_normal(latent.shape, dtype=np.float32)
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))


def build(places: int, queries: int, seed: int) -> tuple[Shards, list[list[PairQuery]], list[list[PairQuery]]]:
    """Return the map, queries with all modalities, and the same queries with some modalities missing."""
    draw = np.random.default_rng(seed)
    store = Shards({f"modality {m}": DIMENSION for m in range(MODALITIES)})
    visited: list[Array] = []
    for start in tqdm(range(0, places, PORTION), desc=f"{places:,} places", leave=False):
        latent = draw.standard_normal((min(PORTION, places - start), DIMENSION), dtype=np.float32)
        vectors = {c: observe(draw, latent, noise) for c, noise in zip(store.columns, NOISE, strict=True)}
        for column in vectors.values():
            column[draw.random(len(column)) < MISSING] = np.nan
        store.add(vectors)
        visited += [latent[i : i + 1] for i in range(max(0, queries - len(visited)))]
    complete = []
    for latent in visited[:queries]:
        vectors_now = [observe(draw, latent, noise)[0] for noise in NOISE]
        complete.append([PairQuery((q, r), r, vectors_now[q]) for q, r in PAIRS])
    partial = []
    for pairs in complete:
        alive = draw.random(MODALITIES) >= MISSING
        alive[draw.integers(MODALITIES)] = True
        partial.append([pair for pair in pairs if alive[pair.cell[0]]])
    return store, complete, partial


def calibration(seed: int, queries: int = 300, others: int = 30) -> tuple[Array, Flags]:
    """Return similarities (Q, R, 3, 3) of queries to right and wrong places of another map, and labels (Q, R)."""
    draw = np.random.default_rng(seed)
    latent = draw.standard_normal((queries, DIMENSION), dtype=np.float32)
    query, reference = (np.stack([observe(draw, latent, noise) for noise in NOISE]) for _ in "qr")
    for side in (query, reference):
        side[draw.random(side.shape[:2]) < MISSING] = np.nan
    place = (np.arange(queries)[:, None] + np.arange(others + 1)) % queries
    similarity = np.einsum("aqd,bqrd->qrab", query, reference[:, place], optimize=True)
    return similarity, np.broadcast_to(np.arange(others + 1) == 0, place.shape)


def mean_similarity(search: Search, pairs: list[PairQuery]) -> Bound:
    """Return a bound that is exact: the mean of the observed similarities."""
    columns = dict.fromkeys(pair.column for pair in pairs)
    parts = tuple(Part(c, np.stack([p.vector for p in pairs if p.column == c])) for c in columns)
    count = sum(search.shards.patterns[:, pair.column].astype(np.float32) for pair in pairs)
    constant = np.where(count > 0, 0.0, -np.inf).astype(np.float32)
    weight = (1 / np.maximum(count, 1)).astype(np.float32)
    return Bound(parts, constant, weight, 0.0, lambda pattern, score: score)


def plain(search: Search, k: int) -> Method:
    """Return the method that ranks by the mean of the observed similarities."""

    def run(pairs: list[PairQuery]) -> Rows:
        bound = mean_similarity(search, pairs)
        keys = search.keys(bound)
        rows = largest(keys, k)
        return best_first(rows, keys[rows].astype(np.float64), k)[0]

    return run


def each_pair(search: Search, pairs: list[PairQuery]) -> Array:
    """Return the similarities (pairs, N); NaN where the reference is missing."""
    similarities = np.empty((len(pairs), len(search.shards)), dtype=np.float32)
    for block in search.shards.blocks():
        for column in dict.fromkeys(pair.column for pair in pairs):
            mine = [i for i, pair in enumerate(pairs) if pair.column == column]
            products = np.empty((len(mine), block.stop - block.start), dtype=np.float32)
            block.multiply(column, np.stack([pairs[i].vector for i in mine]), products)
            similarities[mine, block.start : block.stop] = products
    for i, pair in enumerate(pairs):
        similarities[i, ~search.shards.patterns[search.shards.pattern, pair.column]] = np.nan
    return similarities


def alpha_k(search: Search, k: int, alpha: int) -> Method:
    """Return the heuristic of the paper: only the alpha * k best references of each pair are scored."""

    def run(pairs: list[PairQuery]) -> Rows:
        best = [largest(np.nan_to_num(s, copy=False, nan=-np.inf), alpha * k) for s in each_pair(search, pairs)]
        rows = np.unique(np.concatenate(best))
        return best_first(rows, search.exact(pairs, rows), k)[0]

    return run


def reciprocal_rank(search: Search, k: int) -> Method:
    """Return the method that ranks by reciprocal rank fusion of all references."""

    def run(pairs: list[PairQuery]) -> Rows:
        matrix = np.full((len(search.shards), 1, len(pairs)), np.nan, dtype=np.float32)
        matrix[:, 0] = each_pair(search, pairs).T
        scores = ReciprocalRank().score(matrix)
        rows = largest(np.where(np.isnan(scores), -np.inf, scores), k)
        return best_first(rows, scores[rows], k)[0]

    return run


def brute_force(search: Search, queries: list[list[PairQuery]], k: int) -> list[tuple[Rows, Float64]]:
    """Return the best rows and their scores for each query, by the scores of all references in float64."""
    best = [(np.empty(0, dtype=np.intp), np.empty(0)) for _ in queries]
    for start in tqdm(range(0, len(search.shards), PORTION), desc=f"brute force, {search.fusion.plug}", leave=False):
        rows = np.arange(start, min(start + PORTION, len(search.shards)))
        vectors = [search.shards.take(c, rows) for c in range(MODALITIES)]
        for i, pairs in enumerate(queries):
            similarity = np.full((len(rows), MODALITIES, MODALITIES), np.nan)
            for pair in pairs:
                similarity[:, pair.cell[0], pair.cell[1]] = vectors[pair.column] @ pair.vector.astype(np.float64)
            scores = np.concatenate([best[i][1], search.fusion.score(similarity)])
            best[i] = best_first(np.concatenate([best[i][0], rows]), scores, k)
    return best


def identical(search: Search, queries: list[list[PairQuery]], k: int) -> int:
    """Return for how many queries the exact search has the rows of brute force, and its scores within 1e-12."""
    same = 0
    for pairs, (rows, scores) in zip(queries, brute_force(search, queries, k), strict=True):
        exact_rows, exact_scores = search.top_k(pairs, k)
        same += np.array_equal(exact_rows, rows) and np.allclose(exact_scores, scores, rtol=1e-12, atol=1e-12)
    return same


def clock(methods: dict[str, Method], queries: list[list[PairQuery]], rounds: int) -> dict[str, Float64]:
    """Return the CPU seconds (rounds, queries) of each method. The methods take turns."""
    spent = {name: np.empty((rounds, len(queries))) for name in methods}
    for method in methods.values():
        method(queries[0])
    turns = [(i, j) for i in range(rounds) for j in range(len(queries))]
    for i, j in tqdm(turns, desc="timing", leave=False):
        for name, method in methods.items():
            begin = time.process_time()
            method(queries[j])
            spent[name][i, j] = time.process_time() - begin
    return spent


def on_disk(store: Shards) -> dict[str, float]:
    """Return the size of the map in GB, and the seconds that opening it takes."""
    with tempfile.TemporaryDirectory() as folder:
        store.save(Path(folder))
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        begin = time.perf_counter()
        shards.load(Path(folder))
        return {"gigabytes": size / 1e9, "opens_s": time.perf_counter() - begin}


def ranked(search: Search, k: int) -> Method:
    return lambda pairs: search.top_k(pairs, k)[0]


def measure(places: int, fusions: dict[str, Fusion], args: argparse.Namespace) -> dict[str, Any]:
    """Return all figures of a map of this size. args: queries, rounds, k and seed."""
    store, complete, partial = build(places, args.queries, args.seed)
    searches = {name: Search(store, fusion, (MODALITIES, MODALITIES)) for name, fusion in fusions.items()}
    conformal, k = searches["any2any"], args.k
    fast: dict[str, Method] = {"plain": plain(conformal, k)}
    fast |= {name: ranked(search, k) for name, search in searches.items()}
    fast |= {f"alpha {alpha}": alpha_k(conformal, k, alpha) for alpha in ALPHAS}
    report: dict[str, Any] = {"places": places, **on_disk(store), "resident_gb": 0.0, "tables": {}}
    for title, queries in (("nine pairs", complete), ("30 % missing", partial)):
        exact = [set(conformal.top_k(pairs, k)[0]) for pairs in queries]
        spent = clock(fast, queries, args.rounds)
        spent |= clock({"reciprocal rank": reciprocal_rank(conformal, k)}, queries[:1], 1)
        base = spent["plain"]
        table = {}
        for name, seconds in spent.items():
            against = base if seconds.shape == base.shape else np.median(base[:, :1])
            row: dict[str, Any] = {"ms": 1e3 * np.median(seconds), "ratio": np.median(seconds / against)}
            if name in searches:
                row["identical"] = f"{identical(searches[name], queries, k)}/{len(queries)}"
            elif name.startswith("alpha"):
                hits = [len(set(fast[name](p)) & e) / max(len(e), 1) for p, e in zip(queries, exact, strict=True)]
                row["recall"] = float(np.mean(hits))
            table[name] = {key: float(v) if isinstance(v, np.floating) else v for key, v in row.items()}
        report["tables"][title] = table
    # The peak comes from the matrices of reciprocal rank fusion; the search needs the store and its keys only.
    report["resident_gb"] = (store.nbytes + 4 * len(store)) / 1e9
    report["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    return report


def show(report: dict[str, Any], k: int) -> None:
    print(f"\n{report['places']:,} places x {MODALITIES} x {DIMENSION}: {report['gigabytes']:.2f} GB on disk, opens in "
          f"{report['opens_s'] * 1e3:.0f} ms; vectors and keys take {report['resident_gb']:.2f} GB")  # fmt: skip
    for title, table in report["tables"].items():
        print(f"\n| {title} | CPU ms | x plain | recall of the exact top {k} | identical to brute force |")
        print("|---|---:|---:|---:|---:|")
        for name, row in table.items():
            recall = f"{row['recall']:.3f}" if "recall" in row else ""
            print(f"| {name} | {row['ms']:.1f} | {row['ratio']:.2f} | {recall} | {row.get('identical', '')} |")


def machine() -> str:
    lines = Path("/proc/cpuinfo").read_text().split("\n")
    cpu = next((line for line in lines if line.startswith("model name")), platform.processor())
    return f"{cpu.split(':')[-1].strip()}, {os.cpu_count()} cores, one thread, NumPy {np.__version__}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--places", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--queries", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--k", type=int, default=5)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    pairs = calibration(args.seed + 1)
    fusions: dict[str, Fusion] = {cls.plug: cls.fit(*pairs) for cls in (Any2Any, LikelihoodRatio)}
    print(machine())
    reports = []
    for places in args.places:
        reports.append(measure(places, fusions, args))
        show(reports[-1], args.k)
    if args.json:
        storage.write_json(args.json, {"machine": machine(), "seed": args.seed, "k": args.k, "maps": reports})


if __name__ == "__main__":
    main()
