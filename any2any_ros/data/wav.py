"""Sound files: WAV of 16 bits."""

from __future__ import annotations

import os
import wave
from pathlib import Path

import numpy as np

from any2any_ros import limits, reading
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS, Sound


def read(path: Path, start_ns: int = 0, end_ns: int | None = None) -> Sound:
    """Return the sound between two times since the beginning of the file, its channels averaged.

    end_ns: None: the end of the file, which must not be long. The sound is empty where the file has none. Of a longer
    sound than `limits.SOUND_SECONDS`, the end is returned. Raises Any2AnyError for a file that cannot be read, and for
    one whose samples have not 16 bits.
    """
    try:
        with reading.opened(path) as stream, wave.open(stream, "rb") as file:
            rate, channels, frames = _checked(file)
            frames = min(frames, os.fstat(stream.fileno()).st_size // (2 * channels))  # the header may promise more
            longest = min(limits.SOUND_SECONDS * rate, limits.MESSAGE_BYTES // (2 * channels))
            if end_ns is None and frames > longest:
                raise ValueError(f"it lasts {frames // rate} s, and at most {limits.SOUND_SECONDS} s are read")
            last = frames if end_ns is None else min(frames, max(0, round(end_ns * rate / NS)))
            first = max(min(frames, max(0, round(start_ns * rate / NS))), last - longest)
            file.setpos(first)
            data = file.readframes(max(0, last - first))
    except (wave.Error, EOFError, OSError, ValueError, RuntimeError) as error:  # RuntimeError: a chunk is too long
        raise Any2AnyError(
            f"Cannot read the sound {path}", str(error) or "it is cut short", "Copy it again, or convert it to 16 bits"
        ) from error
    pcm = np.frombuffer(data[: len(data) - len(data) % (2 * channels)], dtype="<i2").reshape(-1, channels)
    return Sound((pcm.mean(axis=1) / 32768.0).astype(np.float32), rate)


def _checked(file: wave.Wave_read) -> tuple[int, int, int]:
    """Return the sample rate, the number of channels and the number of samples of each; ValueError for odd ones."""
    rate, channels, bits = file.getframerate(), file.getnchannels(), 8 * file.getsampwidth()
    if bits != 16:
        raise ValueError(f"its samples have {bits} bits, not 16")
    if channels > limits.CHANNELS or not limits.is_rate(rate):
        raise ValueError(f"it has {channels} channels and {rate} Hz")
    return rate, channels, file.getnframes()
