"""What every recogniser does first: refuse what cannot be speech, cut what is too long, bring it to 16 kHz."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Float64
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import Sound
from any2any_ros.sounds import resampled

RATE = 16000  # Hz; what recognisers were trained on
SLOWEST = 8000  # Hz; a telephone's
SHORTEST = 0.15  # s; less is a click
SILENT = 1e-6
PEAK = 0.5  # of full scale: neither clipped nor lost between two steps of 16 bits


def prepared(sound: Sound, longest: float) -> tuple[Float64, str]:
    """Return the sound at 16 kHz (S,), its peak at half of full scale, and a remark ("" unless it was cut)."""
    seconds = len(sound.samples) / max(sound.rate, 1)
    kept = sound.samples[: round(longest * max(sound.rate, 1))]
    _check(kept, sound.rate)
    x = resampled(kept.astype(np.float64) - kept.mean(dtype=np.float64), sound.rate, RATE)
    peak = float(np.abs(x).max())
    if peak < SILENT:
        raise _unusable("it is digital silence")
    remark = f"it lasts {seconds:.0f} s; only the first {longest:g} s were listened to" if seconds > longest else ""
    return x * (PEAK / peak), remark


def _check(samples: NDArray[np.float32], rate: int) -> None:
    why = ""
    if samples.ndim != 1:
        why = f"it has {samples.ndim} dimensions, not one channel"
    elif rate < SLOWEST:
        why = f"{rate} Hz cannot carry speech; it takes {SLOWEST} Hz"
    elif len(samples) < SHORTEST * rate:
        why = f"{len(samples) / rate:.2g} s is too short for a word"
    elif not np.isfinite(samples).all():
        why = "a sample is not finite"
    if why:
        raise _unusable(why)


def _unusable(why: str) -> Any2AnyError:
    return Any2AnyError("Cannot listen to a sound", why, "Speak a sentence, nearer to the microphone")
