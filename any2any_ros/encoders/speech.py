"""Spoken words without weights: which patterns of sound an utterance has, or how its sound runs from first to last.

Mel cepstra, their mean and spread over the utterance taken out (a speaker's voice, the room, the microphone).
`patterns` looks at every fifth of a second of them through the same random cosines and takes the mean, which tells what
sounds occur and not when: a sentence has the word in it, wherever (random features: Rahimi & Recht 2007). `course`
stretches cepstra and their slopes to a fixed number of moments, which tells single words. To be compared with anything
but another utterance, either needs heads (docs/emma.md). A recogniser's transcript and a text encoder are better.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

import numpy as np

from any2any_ros.arrays import Array, Float64
from any2any_ros.config import Settings, setting
from any2any_ros.encoders._fingerprint import fingerprint, unit
from any2any_ros.encoders._mel import filters
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import Sound
from any2any_ros.sounds import Continuity

EMPHASIS = 0.97  # high pitches are weaker in a voice, and say as much
FLOOR = 1e-6  # of the loudest band: quieter than that is silence
UNCHANGED = 0.1  # spread of a log cepstrum below which it does not move
SLOPE = np.array([-2.0, -1.0, 0.0, 1.0, 2.0]) / 10  # least squares over five frames
BLOCK = 0.02  # s, in which a stream is loud or quiet
BEFORE = 0.1  # s kept before an utterance's first loud block, and after its last
RIPPLES = 5  # of a pattern along time
WIDTH = 2.0  # how different patterns still count as alike
ROOM = 30.0  # s that are remembered of how loud it was
QUIETEST = 10  # per cent of the blocks: how loud the room is by itself


@dataclass(frozen=True)
class SpeechConfig(Settings):
    """Settings of the speech descriptor."""

    descriptor: str = setting("patterns", "what is described", choices=("patterns", "course"))
    patterns: int = setting(512, "patterns: dimension", minimum=8, maximum=16384)
    span: float = setting(0.21, "patterns: length of one", unit="s", minimum=0.05, maximum=1)
    moments: int = setting(20, "course: that every utterance is stretched to", minimum=2, maximum=500)
    cepstra: int = setting(13, "coefficients a moment, the loudness among them", minimum=2, maximum=26)
    bands: int = setting(26, "mel bands", minimum=26, maximum=256)
    low: float = setting(100.0, "lowest pitch", unit="Hz", minimum=1, maximum=2000)
    high: float = setting(
        3800.0, "highest pitch; sound sampled too slowly for it is refused", unit="Hz", minimum=2500, maximum=12000
    )
    frame: float = setting(0.025, "length of one spectrum", unit="s", minimum=0.005, maximum=0.2)
    hop: float = setting(0.010, "from one spectrum to the next", unit="s", minimum=0.002, maximum=0.1)
    silence: float = setting(
        30.0, "below the loudest moment is silence, cut off at both ends", unit="dB", minimum=3, maximum=100
    )
    shortest: float = setting(0.15, "an utterance; less is a click", unit="s", minimum=0.05, maximum=10)
    longest: float = setting(10.0, "an utterance; a stream is cut there", unit="s", minimum=0.5, maximum=60)
    rise: float = setting(12.0, "above the quiet of the room somebody speaks", unit="dB", minimum=3, maximum=60)
    pause: float = setting(0.6, "of quiet ends an utterance", unit="s", minimum=0.05, maximum=5)


class SpeechEncoder:
    """512 dimensions. Cost: 10 ms a sentence, 2 ms a word. Invariant to: loudness, sample rate, a filter that does not
    change, and `course` to speed; to the speaker only as far as the voices' cepstra differ by a constant."""

    plug: ClassVar[str] = "speech"
    modality: ClassVar[str] = "speech"
    accepts: ClassVar[str] = "sound"
    # Not the microphone that hears places: a command is meant for somebody.
    topic: ClassVar[str] = "speech/audio"
    keeps: ClassVar[int] = 100
    revision: ClassVar[int] = 1
    Config: ClassVar[type[SpeechConfig]] = SpeechConfig

    def __init__(self, config: SpeechConfig = SpeechConfig()) -> None:
        from scipy import fft, signal

        self.config = config
        self._dct, self._resample = fft.dct, signal.resample_poly
        self.rate = round(config.high / 0.475)  # all sound is brought to it: 8000 Hz
        self._length, self._hop = max(8, round(config.frame * self.rate)), max(1, round(config.hop * self.rate))
        self._bank = filters(config.low, config.high, config.bands, self._length, self.rate)
        self._span = max(RIPPLES, round(config.span / config.hop))
        random = np.random.default_rng(0)
        self._directions = random.normal(0, 1 / WIDTH, (RIPPLES * config.cepstra, config.patterns))
        self._phases = random.uniform(0, 2 * np.pi, config.patterns)
        self._utterances = Utterances(config)

    @property
    def dimension(self) -> int:
        config = self.config
        return config.patterns if config.descriptor == "patterns" else config.moments * config.cepstra * 2

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.plug, self.revision, self.config)

    def gather(self, sample: Sound, stamp_ns: int) -> Sound | None:
        """Append the chunk that ended at `stamp_ns`; return an utterance once it is over, None until then."""
        return self._utterances.hear(sample, stamp_ns)

    def encode(self, sample: Sound) -> Array:
        """Return (dimension,) for one utterance, mono, at any rate that carries the highest pitch."""
        self._check(sample)
        cepstra = self._normalised(self._cepstra(self._spoken(self._resampled(sample))))
        if not cepstra.any():
            raise _unusable("it is the same from its beginning to its end")
        described = self._patterns(cepstra) if self.config.descriptor == "patterns" else self._course(cepstra)
        return unit(described.astype(np.float32))

    def _patterns(self, cepstra: Float64) -> Float64:
        """Return the mean over all spans of cepstra (frames, cepstra) of what each random cosine makes of them."""
        around = (self._span // 2, self._span - 1 - self._span // 2)
        padded = np.pad(cepstra, (around, (0, 0)), mode="edge")
        spans = np.lib.stride_tricks.sliding_window_view(padded, self._span, axis=0)  # (frames, cepstra, span)
        ripples = self._dct(spans, type=2, norm="ortho", axis=2)[..., :RIPPLES] / np.sqrt(self._span)
        return np.asarray(np.cos(ripples.reshape(len(ripples), -1) @ self._directions + self._phases).mean(axis=0))

    def _course(self, cepstra: Float64) -> Float64:
        """Return cepstra (frames, cepstra) and their slopes at `moments` equally far apart, one after the other."""
        padded = np.pad(cepstra, ((2, 2), (0, 0)), mode="edge")
        slopes = np.lib.stride_tricks.sliding_window_view(padded, len(SLOPE), axis=0) @ SLOPE
        both = np.hstack([cepstra, self._normalised(slopes)])
        at = np.linspace(0, len(both) - 1, self.config.moments)
        return np.stack([np.interp(at, np.arange(len(both)), column) for column in both.T], axis=1).ravel()

    def _resampled(self, sample: Sound) -> Float64:
        ratio = Fraction(self.rate, sample.rate).limit_denominator(1000)
        return np.asarray(self._resample(sample.samples.astype(np.float64), ratio.numerator, ratio.denominator))

    def _spoken(self, x: Float64) -> Float64:
        """Return the power spectra (frames, bins) from the first to the last that is not silence."""
        x = x[1:] - EMPHASIS * x[:-1]
        x = np.pad(x, (0, max(0, self._length - len(x))))
        frames = np.lib.stride_tricks.sliding_window_view(x, self._length)[:: self._hop]
        power = np.abs(np.fft.rfft(frames * np.hamming(self._length), axis=1)) ** 2
        level = power.sum(axis=1)
        (loud,) = np.nonzero(level > level.max() * 10 ** (-self.config.silence / 10))
        if len(loud) == 0 or (loud[-1] - loud[0]) * self.config.hop + self.config.frame < self.config.shortest:
            raise _unusable(f"less than {self.config.shortest:g} s of it is louder than silence")
        return np.asarray(power[loud[0] : loud[-1] + 1])

    def _cepstra(self, power: Float64) -> Float64:
        """Return (frames, cepstra): the loudness first, then ever finer ripples of the spectrum's shape."""
        bands = power @ self._bank.T
        logarithm = np.log(bands / bands.max() + FLOOR)
        return np.asarray(self._dct(logarithm, type=2, norm="ortho", axis=1)[:, : self.config.cepstra])

    @staticmethod
    def _normalised(x: Float64) -> Float64:
        spread = x.std(axis=0)
        return np.asarray((x - x.mean(axis=0)) / np.where(spread > UNCHANGED, spread, np.inf))

    def _check(self, sample: Sound) -> None:
        why = ""
        if sample.rate < 2 * self.config.high:
            why = f"{sample.rate} Hz cannot carry the {self.config.high:g} Hz that words are told by"
        elif len(sample.samples) < self.config.shortest * sample.rate:
            why = f"{len(sample.samples) / sample.rate:.2g} s is too short for a word"
        elif not np.isfinite(sample.samples).all():
            why = "a sample is not finite"
        elif float(np.abs(sample.samples).max()) < 1e-6:
            why = "it is digital silence"
        if why:
            raise _unusable(why)


class Utterances:
    """Cuts a stream of sound where somebody stopped speaking."""

    _heard: Array

    def __init__(self, config: SpeechConfig) -> None:
        self.config, self._stream = config, Continuity()
        self._begin(0)

    def hear(self, sample: Sound, stamp_ns: int) -> Sound | None:
        """Append the chunk that ended at `stamp_ns`; return an utterance once it is over, None until then."""
        if not self._stream.goes_on(sample, stamp_ns):
            self._begin(sample.rate)
        self._heard = np.concatenate([self._heard, sample.samples])
        return self._cut(self._power())

    def _begin(self, rate: int) -> None:
        self._rate, self._block = rate, max(1, round(BLOCK * rate))
        self._heard = np.empty(0, np.float32)
        self._levels = np.empty(0)  # also of what is forgotten: how loud the room is by itself
        self._measured = 0  # blocks of what is heard that are among the levels

    def _power(self) -> Float64:
        """Return the mean power of every whole block heard (B,)."""
        whole = self._heard[: len(self._heard) // self._block * self._block]
        power = np.square(whole, dtype=np.float64).reshape(-1, self._block).mean(axis=1)
        self._levels = np.concatenate([self._levels, power[self._measured :]])[-int(ROOM / BLOCK) :]
        self._measured = len(power)
        return np.asarray(power)

    def _cut(self, power: Float64) -> Sound | None:
        """Return the first utterance that is over, and forget everything up to its end."""
        c, block = self.config, self._block
        pause, longest = (max(1, round(seconds * self._rate / block)) for seconds in (c.pause, c.longest))
        quiet = max(float(np.percentile(self._levels, QUIETEST)), 1e-10) if len(self._levels) else 0.0
        (loud,) = np.nonzero(power > quiet * 10 ** (c.rise / 10))
        if len(loud) == 0:
            self._forget(len(power) - pause)
            return None
        ended = np.flatnonzero(np.diff(loud, append=len(power)) > pause)
        first, last = int(loud[0]), int(loud[ended[0]]) + 1 if len(ended) else len(power)
        if len(ended) == 0 and last - first < longest:
            return None
        last, margin = min(last, first + longest), round(BEFORE * self._rate)
        utterance = self._heard[max(0, first * block - margin) : last * block + margin].copy()
        self._forget(last)
        return Sound(utterance, self._rate) if (last - first) * block >= c.shortest * self._rate else None

    def _forget(self, blocks: int) -> None:
        self._heard = self._heard[max(0, blocks) * self._block :]
        self._measured -= max(0, blocks)


def _unusable(why: str) -> Any2AnyError:
    return Any2AnyError("Cannot use an utterance", why, "Speak a word, nearer to the microphone")
