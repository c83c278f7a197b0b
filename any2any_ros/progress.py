"""How a long task reports its progress: the caller gives a function that wraps the task's loop."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
Progress = Callable[[Iterable[T], str], Iterable[T]]  # (loop, what the loop does) -> the same loop
TRAINING = "training"  # what a loop over the checkpoints of a training does


class Counted(Iterable[T]):
    """A loop of which it is known how often it runs, so that a bar shows how much is left."""

    def __init__(self, loop: Iterable[T], count: int) -> None:
        self._loop, self._count = loop, count

    def __iter__(self) -> Iterator[T]:
        return iter(self._loop)

    def __len__(self) -> int:
        return self._count


def silent(loop: Iterable[T], what: str) -> Iterable[T]:
    """Report nothing."""
    return loop


def progress_bar(loop: Iterable[T], what: str) -> Iterable[T]:
    """Show a progress bar on stderr if stderr is a terminal."""
    from tqdm import tqdm

    return tqdm(loop, desc=what, leave=False, dynamic_ncols=True, disable=None)


def training_bar(steps: int, product: str) -> Progress[Any]:
    """Return a progress that follows a training of `steps` steps, and says what Ctrl-C has left of its product.

    product: what is trained, in the plural, e.g. "heads".
    """

    def wrapped(loop: Iterable[Any], what: str) -> Iterable[Any]:
        return _followed(loop, steps, product) if what == TRAINING else progress_bar(loop, what)

    return wrapped


def _followed(checkpoints: Iterable[Any], steps: int, product: str) -> Iterator[Any]:
    from tqdm import tqdm

    done = 0
    with tqdm(total=steps, desc=TRAINING, leave=False, dynamic_ncols=True, disable=None) as shown:
        try:
            for checkpoint in checkpoints:
                shown.update(checkpoint.number - done)
                shown.set_postfix(loss=f"{checkpoint.loss:.3f}", mrr=f"{checkpoint.score:.3f}")
                done = checkpoint.number
                yield checkpoint
        except KeyboardInterrupt:
            if done:
                print(f"stopped after {done} steps; the best {product} so far are kept", file=sys.stderr)
            raise
