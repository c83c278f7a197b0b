"""Sound files: WAV of 16 bits."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import NS, Sound


def read(path: Path, start_ns: int = 0, end_ns: int | None = None) -> Sound:
    """Return the sound between two times since the beginning of the file, its channels averaged.

    end_ns: None: the end of the file. The sound is empty where the file has none. Raises Any2AnyError for a file that
    cannot be read, or whose samples have not 16 bits.
    """
    try:
        with wave.open(str(path), "rb") as file:
            if file.getsampwidth() != 2:
                raise wave.Error(f"its samples have {8 * file.getsampwidth()} bits, not 16")
            rate, channels, frames = file.getframerate(), file.getnchannels(), file.getnframes()
            if rate < 1:
                raise wave.Error(f"its rate is {rate} Hz")
            first, last = (
                min(frames, max(0, round(t * rate / NS))) for t in (start_ns, frames * NS if end_ns is None else end_ns)
            )
            file.setpos(first)
            data = file.readframes(max(0, last - first))
    except (wave.Error, EOFError, OSError, RuntimeError) as error:  # RuntimeError: a chunk is longer than its file
        raise Any2AnyError(
            f"Cannot read the sound {path}", str(error) or "it is cut short", "Copy it again, or convert it to 16 bits"
        ) from error
    pcm = np.frombuffer(data[: len(data) - len(data) % (2 * channels)], dtype="<i2").reshape(-1, channels)
    return Sound((pcm.mean(axis=1) / 32768.0).astype(np.float32), rate)
