"""Which objects EMMA's heads learn from at each step, and of which other class a negative stands beside each."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from any2any_ros.arrays import Flags, Rows


def schedule(
    classes: Rows, complete: Flags, warm_up: int, size: int, steps: int, seed: int
) -> Iterator[tuple[Rows, Rows]]:
    """Yield `steps` batches of all N: the first `warm_up` of complete rows (N,) alone, where these are of two classes.

    classes (N,): 0, 1, 2, ..., at least two.
    """
    rows = np.flatnonzero(complete)
    found, own = np.unique(classes[rows], return_inverse=True)
    warm = min(warm_up, steps) if len(found) > 1 else 0
    for some, others in batches(own, size, warm, seed):
        yield rows[some], rows[others]
    yield from batches(classes, size, steps - warm, seed)


def batches(classes: Rows, size: int, steps: int, seed: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield `steps` batches (B,) of rows, none twice in an epoch, and for each row one of another class, all of them
    equally likely (the paper mines none); what does not fill a batch waits for another epoch's order."""
    draw = np.random.default_rng(seed)
    by_class = np.argsort(classes, kind="stable")
    first, count = (a[classes] for a in (np.searchsorted(classes[by_class], np.unique(classes)), np.bincount(classes)))
    waiting = np.empty(0, dtype=np.intp)
    size = min(size, len(classes))
    for _ in range(steps):
        if len(waiting) < size:
            waiting = draw.permutation(len(classes))
        rows, waiting = waiting[:size], waiting[size:]
        # A position among the others, then a step over the row's own class.
        place = (draw.random(size) * (len(classes) - count[rows])).astype(np.intp)
        yield rows, by_class[place + np.where(place >= first[rows], count[rows], 0)]
