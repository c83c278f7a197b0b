"""Streams of sound: whether one chunk continues the last one, the last seconds of a stream, and resampling."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array, Floats
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS, Sound

GAP_NS = NS // 5  # a longer gap between two chunks means that sound is missing
OVERTAKEN_NS = NS  # a chunk that ends before the last one by less than this was overtaken by it on its way
SET_BACK = 3  # such chunks in a row: the clock was set back
FINEST = 1000  # largest denominator of a ratio of sample rates; the usual rates have at most 441


class Continuity:
    """Tells whether a chunk of sound continues the chunk before it."""

    def __init__(self) -> None:
        self._rate, self._end_ns = 0, 0
        self._overtaken = 0  # chunks, the last ones in a row

    def goes_on(self, sample: Sound, stamp_ns: int) -> bool:
        """Take the chunk that ended at `stamp_ns`. False for the first chunk, after a gap, and at another rate.

        Raises Any2AnyError for a chunk that was overtaken by others: it must not be taken.
        """
        start_ns = stamp_ns - int(len(sample.samples) / sample.rate * NS)
        same = sample.rate == self._rate
        behind_ns = self._end_ns - stamp_ns
        back = same and 0 < behind_ns < OVERTAKEN_NS and start_ns < self._end_ns - GAP_NS
        self._overtaken = self._overtaken + 1 if back else 0
        if 0 < self._overtaken < SET_BACK:
            raise Any2AnyError(
                "Cannot use a chunk of sound",
                f"it came {behind_ns / NS:.2g} s out of order",
                "Publish it reliably, and from one thread",
            )
        self._overtaken = 0
        goes_on = same and abs(start_ns - self._end_ns) <= GAP_NS
        self._rate, self._end_ns = sample.rate, stamp_ns
        return goes_on


class Window:
    """The last seconds of a stream of sound."""

    def __init__(self, seconds: float, shortest: float) -> None:
        self._seconds, self._shortest = seconds, shortest
        self._sound: Array = np.empty(0, np.float32)
        self._stream = Continuity()

    def hear(self, sample: Sound, stamp_ns: int) -> Sound | None:
        """Append the chunk that ended at `stamp_ns`; return the last `seconds`, None while shorter than `shortest`.

        Raises Any2AnyError for a chunk that was overtaken by others.
        """
        if not self._stream.goes_on(sample, stamp_ns):
            self._sound = self._sound[:0]
        self._sound = np.concatenate([self._sound, sample.samples])[-int(self._seconds * sample.rate) :]
        return Sound(self._sound, sample.rate) if len(self._sound) >= self._shortest * sample.rate else None


def resampled(samples: Floats, rate: int, wanted: int) -> NDArray[Any]:
    """Return samples (S,) at `rate` Hz as samples (S',) at `wanted` Hz, without the frequencies above wanted / 2.

    The ratio of odd rates is rounded: between 47,999 and 16,000 Hz, the exact filter would have a million values.
    """
    from scipy.signal import resample_poly  # its import takes half a second, so only encoders of sound pay for it

    ratio = Fraction(wanted, rate).limit_denominator(FINEST)
    return samples if ratio == 1 else np.asarray(resample_poly(samples, ratio.numerator, ratio.denominator))
