"""Text without weights: words, word pairs and letter groups, hashed into a fixed number of signed bins."""

from __future__ import annotations

import itertools
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from any2any_ros.arrays import Array
from any2any_ros.config import Settings, setting
from any2any_ros.encoders._fingerprint import fingerprint, unit
from any2any_ros.errors import Any2AnyError

WORD = re.compile(r"\w+")
# Words that say nothing about a place or a thing; everything else counts.
EMPTY = frozenset(
    """
    a an and are as at be by for from has have here i in into is it its me my near of on or our some that the their
    there these this to up was we were which with you your
    """.split()  # noqa: SIM905 - a list of quoted words is harder to read
)


@dataclass(frozen=True)
class TextConfig(Settings):
    """Settings of the text descriptor."""

    bins: int = setting(1024, "dimension of the vector", minimum=16, maximum=65536)
    letters: int = setting(4, "length of the letter groups; 0 for words alone", minimum=0, maximum=8)
    letter_weight: float = setting(0.5, "weight of all letter groups beside the words", minimum=0, maximum=10)
    longest: int = setting(10000, "characters that are read; the rest is ignored", minimum=16)


class TextEncoder:
    """Cost: 0.1 ms for a sentence. Invariant to: case, punctuation, and mostly to word order and spelling slips."""

    plug: ClassVar[str] = "text"
    modality: ClassVar[str] = "text"
    accepts: ClassVar[str] = "text"
    topic: ClassVar[str] = "caption"
    keeps: ClassVar[int] = 1
    revision: ClassVar[int] = 1
    Config: ClassVar[type[TextConfig]] = TextConfig

    def __init__(self, config: TextConfig = TextConfig()) -> None:
        self.config = config

    @property
    def dimension(self) -> int:
        return self.config.bins

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.plug, self.revision, self.config)

    def gather(self, sample: str, stamp_ns: int) -> str:
        return sample

    def encode(self, sample: str) -> Array:
        """Return (bins,) for a text in any language; raise on one without a single letter or digit."""
        words = [w for w in WORD.findall(sample[: self.config.longest].casefold()) if w not in EMPTY]
        if not words:
            raise Any2AnyError("Cannot use a text", f"{sample[:40]!r} says nothing", "Say what is there")
        meaning = unit(self._hashed(self._phrases(words)))
        spelling = unit(self._hashed(self._letter_groups(words)))
        return unit(meaning + self.config.letter_weight * spelling)

    @staticmethod
    def _phrases(words: list[str]) -> Iterator[str]:
        yield from words
        yield from (f"{a} {b}" for a, b in itertools.pairwise(words))

    def _letter_groups(self, words: list[str]) -> Iterator[str]:
        n = self.config.letters
        if n:
            for word in words:
                padded = f"<{word}>"
                yield from (padded[i : i + n] for i in range(max(1, len(padded) - n + 1)))

    def _hashed(self, terms: Iterator[str]) -> Array:
        vector = np.zeros(self.config.bins, dtype=np.float32)
        for term, count in Counter(terms).items():
            code = zlib.crc32(term.encode())  # the same in every process and on every machine
            sign = 1.0 if code & 0x80000000 else -1.0
            vector[code % self.config.bins] += sign * (1.0 + np.log(count))
        return vector
