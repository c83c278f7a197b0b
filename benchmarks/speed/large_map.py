"""A map of a million places.

Vectors of 1e6 places × 3 modalities × 256 in half precision, as retrieval/shards.py keeps them (docs/scale.md), opened
by a new process once the machine has read the files before; its memory after the first rankings; one exact ranking,
nine pairs, top 5, by the wall. **The retrieval node does not open maps this way yet**: it reads the map's vectors in
single precision and builds the shards in memory. That road is measured, too, on 1e5 places; a million takes ten times
as much.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros.methods.any2any import Any2Any
from any2any_ros.methods.fusion import LikelihoodRatio
from any2any_ros.observation import ObservationSet
from any2any_ros.protocols import Fusion
from any2any_ros.retrieval import calibration, reference_map, shards
from any2any_ros.retrieval.reference_map import EncoderRecord, ReferenceMap
from any2any_ros.retrieval.search import Search
from benchmarks import fusion_at_scale
from benchmarks.speed._clock import clock, one_thread, spread, timed
from benchmarks.speed._machine import gpu
from benchmarks.speed._process import apart, memory
from benchmarks.speed._rows import Row, unmeasured
from benchmarks.speed._section import interruptible, main

PLACES, NODE_PLACES = 1_000_000, 100_000
QUERIES, K = 3, 5
SHAPE = (fusion_at_scale.MODALITIES, fusion_at_scale.MODALITIES)
BARS = {
    "opens": ("map of 1e6 places opens, files read before", "s", "≤ 1"),
    "memory": ("memory of the process that ranks them (PSS)", "GB", "≤ 2"),
    "any2any": ("exact ranking of 1e6 places, any2any", "ms", "≤ 200"),
    "likelihood_ratio": ("exact ranking of 1e6 places, likelihood ratio", "ms", "≤ 200"),
}


@dataclass(frozen=True)
class Opened:
    """What a process found that opened a map: seconds, PSS in bytes after ranking, ms (rounds, methods) of rankings."""

    seconds: float
    pss: int
    spent: Any


def rows(quick: bool) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="any2any-bench-") as folder:
        yield from _node(Path(folder))
        if quick:
            yield from (unmeasured(what, unit, "--quick", bar) for what, unit, bar in BARS.values())
            return
        store, queries, _ = fusion_at_scale.build(PLACES, QUERIES, seed=0)
        store.save(Path(folder) / "shards")
        del store
        yield from _store(Path(folder) / "shards", queries)


def _store(folder: Path, queries: list[Any]) -> Iterator[Row]:
    seconds = [apart(_opening, folder) for _ in range(3)]
    found: Opened = apart(_ranking, folder, queries)
    what, unit, bar = BARS["opens"]
    yield Row(what, float(np.median(seconds)), unit, spread(seconds), bar=bar)
    what, unit, bar = BARS["memory"]
    yield Row(what, found.pss / 1e9, unit, bar=bar)
    for i, name in enumerate(("any2any", "likelihood_ratio"), start=1):
        what, _, bar = BARS[name]
        yield timed(what, found.spent[:, [i, 0]], "plain similarity + top-k", bar=bar)
    yield from _on_gpu(folder, queries)


def _on_gpu(folder: Path, queries: list[Any]) -> Iterator[Row]:
    """The same rankings with the first pass on a GPU (retrieval/accelerator.py), beside the same on the CPU."""
    names = ("any2any", "likelihood_ratio")
    whats = [f"{BARS[name][0]}, first pass on a GPU" for name in names]
    if not gpu():
        yield from (unmeasured(what, "ms", "no GPU") for what in whats)
        return
    found: Opened = apart(_ranking, folder, queries, "cuda")
    for i, what in enumerate(whats, start=1):
        yield timed(what, found.spent[:, [i, i + 2]], "its first pass on the CPU")


def _opening(folder: Path) -> float:
    interruptible()
    began = time.perf_counter()
    shards.load(folder)
    return time.perf_counter() - began


def _ranking(folder: Path, queries: list[Any], *devices: str) -> Opened:
    """Open the shards, rank without a fusion and with both exact ones, in turn: on `devices`, at last on the CPU."""
    interruptible()
    one_thread()
    pairs = fusion_at_scale.calibration(1)
    began = time.perf_counter()
    store = shards.load(folder)
    seconds = time.perf_counter() - began
    fusions: list[Fusion] = [cls.fit(*pairs) for cls in (Any2Any, LikelihoodRatio)]
    searches = [Search(store, fusion, SHAPE, device) for device in (*devices, "cpu") for fusion in fusions]
    plain = fusion_at_scale.plain(searches[-2], K)
    spent = [
        clock([partial(plain, q), *(partial(search.top_k, q, K) for search in searches)], rounds=2) for q in queries
    ]
    return Opened(seconds, memory(os.getpid())[0], np.concatenate(spent))


def _node(folder: Path) -> Iterator[Row]:
    """What the retrieval node does with a map's folder, on a tenth of the places."""
    apart(_write_map, folder)
    for _ in range(2):  # the second time the files have been read before
        found: Opened = apart(_opened_as_node, folder)
    yield Row("map of 1e5 places opened as the retrieval node does", found.seconds, "s", note="three modalities of 256")
    yield Row("memory of that process (PSS)", found.pss / 1e9, "GB")
    yield Row("one answer with it, any2any", float(np.median(found.spent)), "ms", spread(found.spent))


def _write_map(folder: Path) -> None:
    interruptible()
    store, _, _ = fusion_at_scale.build(NODE_PLACES, 1, seed=0)
    every = np.arange(NODE_PLACES)
    columns = {c.replace(" ", "_"): store.take(i, every).astype(np.float32) for i, c in enumerate(store.columns)}
    for i, column in enumerate(columns.values()):
        column[~store.patterns[store.pattern, i]] = np.nan
    poses = np.tile(np.eye(4), (NODE_PLACES, 1, 1))
    poses[:, 0, 3] = 10.0 * every
    records = {m: EncoderRecord("camera", m, fusion_at_scale.DIMENSION) for m in columns}
    reference_map.save(ReferenceMap(ObservationSet(columns, poses, tuple(map(str, every))), records), folder)
    fusion = Any2Any.fit(*fusion_at_scale.calibration(1))
    fitted = calibration.Calibration(fusion, None, {m: m for m in columns}, 5.0)
    calibration.save(fitted, folder)


def _opened_as_node(folder: Path) -> Opened:
    interruptible()
    one_thread()
    began = time.perf_counter()
    _, retriever, _ = calibration.open_map(folder, 5.0)
    seconds = time.perf_counter() - began
    observed = retriever.reference.observation(1)
    return Opened(seconds, memory(os.getpid())[0], clock([lambda: retriever.rank(observation=observed, k=K)], 10))


if __name__ == "__main__":
    main(rows, __file__)
