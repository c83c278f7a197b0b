"""Memory and start-up of the whole stack without weights.

Five processes: camera, LiDAR, sound and text encoders, and the retrieval node with a calibrated map of 10,000 places.
They are started at once, as `any2any bringup` does it, and then get messages at 10 Hz for some seconds. PSS counts
memory that processes share once, RSS counts it in each process. A node is ready when another process sees that it
listens. "Alone" means that no other node starts at the same time.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from any2any_ros.encoders import build
from benchmarks.speed import _frames
from benchmarks.speed._clock import spread
from benchmarks.speed._live import Plan, drive, start
from benchmarks.speed._outcome import Outcome
from benchmarks.speed._process import apart
from benchmarks.speed._rows import Row
from benchmarks.speed._section import main

SENSORS = ("audio", "camera", "lidar", "text")
READY = "≤ 3"


def rows(quick: bool) -> Iterator[Row]:
    with tempfile.TemporaryDirectory(prefix="any2any-bench-") as folder:
        _frames.write_map(Path(folder), {m: build(m) for m in SENSORS})
        driven = apart(drive, Plan(folder, SENSORS, moments=30 if quick else 80))
        yield from memory(driven)
        times = 1 if quick else 3
        together = [driven.ready] + [apart(start, Plan(folder, SENSORS)) for _ in range(times - 1)]
        alone = [apart(start, Plan(folder, SENSORS, only=name)) for name in [*driven.ready] * times]
        yield from readiness(together, alone)


def memory(outcome: Outcome) -> Iterator[Row]:
    """Yield the rows of the memory and CPU of all processes together, and of each process."""
    pss, rss = (sum(kind) / 1e6 for kind in zip(*outcome.memory.values(), strict=True))
    processes = f"{len(outcome.memory)} processes"
    yield Row("memory of the stack, shared pages counted once (PSS)", pss, "MB", bar="≤ 700", note=processes,
              short="{} of memory for camera, LiDAR, sound, text and a calibrated map of 10,000 places")  # fmt: skip
    yield Row("memory of the stack, shared pages counted in each (RSS)", rss, "MB", note=processes)
    for name, (own, whole) in outcome.memory.items():
        yield Row(f"memory of {name} (PSS)", own / 1e6, "MB", note=f"RSS {whole / 1e6:.0f} MB")
    yield Row("processor of the stack at 10 Hz", 100 * sum(outcome.cores.values()), "% of a core",
              short="{} for all processes, every sensor at 10 Hz")  # fmt: skip


def readiness(together: list[dict[str, float]], alone: list[dict[str, float]]) -> Iterator[Row]:
    """Yield the rows of the seconds from start to ready: of the last node, and of each node."""
    seconds = {name: ([s[name] for s in together], [s[name] for s in alone if name in s]) for name in together[0]}
    last = [max(start.values()) for start in together]
    slowest = max(float(np.median(own)) for _, own in seconds.values())
    yield Row("all five started at once, the last one ready", float(np.median(last)), "s", spread(last), bar=READY,
              short="{} from start-up until the last of five nodes is ready")  # fmt: skip
    yield Row("the slowest node, started alone", slowest, "s", bar=READY)
    for name, (crowded, own) in sorted(seconds.items()):
        yield Row(f"{name} ready, all five at once", float(np.median(crowded)), "s", spread(crowded),
                  note=f"alone {np.median(own):.2f} s")  # fmt: skip


if __name__ == "__main__":
    main(rows, __file__)
