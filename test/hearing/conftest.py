"""Voices for the tests: espeak-ng's, where it is installed."""

import io
import shutil
import subprocess
import wave

import numpy as np
import pytest
from scipy.signal import resample_poly

from any2any_ros.samples import Sound


@pytest.fixture(scope="session")
def say():
    """Return a function that speaks a text: Sound of 22,050 Hz, or of another rate."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("nobody speaks: apt-get install espeak-ng")

    def speak(text, voice="en-us+m1", rate=22050):
        done = subprocess.run(["espeak-ng", "-v", voice, "--stdout", text], capture_output=True, check=True, timeout=60)
        with wave.open(io.BytesIO(done.stdout)) as file:
            assert file.getframerate() == 22050
        raw = done.stdout[done.stdout.index(b"data") + 8 :]
        x = np.frombuffer(raw[: len(raw) // 2 * 2], "<i2") / 32768
        return Sound(resample_poly(x, rate // 50, 22050 // 50).astype(np.float32), rate)

    return speak


@pytest.fixture(scope="session")
def sphinx():
    """Return the command recogniser with few words."""
    pytest.importorskip("pocketsphinx", reason="pip install 'any2any_ros[speech]'")
    from any2any_ros import hearing

    return hearing.build("sphinx", {"openings": "bring me, find", "adjectives": "red, blue", "objects": "mug, apple"})
