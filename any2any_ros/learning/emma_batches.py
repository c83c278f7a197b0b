"""The batches that EMMA's heads are trained on, and the negatives: for each object one of another class."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from any2any_ros.arrays import Flags, Rows


def schedule(
    classes: Rows, complete: Flags, warm_up: int, size: int, steps: int, seed: int
) -> Iterator[tuple[Rows, Rows]]:
    """Yield `steps` batches and negatives, as `batches` does.

    classes (N,): 0, 1, 2, ..., at least two. The first `warm_up` batches have rows only that are `complete` (N,), if
    these are of at least two classes.
    """
    rows = np.flatnonzero(complete)
    names, own_class = np.unique(classes[rows], return_inverse=True)
    warm = min(warm_up, steps) if len(names) > 1 else 0
    for batch, negatives in batches(own_class, size, warm, seed):
        yield rows[batch], rows[negatives]
    yield from batches(classes, size, steps - warm, seed)


def batches(classes: Rows, size: int, steps: int, seed: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield `steps` batches (B,) of rows, and for each row one of another class (B,).

    No row comes twice in an epoch; the rows that do not fill a batch are left out of that epoch. All rows of other
    classes are equally likely negatives (the paper does no mining either).
    """
    draw = np.random.default_rng(seed)
    by_class = np.argsort(classes, kind="stable")
    first, count = (a[classes] for a in (np.searchsorted(classes[by_class], np.unique(classes)), np.bincount(classes)))
    waiting = np.empty(0, dtype=np.intp)
    size = min(size, len(classes))
    for _ in range(steps):
        if len(waiting) < size:
            waiting = draw.permutation(len(classes))
        rows, waiting = waiting[:size], waiting[size:]
        # A position among the rows of other classes; then it skips the row's own class.
        place = (draw.random(size) * (len(classes) - count[rows])).astype(np.intp)
        yield rows, by_class[place + np.where(place >= first[rows], count[rows], 0)]
