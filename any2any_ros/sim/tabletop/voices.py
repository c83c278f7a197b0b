"""Speaks descriptions by espeak-ng, with different voices, accents and speeds, in a room with some noise."""

from __future__ import annotations

import io
import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np

from any2any_ros.arrays import Float64
from any2any_ros.errors import Any2AnyError
from any2any_ros.sounds import resampled

PROGRAM = "espeak-ng"
RATE = 16000  # Hz, of the files written
ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-029", "en-us-nyc", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd")
VARIANTS = ("m1", "f1", "m3", "f2", "m5", "f3", "m7", "f4", "m2", "f5", "m4", "m6")


def available() -> bool:
    """Return whether espeak-ng is installed."""
    return shutil.which(PROGRAM) is not None


def say(text: str, speaker: int, path: Path, rng: np.random.Generator) -> None:
    """Speak a text into a WAV file (16 kHz, mono, 16 bits).

    speaker: number that gives voice and accent. rng: draws speed, pitch and noise. Raises Any2AnyError when espeak-ng
    fails.
    """
    voice = f"{ACCENTS[speaker % len(ACCENTS)]}+{VARIANTS[speaker % len(VARIANTS)]}"
    speed, pitch = 135 + 6 * (speaker % 7) + int(rng.integers(-10, 30)), 35 + 5 * (speaker % 6) + int(rng.integers(12))
    command = [PROGRAM, "-v", voice, "-s", str(speed), "-p", str(pitch), "--stdin", "--stdout"]
    done = subprocess.run(command, input=text.encode(), capture_output=True, timeout=60)
    if done.returncode or not done.stdout:
        raise Any2AnyError(
            f"{PROGRAM} cannot speak with the voice {voice}",
            done.stderr.decode(errors="replace").strip() or "it gave no sound",
            f"Install {PROGRAM} again, with its data",
        )
    samples = in_a_room(_samples(done.stdout), rng)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.round(samples * 32767).astype("<i2").tobytes())


def _samples(data: bytes) -> Float64:
    """Return the samples of a WAV stream at 16 kHz. Its header may not know its length."""
    with wave.open(io.BytesIO(data)) as file:
        rate = file.getframerate()
    raw = data[data.index(b"data") + 8 :]
    samples = np.frombuffer(raw[: len(raw) // 2 * 2], dtype="<i2") / 32768.0
    return resampled(samples, rate, RATE)


def in_a_room(samples: Float64, rng: np.random.Generator) -> Float64:
    """Return the speech (N,) with a random loudness, silence before and after it, and noise 20 to 35 dB below it."""
    quiet = np.zeros(int(rng.uniform(0.05, 0.2) * RATE))
    x = np.concatenate([quiet, samples, quiet])
    level = float(np.sqrt(np.mean(samples**2))) or 1.0
    noise = rng.normal(0, level * 10 ** (-rng.uniform(20, 35) / 20), len(x))
    x = (x + noise) / max(float(np.abs(x).max()), 1e-9) * rng.uniform(0.3, 0.8)
    return np.clip(x, -1, 1)
