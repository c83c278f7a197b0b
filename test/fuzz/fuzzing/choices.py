"""Random numbers that bytes decide. The same bytes make the same input, so a failure is kept as some bytes."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

SEED = 8  # bytes at the beginning, which also decide all that comes after the end


class Choices(random.Random):
    """Takes its numbers from `data` first, and from a generator that the first bytes seed afterwards.

    So a coverage-guided fuzzer, which changes bytes in the middle, changes single choices.
    """

    def __new__(cls, data: bytes) -> Choices:
        return super().__new__(cls)

    def __init__(self, data: bytes) -> None:
        super().__init__(int.from_bytes(data[:SEED], "big"))
        self._data, self._at = data, SEED

    def getrandbits(self, k: int) -> int:
        size = (k + 7) // 8
        if self._at + size > len(self._data):
            return super().getrandbits(k)
        chunk = self._data[self._at : self._at + size]
        self._at += size
        return int.from_bytes(chunk, "big") >> (8 * size - k)

    def random(self) -> float:
        return self.getrandbits(53) / (1 << 53)

    @property
    def arrays(self) -> np.random.Generator:
        """A generator of arrays."""
        return np.random.default_rng(self.getrandbits(32))

    def often(self, share: float) -> bool:
        return self.random() < share

    def one(self, *items: Any) -> Any:
        return items[self.randrange(len(items))]
