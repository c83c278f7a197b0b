"""Where an utterance begins and ends in a stream of sound.

Three ways of finding speech (`endpoint`):
energy   sound that is louder than the room (encoders/speech.py); needs nothing else
sphinx   the voice activity detector of PocketSphinx, which is WebRTC's: pip install 'any2any_ros[speech]'
silero   Silero VAD, a small network with its weights in the wheel: pip install silero-vad
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from any2any_ros.arrays import Array
from any2any_ros.config import Settings, setting
from any2any_ros.encoders.networks.onnx_runtime import open_session
from any2any_ros.encoders.speech import MARGIN, LevelEndpointer, SpeechConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.protocols import Endpointer
from any2any_ros.samples import Sound
from any2any_ros.sounds import FINEST, Continuity

SILERO_RATE, SILERO_BLOCK, SILERO_CONTEXT = 16000, 512, 64  # Hz, samples, samples
SPEECH_PROBABILITY = 0.5  # above which Silero finds speech: its authors' threshold


@dataclass(frozen=True)
class EndpointConfig(Settings):
    """How the utterances in a stream of sound are found."""

    endpoint: str = setting(
        "energy", "what distinguishes speech from other sound", choices=("energy", "sphinx", "silero")
    )


def build(config: EndpointConfig = EndpointConfig(), speech: SpeechConfig = SpeechConfig()) -> Endpointer:
    """Build the endpointer that `config` names. `speech` gives pause, shortest, longest and, for energy, rise.

    Raises Any2AnyError when the library that it needs is missing.
    """
    if config.endpoint == "energy":
        return LevelEndpointer(speech)
    detectors: dict[str, Callable[[int], VoiceDetector]] = {"sphinx": SphinxDetector, "silero": SileroDetector}
    return VoiceEndpointer(detectors[config.endpoint], speech)


class VoiceDetector(Protocol):
    """Tells whether somebody speaks, block by block, in sound of one sample rate."""

    block: int  # samples in a block
    delay: float  # s until the detector notices that speech has begun or ended

    def __call__(self, block: Array) -> bool:
        """Return whether the block (block,), which follows the one before, contains speech."""


class VoiceEndpointer:
    """Cuts a stream of sound into utterances where a voice detector finds no more speech."""

    _detector: VoiceDetector
    _rate: int
    _sound: Array  # that was not cut yet
    _position: int  # samples of `_sound` that passed the detector
    _first: int  # sample where the utterance begins; -1: nobody speaks
    _last: int  # sample where its last speech ended

    def __init__(self, detector: Callable[[int], VoiceDetector], config: SpeechConfig) -> None:
        """detector: makes a voice detector for a sample rate. Raises what it raises, before the first sound."""
        detector(SILERO_RATE)
        self.config, self._new_detector, self._stream = config, detector, Continuity()

    def hear(self, sample: Sound, stamp_ns: int) -> Sound | None:
        """Append the chunk that ended at `stamp_ns`; return an utterance when one has ended, else None."""
        if not self._stream.goes_on(sample, stamp_ns):
            self._begin(sample.rate)
        self._sound = np.concatenate([self._sound, sample.samples])
        # Blocks after the end of an utterance wait for the next call.
        while self._position + self._detector.block <= len(self._sound):
            block = self._sound[self._position : self._position + self._detector.block]
            self._position += self._detector.block
            utterance = self._step(self._detector(block))
            if utterance is not None:
                return utterance
        return None

    def _begin(self, rate: int) -> None:
        self._detector, self._rate = self._new_detector(rate), rate
        self._sound, self._position = np.empty(0, np.float32), 0
        self._first = self._last = -1

    def _step(self, speech: bool) -> Sound | None:
        """Take one answer of the detector; return the utterance that has ended with it."""
        c, now, delay = self.config, self._position, round(self._detector.delay * self._rate)
        if speech:
            self._first = max(0, now - self._detector.block - delay) if self._first < 0 else self._first
            self._last = now
        if self._first < 0:
            self._forget(now - delay - self._detector.block)
            return None
        pause = (c.pause - self._detector.delay) * self._rate
        if now - self._last < pause and now - self._first < c.longest * self._rate:
            return None
        return self._cut(max(self._first + 1, self._last - (0 if speech else delay)))

    def _cut(self, end: int) -> Sound | None:
        margin, start = round(MARGIN * self._rate), self._first
        utterance = self._sound[max(0, start - margin) : end + margin].copy()
        self._first = self._last = -1
        self._forget(end)
        return Sound(utterance, self._rate) if end - start >= self.config.shortest * self._rate else None

    def _forget(self, samples: int) -> None:
        """Forget the first samples, except the margin before an utterance that may begin now."""
        forgotten = min(max(0, samples - round(MARGIN * self._rate)), self._position)
        self._sound, self._position = self._sound[forgotten:], self._position - forgotten


class SphinxDetector:
    """pocketsphinx.Endpointer: speech when nine tenths of 0.3 s are speech."""

    def __init__(self, rate: int) -> None:
        try:
            import pocketsphinx
        except ImportError as error:
            raise _unavailable("sphinx", str(error), "pip install 'any2any_ros[speech]'") from error
        try:
            self._endpointer = pocketsphinx.Endpointer(sample_rate=rate)
        except ValueError as error:
            raise _unavailable(
                "sphinx", f"{rate} Hz: {error}", "Set endpoint to energy, or use another rate"
            ) from error
        self.delay: float = self._endpointer.DEFAULT_WINDOW
        self.block: int = self._endpointer.frame_bytes // 2

    def __call__(self, block: Array) -> bool:
        self._endpointer.process((np.clip(block, -1, 1) * 32767).astype("<i2").tobytes())
        return bool(self._endpointer.in_speech)


class SileroDetector:
    """Silero VAD (version 5 or 6), for blocks of 32 ms."""

    delay = 0.0

    def __init__(self, rate: int) -> None:
        from scipy.signal import resample_poly

        spec = importlib.util.find_spec("silero_vad")  # not imported, because that would import torch
        if spec is None or spec.origin is None:
            raise _unavailable("silero", "silero_vad is missing", "pip install --no-deps silero-vad")
        self._session = open_session(Path(spec.origin).parent / "data" / "silero_vad.onnx")
        ratio = Fraction(SILERO_RATE, rate).limit_denominator(FINEST)
        self._resample, self._up, self._down = resample_poly, ratio.numerator, ratio.denominator
        self.block = round(SILERO_BLOCK * rate / SILERO_RATE)
        self._state = np.zeros((2, 1, 128), np.float32)
        self._context = np.zeros(SILERO_CONTEXT, np.float32)

    def __call__(self, block: Array) -> bool:
        x: Any = self._resample(block, self._up, self._down, padtype="edge") if self._up != self._down else block
        x = np.concatenate([self._context, np.resize(x, SILERO_BLOCK)]).astype(np.float32)
        self._context = x[-SILERO_CONTEXT:]
        rate = np.array(SILERO_RATE, dtype=np.int64)
        out, self._state = self._session.run(None, {"input": x[None], "state": self._state, "sr": rate})
        return float(out[0, 0]) > SPEECH_PROBABILITY


def _unavailable(endpoint: str, why: str, remedy: str) -> Any2AnyError:
    return Any2AnyError(f"Cannot find speech by '{endpoint}'", why, remedy)
