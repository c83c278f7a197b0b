"""Streams of sound: whether a chunk goes on where the last one ended, the last seconds of them, another rate."""

from __future__ import annotations

from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.samples import NS, Sound

GAP_NS = NS // 5  # a longer gap between two chunks means that sound was lost


class Continuity:
    """Tells whether a chunk of sound goes on where the last one ended."""

    def __init__(self) -> None:
        self._rate, self._until_ns = 0, 0

    def goes_on(self, sample: Sound, stamp_ns: int) -> bool:
        """Take the chunk that ended at `stamp_ns`; False for the first one, after a gap, and at another rate."""
        start_ns = stamp_ns - int(len(sample.samples) / sample.rate * NS)
        same = sample.rate == self._rate and abs(start_ns - self._until_ns) <= GAP_NS
        self._rate, self._until_ns = sample.rate, stamp_ns
        return same


class Window:
    """The last seconds of a stream of sound."""

    def __init__(self, seconds: float, shortest: float) -> None:
        self._seconds, self._shortest = seconds, shortest
        self._heard: NDArray[np.float32] = np.empty(0, np.float32)
        self._stream = Continuity()

    def hear(self, sample: Sound, stamp_ns: int) -> Sound | None:
        """Append the chunk that ended at `stamp_ns`; return the last `seconds`, None while less than `shortest`."""
        if not self._stream.goes_on(sample, stamp_ns):
            self._heard = self._heard[:0]
        self._heard = np.concatenate([self._heard, sample.samples])[-int(self._seconds * sample.rate) :]
        return Sound(self._heard, sample.rate) if len(self._heard) >= self._shortest * sample.rate else None


def resampled(samples: NDArray[np.floating[Any]], rate: int, wanted: int) -> NDArray[Any]:
    """Return samples (S,) at `rate` Hz as (S',) at `wanted` Hz, without what that cannot carry."""
    from scipy.signal import resample_poly  # costs half a second: only who hears pays

    divisor = gcd(wanted, rate)
    return samples if rate == wanted else np.asarray(resample_poly(samples, wanted // divisor, rate // divisor))
