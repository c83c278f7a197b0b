"""How a long task reports its progress: the caller gives a function that wraps the task's loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
Progress = Callable[[Iterable[T], str], Iterable[T]]  # (loop, what the loop does) -> the same loop


def silent(loop: Iterable[T], what: str) -> Iterable[T]:
    """Report nothing."""
    return loop


def bar(loop: Iterable[T], what: str) -> Iterable[T]:
    """Show a progress bar on stderr if stderr is a terminal."""
    from tqdm import tqdm

    return tqdm(loop, desc=what, leave=False, dynamic_ncols=True, disable=None)
