"""Times of methods that take turns, with one thread."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.speed._rows import Row


def one_thread() -> None:
    """Let numerical libraries use one thread, as the nodes do: those that are loaded, and those that will be."""
    import cv2
    from threadpoolctl import threadpool_limits

    os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")})
    threadpool_limits(1)
    cv2.setNumThreads(1)


def spread(values: Sequence[float] | NDArray[np.float64]) -> tuple[float, float]:
    """Return the quartiles."""
    low, high = np.percentile(values, [25, 75])
    return float(low), float(high)


def clock(methods: Sequence[Callable[[], Any]], rounds: int, seconds: float = 20.0) -> NDArray[np.float64]:
    """Return ms (rounds, methods) of wall time; they take turns, after one round unseen. Ends early after `seconds`."""
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


def timed(what: str, spent: NDArray[np.float64], rival: str = "", **more: Any) -> Row:
    """Return the row of `clock`'s first column, beside its second where there is a rival."""
    medians = np.median(spent, axis=0)
    beside: dict[str, Any] = {}
    if rival:
        ratio = float(np.median(spent[:, 0] / spent[:, 1]))
        beside = {"rival": rival, "rival_value": float(medians[1]), "ratio": ratio}
    return Row(what, float(medians[0]), "ms", spread(spent[:, 0]), **beside | more)
