"""What every transcriber does first: refuse what cannot be speech, cut what is too long, and resample to 16 kHz."""

from __future__ import annotations

import numpy as np

from any2any_ros.arrays import Array, Float64
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import Sound
from any2any_ros.sounds import resampled

RATE = 16000  # Hz, of the sound that speech recognisers are trained on
LOWEST_RATE = 8000  # Hz, a telephone's
SHORTEST = 0.15  # s; less is a click
SILENT = 1e-6  # peak below which a sound is digital silence
PEAK = 0.5  # of full scale: neither clipped nor coarse when rounded to 16 bits


def prepare(sound: Sound, longest: float) -> tuple[Float64, str]:
    """Return an utterance at 16 kHz (S,) with its peak at half of full scale, and a remark.

    The remark is "" unless the sound lasts longer than `longest` seconds and was cut. Raises Any2AnyError when the
    sound is too short, silent, not finite, not mono or sampled too slowly.
    """
    seconds = len(sound.samples) / max(sound.rate, 1)
    beginning = sound.samples[: round(longest * max(sound.rate, 1))]
    _check(beginning, sound.rate)
    x = resampled(beginning.astype(np.float64) - beginning.mean(dtype=np.float64), sound.rate, RATE)
    peak = float(np.abs(x).max())
    if peak < SILENT:
        raise _unusable("it is digital silence")
    remark = f"it lasts {seconds:.0f} s; only the first {longest:g} s were transcribed" if seconds > longest else ""
    return x * (PEAK / peak), remark


def _check(samples: Array, rate: int) -> None:
    why = ""
    if samples.ndim != 1:
        why = f"it has {samples.ndim} dimensions, not one channel"
    elif rate < LOWEST_RATE:
        why = f"its sample rate of {rate} Hz is too low for speech, which needs {LOWEST_RATE} Hz"
    elif len(samples) < SHORTEST * rate:
        why = f"{len(samples) / rate:.2g} s is too short for a word"
    elif not np.isfinite(samples).all():
        why = "a sample is not finite"
    if why:
        raise _unusable(why)


def _unusable(why: str) -> Any2AnyError:
    return Any2AnyError("Cannot transcribe a sound", why, "Speak a sentence, nearer to the microphone")
