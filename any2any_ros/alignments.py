"""Alignments (protocols.py): each makes the vectors of two encoders comparable by their inner product."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from any2any_ros.arrays import Array


@dataclass(frozen=True, eq=False)
class FunctionAlignment:
    """An alignment made of two functions.

    query: vectors (N, Dq) of the query modality -> (N, S). reference: vectors (N, Dr) of the reference modality ->
    (N, S).
    """

    query: Callable[[Any], Array]
    reference: Callable[[Any], Array]
