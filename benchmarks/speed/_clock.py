"""Times of methods that take turns, with one thread."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from any2any_ros.arrays import Float64
from benchmarks.speed._rows import Row


def one_thread() -> None:
    """Let numerical libraries use one thread, as the nodes do, whether they are already loaded or not."""
    import cv2
    from threadpoolctl import threadpool_limits

    os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")})
    threadpool_limits(1)
    cv2.setNumThreads(1)


def spread(values: Sequence[float] | Float64) -> tuple[float, float]:
    """Return the lower and the upper quartile."""
    low, high = np.percentile(values, [25, 75])
    return float(low), float(high)


def clock(methods: Sequence[Callable[[], Any]], rounds: int, seconds: float = 20.0) -> Float64:
    """Return the wall time of the methods in ms (rounds, methods).

    The methods take turns, after one round that is not counted. The measurement ends early after `seconds`.
    """
    for method in methods:
        method()
    spent, deadline = [], time.monotonic() + seconds
    for _ in range(rounds):
        turn = []
        for method in methods:
            began = time.perf_counter()
            method()
            turn.append(1e3 * (time.perf_counter() - began))
        spent.append(turn)
        if time.monotonic() > deadline:
            break
    return np.array(spent)


def timed(what: str, spent: Float64, rival: str = "", **more: Any) -> Row:
    """Return the row of the first column of `clock`, compared with its second column if there is a rival."""
    medians = np.median(spent, axis=0)
    beside: dict[str, Any] = {}
    if rival:
        ratio = float(np.median(spent[:, 0] / spent[:, 1]))
        beside = {"rival": rival, "rival_value": float(medians[1]), "ratio": ratio}
    return Row(what, float(medians[0]), "ms", spread(spent[:, 0]), **beside | more)
