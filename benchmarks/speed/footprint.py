"""Memory and start-up of the whole stack without weights.

Camera, LiDAR, sound and text encoders and the retrieval node with a calibrated map of 10,000 places: five processes,
started at once as `any2any bringup` does, then fed at 10 Hz for some seconds. PSS counts memory that several processes
share once; RSS counts it again in each. A node is ready when another process sees it listen. Alone means that nothing
else starts meanwhile.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from any2any_ros.encoders import build
from benchmarks.speed import _frames
from benchmarks.speed._live import Outcome, Plan, apart, drive, start
from benchmarks.speed._rows import Row, main, spread

SENSORS = ("audio", "camera", "lidar", "text")
READY = "≤ 3"


def rows(quick: bool) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="any2any-bench-") as folder:
        _frames.write_map(Path(folder), {m: build(m) for m in SENSORS})
        driven = apart(drive, Plan(folder, SENSORS, moments=30 if quick else 80))
        yield from memory(driven)
        times = 1 if quick else 3
        together = [driven.ready] + [apart(start, Plan(folder, SENSORS)) for _ in range(times - 1)]
        yield from readiness("all five at once", together)
        names = [*driven.ready] * times
        yield from readiness("alone", [apart(start, Plan(folder, SENSORS, only=name)) for name in names])


def memory(outcome: Outcome) -> Iterator[Row]:
    """Return the rows of what five processes take, and each of them."""
    pss, rss = (sum(kind) / 1e6 for kind in zip(*outcome.memory.values(), strict=True))
    processes = f"{len(outcome.memory)} processes"
    yield Row("memory of the stack, shared pages counted once (PSS)", pss, "MB", bar="≤ 700", note=processes)
    yield Row("memory of the stack, shared pages counted in each (RSS)", rss, "MB", note=processes)
    for name, (own, whole) in outcome.memory.items():
        yield Row(f"memory of {name} (PSS)", own / 1e6, "MB", note=f"RSS {whole / 1e6:.0f} MB")
    yield Row("processor of the stack at 10 Hz", 100 * sum(outcome.cores.values()), "% of a core")


def readiness(how: str, starts: list[dict[str, float]]) -> Iterator[Row]:
    """Return the rows of each node's seconds from start to ready."""
    for name in sorted({name for start in starts for name in start}):
        seconds = [start[name] for start in starts if name in start]
        around = spread(seconds) if len(seconds) > 1 else None
        yield Row(f"{name} ready, {how}", float(np.median(seconds)), "s", around, bar=READY)


if __name__ == "__main__":
    main(rows, __file__)
