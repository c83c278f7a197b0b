"""Text without weights: words, word pairs and groups of letters, hashed into a fixed number of signed bins."""

from __future__ import annotations

import itertools
import re
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Array
from any2any_ros.config import Settings, setting
from any2any_ros.encoders._base import BaseEncoder, unit_vector
from any2any_ros.errors import Any2AnyError

WORD = re.compile(r"\w+")
# Words that say nothing about a place or an object are left out.
STOP_WORDS = frozenset(
    """
    a an and are as at be by for from has have here i in into is it its me my near of on or our some that the their
    there these this to up was we were which with you your
    """.split()  # noqa: SIM905 - a list of quoted words is harder to read
)


@dataclass(frozen=True)
class TextConfig(Settings):
    """Settings of the text descriptor."""

    bins: int = setting(1024, "dimensions of the embedding", minimum=16, maximum=65536)
    letters: int = setting(4, "length of a group of letters; 0: only words count", minimum=0, maximum=8)
    letter_weight: float = setting(0.5, "weight of all groups of letters relative to the words", minimum=0, maximum=10)
    longest: int = setting(10000, "number of characters that are read; the rest is ignored", minimum=16)


class TextEncoder(BaseEncoder[TextConfig]):
    """Cost: 0.1 ms for a sentence. Invariant to case and punctuation, mostly also to word order and misspellings."""

    plug = "text"
    modality = "text"
    accepts = "text"
    topic = "caption"
    Config = TextConfig

    @property
    def dimension(self) -> int:
        return self.config.bins

    def encode(self, sample: str) -> Array:
        """Return (bins,) for a text in any language. Raises Any2AnyError when it has only stop words or none."""
        words = [w for w in WORD.findall(sample[: self.config.longest].casefold()) if w not in STOP_WORDS]
        if not words:
            raise Any2AnyError(
                "Cannot use a text", f"{sample[:40]!r} names nothing", "Describe the place or the object"
            )
        meaning = unit_vector(self._hashed(self._phrases(words)))
        spelling = unit_vector(self._hashed(self._letter_groups(words)))
        return unit_vector(meaning + self.config.letter_weight * spelling)

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
