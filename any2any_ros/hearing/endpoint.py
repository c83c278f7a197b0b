"""Where an utterance begins and ends in a stream of sound: three judges, one way of cutting.

energy   louder than the room (encoders/speech.py); nothing to install
sphinx   PocketSphinx's voice activity detector, WebRTC's: pip install 'any2any_ros[speech]'
silero   a small network, Silero VAD, its weights in the wheel: pip install silero-vad
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from math import gcd
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from any2any_ros.arrays import Array
from any2any_ros.config import Settings, setting
from any2any_ros.encoders.networks.onnx_runtime import open_session
from any2any_ros.encoders.speech import MARGIN, SpeechConfig, Utterances
from any2any_ros.errors import Any2AnyError
from any2any_ros.protocols import Endpointer
from any2any_ros.samples import Sound
from any2any_ros.sounds import Continuity

SILERO_RATE, SILERO_BLOCK, SILERO_CONTEXT = 16000, 512, 64
SPEECH = 0.5  # Silero's probability of it; its authors' threshold


@dataclass(frozen=True)
class EndpointConfig(Settings):
    """What decides that somebody speaks."""

    endpoint: str = setting("energy", "judge of what is speech", choices=("energy", "sphinx", "silero"))


def build(config: EndpointConfig = EndpointConfig(), speech: SpeechConfig = SpeechConfig()) -> Endpointer:
    """Build it; pause, shortest, longest and, for energy, rise are the speech encoder's settings."""
    if config.endpoint == "energy":
        return Utterances(speech)
    judges: dict[str, Callable[[int], Judge]] = {"sphinx": SphinxJudge, "silero": SileroJudge}
    return Judged(judges[config.endpoint], speech)


class Judge(Protocol):
    """Decides about one block of sound after the other, of one rate."""

    block: int  # samples
    delay: float  # s that it takes to notice that somebody speaks, or has stopped

    def __call__(self, block: Array) -> bool: ...


class Judged:
    """Cuts a stream of sound where a judge hears nobody any more."""

    _judge: Judge
    _rate: int
    _heard: Array
    _judged: int  # samples of what is heard that were judged
    _first: int  # sample at which somebody began to speak; -1 while nobody does
    _last: int  # sample up to which somebody spoke

    def __init__(self, judge: Callable[[int], Judge], config: SpeechConfig) -> None:
        judge(SILERO_RATE)  # what is missing is told now, not with the first sound
        self.config, self._new_judge, self._stream = config, judge, Continuity()

    def hear(self, sample: Sound, stamp_ns: int) -> Sound | None:
        """Append the chunk that ended at `stamp_ns`; return an utterance once it is over, None until then."""
        if not self._stream.goes_on(sample, stamp_ns):
            self._begin(sample.rate)
        self._heard = np.concatenate([self._heard, sample.samples])
        # Blocks after the end of an utterance wait for the next call.
        while self._judged + self._judge.block <= len(self._heard):
            block = self._heard[self._judged : self._judged + self._judge.block]
            self._judged += self._judge.block
            utterance = self._step(self._judge(block))
            if utterance is not None:
                return utterance
        return None

    def _begin(self, rate: int) -> None:
        self._judge, self._rate = self._new_judge(rate), rate
        self._heard, self._judged = np.empty(0, np.float32), 0
        self._first = self._last = -1

    def _step(self, speaking: bool) -> Sound | None:
        c, now, delay = self.config, self._judged, round(self._judge.delay * self._rate)
        if speaking:
            self._first = max(0, now - self._judge.block - delay) if self._first < 0 else self._first
            self._last = now
        if self._first < 0:
            self._forget(now - delay - self._judge.block)
            return None
        if now - self._last < (c.pause - self._judge.delay) * self._rate and now - self._first < c.longest * self._rate:
            return None
        return self._cut(max(self._first + 1, self._last - (0 if speaking else delay)))

    def _cut(self, end: int) -> Sound | None:
        margin, start = round(MARGIN * self._rate), self._first
        utterance = self._heard[max(0, start - margin) : end + margin].copy()
        self._first = self._last = -1
        self._forget(end)
        return Sound(utterance, self._rate) if end - start >= self.config.shortest * self._rate else None

    def _forget(self, samples: int) -> None:
        """Forget these, but for what an utterance that begins now would have before it."""
        gone = min(max(0, samples - round(MARGIN * self._rate)), self._judged)
        self._heard, self._judged = self._heard[gone:], self._judged - gone


class SphinxJudge:
    """Speech when nine tenths of 0.3 s are: pocketsphinx.Endpointer."""

    def __init__(self, rate: int) -> None:
        try:
            import pocketsphinx
        except ImportError as error:
            raise _missing("sphinx", str(error), "pip install 'any2any_ros[speech]'") from error
        try:
            self._endpointer = pocketsphinx.Endpointer(sample_rate=rate)
        except ValueError as error:
            raise _missing("sphinx", f"{rate} Hz: {error}", "Choose the endpoint 'energy', or another rate") from error
        self.delay: float = self._endpointer.DEFAULT_WINDOW
        self.block: int = self._endpointer.frame_bytes // 2

    def __call__(self, block: Array) -> bool:
        self._endpointer.process((np.clip(block, -1, 1) * 32767).astype("<i2").tobytes())
        return bool(self._endpointer.in_speech)


class SileroJudge:
    """Speech when Silero VAD (version 5 or 6) says so, for 32 ms at a time."""

    delay = 0.0

    def __init__(self, rate: int) -> None:
        from scipy.signal import resample_poly

        spec = importlib.util.find_spec("silero_vad")  # not imported: it would ask for torch
        if spec is None or spec.origin is None:
            raise _missing("silero", "silero_vad is missing", "pip install --no-deps silero-vad")
        self._session = open_session(Path(spec.origin).parent / "data" / "silero_vad.onnx")
        self._resample, common = resample_poly, gcd(SILERO_RATE, rate)
        self._up, self._down = SILERO_RATE // common, rate // common
        self.block = round(SILERO_BLOCK * rate / SILERO_RATE)
        self._state = np.zeros((2, 1, 128), np.float32)
        self._context = np.zeros(SILERO_CONTEXT, np.float32)

    def __call__(self, block: Array) -> bool:
        x: Any = self._resample(block, self._up, self._down, padtype="edge") if self._up != self._down else block
        x = np.concatenate([self._context, np.resize(x, SILERO_BLOCK)]).astype(np.float32)
        self._context = x[-SILERO_CONTEXT:]
        rate = np.array(SILERO_RATE, dtype=np.int64)
        out, self._state = self._session.run(None, {"input": x[None], "state": self._state, "sr": rate})
        return float(out[0, 0]) > SPEECH


def _missing(endpoint: str, why: str, remedy: str) -> Any2AnyError:
    return Any2AnyError(f"Cannot find speech by '{endpoint}'", why, remedy)
