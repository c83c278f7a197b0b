"""A map of a million places.

1e6 places × 3 modalities × 256 numbers, 30 % of the vectors missing. The map is written as `any2any build-map` does it,
and opened and queried as the retrieval node does it: `Retriever.open`, `Retriever.rank`, nine pairs, k = 5, in new
processes. The first opening writes the vectors in half precision beside the map (docs/scale.md). Later openings find
them there, and the files are then in the page cache. After that the search alone, in wall time, compared with plain
similarity and top-k over the same vectors.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros.config import AliveConfig, RetrievalConfig
from any2any_ros.fusion.any2any import Any2Any
from any2any_ros.fusion.likelihood_ratio import LikelihoodRatio
from any2any_ros.observation import Observation, ObservationSet
from any2any_ros.protocols import Fusion
from any2any_ros.retrieval import calibration, reference_map
from any2any_ros.retrieval.large import shard_cache, shards
from any2any_ros.retrieval.large.bounds import PairQuery
from any2any_ros.retrieval.large.search import Search
from any2any_ros.retrieval.localizer import Localizer
from any2any_ros.retrieval.map_header import EncoderRecord
from any2any_ros.retrieval.reference_map import ReferenceMap
from any2any_ros.retrieval.retriever import Retriever
from benchmarks import fusion_at_scale
from benchmarks.speed._clock import clock, one_thread, spread, timed
from benchmarks.speed._machine import gpu
from benchmarks.speed._process import apart, memory
from benchmarks.speed._rows import Row, unmeasured
from benchmarks.speed._section import interruptible, main

PLACES, QUICK_PLACES = 1_000_000, 100_000
QUERIES, K, PORTION = 3, 5, 1 << 15
SHAPE = (fusion_at_scale.MODALITIES, fusion_at_scale.MODALITIES)
NAMES = [f"modality_{m}" for m in range(fusion_at_scale.MODALITIES)]
FUSIONS: dict[str, type[Any]] = {"any2any": Any2Any, "likelihood ratio": LikelihoodRatio}
BARS = {
    "opens": ("map of 1e6 places opens after the first time", "s", "≤ 1"),
    "memory": ("memory of the process that ranks with it (PSS)", "GB", "≤ 2"),
    "any2any": ("exact ranking of 1e6 places, any2any", "ms", "≤ 200"),
    "likelihood ratio": ("exact ranking of 1e6 places, likelihood ratio", "ms", "≤ 200"),
}
Queries = list[list[PairQuery]]


@dataclass(frozen=True)
class Opened:
    """One opening of a map: seconds; PSS in bytes after ranking; ms of the rankings (rounds, methods)."""

    seconds: float
    pss: int
    spent: Any


def rows(quick: bool) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="any2any-bench-") as home:
        folder, places = Path(home) / "map", QUICK_PLACES if quick else PLACES
        queries = apart(_write_map, folder, places)
        yield from _node(folder, queries, quick)
        if quick:
            yield from (unmeasured(what, unit, "--quick", bar) for what, unit, bar in BARS.values())
            return
        yield from _store(next((folder / shard_cache.FOLDER).glob(f"*/{shards.INDEX}")).parent, queries)


def _node(folder: Path, queries: Queries, quick: bool) -> Iterator[Row]:
    """Yield the rows of what the retrieval node does with the folder of a map."""
    first: Opened = apart(_opened, folder, queries)
    yield Row(f"map of {'1e5' if quick else '1e6'} places opens for the first time", first.seconds, "s")
    for name in FUSIONS:
        apart(_calibrate, folder, name)
        opened: list[Opened] = [apart(_opened, folder, queries) for _ in range(3)]
        if name == "any2any":
            yield _judged("opens", [f.seconds for f in opened], quick)
            yield _judged("memory", [f.pss / 1e9 for f in opened], quick)
        yield timed(f"one answer of the node, {name}", np.concatenate([f.spent for f in opened]))
    yield timed("a place added while it runs", apart(_adding, folder, queries[0]))


def _judged(name: str, values: list[float], quick: bool) -> Row:
    what, unit, bar = BARS[name]
    what, bar = (what.replace("1e6", "1e5"), "") if quick else (what, bar)
    return Row(what, float(np.median(values)), unit, spread(values), bar=bar)


def _store(folder: Path, queries: Queries) -> Iterator[Row]:
    """Yield the rows of the search alone in the shards of the map, with one and with two `threads`."""
    opened: Opened = apart(_ranking, folder, queries, ("cpu", 2))
    for i, name in enumerate(FUSIONS, start=1):
        what, _, bar = BARS[name]
        yield timed(what, opened.spent[:, [i + 2, 0]], "plain similarity + top-k", bar=bar)
        yield timed(f"{what}, two threads", opened.spent[:, [i, i + 2]], "one thread", bar=bar)
    yield from _on_gpu(folder, queries)


def _on_gpu(folder: Path, queries: Queries) -> Iterator[Row]:
    """Yield the rows of the same rankings with the first pass on a GPU (retrieval/large/gpu.py)."""
    whats = [f"{BARS[name][0]}, first pass on a GPU" for name in FUSIONS]
    if not gpu():
        yield from (unmeasured(what, "ms", "no GPU") for what in whats)
        return
    opened: Opened = apart(_ranking, folder, queries, ("cuda", 1))
    for i, what in enumerate(whats, start=1):
        yield timed(what, opened.spent[:, [i, i + 2]], "its first pass on the CPU")


def _ranking(folder: Path, queries: Queries, *hardware: tuple[str, int]) -> Opened:
    """Open the shards, and rank without a fusion and with both exact fusions, in turn.

    hardware: devices and threads, before one thread of the CPU.
    """
    interruptible()
    one_thread()
    pairs = fusion_at_scale.calibration(1)
    began = time.perf_counter()
    store = shards.load(folder)
    seconds = time.perf_counter() - began
    fusions: list[Fusion] = [cls.fit(*pairs) for cls in FUSIONS.values()]
    searches = [Search(store, fusion, SHAPE, *where) for where in (*hardware, ("cpu", 1)) for fusion in fusions]
    plain = fusion_at_scale.plain(searches[-2], K)
    spent = [
        clock([partial(plain, q), *(partial(search.top_k, q, K) for search in searches)], rounds=2) for q in queries
    ]
    return Opened(seconds, memory(os.getpid())[0], np.concatenate(spent))


def _write_map(folder: Path, places: int) -> Queries:
    """Write a calibrated map of so many places. Return queries, each near one of its places."""
    interruptible()
    store, queries, _ = fusion_at_scale.build(places, QUERIES, seed=0)
    every = np.arange(places)
    columns = {m: np.empty((places, fusion_at_scale.DIMENSION), dtype=np.float32) for m in NAMES}
    for i, column in enumerate(columns.values()):
        for part in np.split(every, range(PORTION, places, PORTION)):
            column[part] = store.take(i, part)
    poses = np.tile(np.eye(4), (places, 1, 1))
    poses[:, 0, 3] = 10.0 * every
    ids = tuple(f"drive_01/{i:08d}" for i in range(places))
    records = {m: EncoderRecord("camera", m, fusion_at_scale.DIMENSION, space="one") for m in NAMES}
    reference_map.save(ReferenceMap(ObservationSet(columns, poses, ids), records), folder)
    _calibrate(folder, "any2any")
    return queries


def _calibrate(folder: Path, name: str) -> None:
    fusion = FUSIONS[name].fit(*fusion_at_scale.calibration(1))
    calibration.save(calibration.Calibration(fusion, None, {m: m for m in NAMES}, 5.0), folder)


def _opened(folder: Path, queries: Queries) -> Opened:
    """Open the map as the node does, and rank with it."""
    interruptible()
    one_thread()
    began = time.perf_counter()
    retriever = Retriever.open(folder, 5.0, "cpu")
    seconds = time.perf_counter() - began
    observed = [Observation({NAMES[p.cell[0]]: p.vector for p in pairs}) for pairs in queries]
    spent = [clock([partial(retriever.rank, observation, K)], rounds=3) for observation in observed]
    return Opened(seconds, memory(os.getpid())[0], np.concatenate(spent))


def _adding(folder: Path, pairs: list[PairQuery]) -> Any:
    """Add places to the map in memory, one by one. Return the ms (rounds, 1)."""
    interruptible()
    one_thread()
    localizer = Localizer(AliveConfig(), RetrievalConfig(device="cpu"), 5.0)
    localizer.open(folder, lambda modalities: {})
    columns = {NAMES[p.cell[0]]: p.vector[None] for p in pairs}
    names = map(str, count())
    return clock([lambda: localizer.add_place(ObservationSet(columns, np.eye(4)[None], (next(names),)))], rounds=20)


if __name__ == "__main__":
    main(rows, __file__)
