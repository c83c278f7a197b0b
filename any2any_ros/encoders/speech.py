"""An utterance without weights: which patterns of sound it contains, or how its sound develops over time.

Both descriptors start from mel cepstra whose mean and spread over the utterance are removed, because these belong to
the speaker's voice, the room and the microphone.
patterns: every fifth of a second passes through the same random cosines, and the mean over the utterance tells which
sounds occur, but not when. So a sentence contains a word wherever the word stands (random features: Rahimi & Recht
2007).
course: cepstra and their slopes at a fixed number of moments; it tells single words apart.
Either needs heads to be compared with anything but another utterance (docs/emma.md). The transcript of a recogniser,
encoded as text, works better.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from any2any_ros.arrays import Array, Float64
from any2any_ros.config import Settings, setting
from any2any_ros.encoders._base import BaseEncoder, unit_vector
from any2any_ros.encoders._mel import filters
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import Sound
from any2any_ros.sounds import Continuity

EMPHASIS = 0.97  # pre-emphasis: high frequencies are weaker in a voice, and matter as much
FLOOR = 1e-6  # of the loudest band; what is quieter counts as silence
CONSTANT = 0.1  # spread of a log cepstrum below which it counts as constant
SLOPE = np.array([-2.0, -1.0, 0.0, 1.0, 2.0]) / 10  # least-squares slope over five frames
RIPPLES = 5  # cosine coefficients of a pattern along time
WIDTH = 2.0  # distance at which two patterns still count as similar
BLOCK = 0.02  # s of a stream that are loud or quiet as a whole
MARGIN = 0.1  # s of sound kept before and after an utterance
ROOM = 30.0  # s of levels that are remembered, to know how loud the room is
QUIET = 10  # percentile of these levels that is the level of the quiet room


@dataclass(frozen=True)
class SpeechConfig(Settings):
    """Settings of the speech descriptor."""

    descriptor: str = setting("patterns", "kind of descriptor", choices=("patterns", "course"))
    patterns: int = setting(512, "patterns: dimensions of the embedding", minimum=8, maximum=16384)
    span: float = setting(0.21, "patterns: length of one pattern", unit="s", minimum=0.05, maximum=1)
    moments: int = setting(20, "course: number of moments in an utterance", minimum=2, maximum=500)
    cepstra: int = setting(13, "number of cepstral coefficients, loudness included", minimum=2, maximum=26)
    bands: int = setting(26, "number of mel bands", minimum=26, maximum=256)
    low: float = setting(100.0, "lowest frequency", unit="Hz", minimum=1, maximum=2000)
    high: float = setting(
        3800.0,
        "highest frequency; sound whose sample rate is too low for it is refused",
        unit="Hz",
        minimum=2500,
        maximum=12000,
    )
    frame: float = setting(0.025, "length of the frame of one spectrum", unit="s", minimum=0.005, maximum=0.2)
    hop: float = setting(0.010, "time from one frame to the next", unit="s", minimum=0.002, maximum=0.1)
    silence: float = setting(
        30.0,
        "level below the loudest frame at which a frame is silent; silent ends of an utterance are cut off",
        unit="dB",
        minimum=3,
        maximum=100,
    )
    shortest: float = setting(
        0.15, "length of sound below which it is no utterance", unit="s", minimum=0.05, maximum=10
    )
    longest: float = setting(10.0, "length at which an utterance in a stream is cut", unit="s", minimum=0.5, maximum=60)
    rise: float = setting(
        12.0, "level above the quiet room at which a stream contains speech", unit="dB", minimum=3, maximum=60
    )
    pause: float = setting(0.6, "length of quiet that ends an utterance", unit="s", minimum=0.05, maximum=5)


class SpeechEncoder(BaseEncoder[SpeechConfig]):
    """512 dimensions. Cost: 10 ms for a sentence, 2 ms for a word.

    Invariant to loudness, sample rate and a constant filter; `course` also to speed. Invariant to the speaker only as
    far as the cepstra of two voices differ by a constant.
    """

    plug = "speech"
    modality = "speech"
    accepts = "sound"
    topic = "speech/audio"  # not microphone/audio, which records the sound of places
    keeps = 100
    Config = SpeechConfig

    def __init__(self, config: SpeechConfig = SpeechConfig()) -> None:
        from scipy import fft, signal

        super().__init__(config)
        self._dct, self._resample = fft.dct, signal.resample_poly
        self.rate = round(config.high / 0.475)  # Hz that all sound is resampled to: 8000
        self._length, self._hop = max(8, round(config.frame * self.rate)), max(1, round(config.hop * self.rate))
        self._bank = filters(config.low, config.high, config.bands, self._length, self.rate)
        self._span = max(RIPPLES, round(config.span / config.hop))
        rng = np.random.default_rng(0)
        self._directions = rng.normal(0, 1 / WIDTH, (RIPPLES * config.cepstra, config.patterns))
        self._phases = rng.uniform(0, 2 * np.pi, config.patterns)
        self._utterances = LevelEndpointer(config)

    @property
    def dimension(self) -> int:
        config = self.config
        return config.patterns if config.descriptor == "patterns" else config.moments * config.cepstra * 2

    def gather(self, sample: Sound, stamp_ns: int) -> Sound | None:
        """Append the chunk that ended at `stamp_ns`; return an utterance when one has ended, else None."""
        return self._utterances.hear(sample, stamp_ns)

    def encode(self, sample: Sound) -> Array:
        """Return (dimension,) for one utterance, mono.

        Raises Any2AnyError when it is too short, silent, constant, not finite or sampled too slowly.
        """
        self._check(sample)
        cepstra = _normalised(self._cepstra(self._spoken(self._resampled(sample))))
        if not cepstra.any():
            raise _unusable("its sound does not change from beginning to end")
        descriptor = self._patterns(cepstra) if self.config.descriptor == "patterns" else self._course(cepstra)
        return unit_vector(descriptor.astype(np.float32))

    def _patterns(self, cepstra: Float64) -> Float64:
        """Return the mean of the random cosines (patterns,) over all spans of cepstra (frames, cepstra)."""
        around = (self._span // 2, self._span - 1 - self._span // 2)
        padded = np.pad(cepstra, (around, (0, 0)), mode="edge")
        spans = np.lib.stride_tricks.sliding_window_view(padded, self._span, axis=0)  # (frames, cepstra, span)
        ripples = self._dct(spans, type=2, norm="ortho", axis=2)[..., :RIPPLES] / np.sqrt(self._span)
        return np.asarray(np.cos(ripples.reshape(len(ripples), -1) @ self._directions + self._phases).mean(axis=0))

    def _course(self, cepstra: Float64) -> Float64:
        """Return cepstra (frames, cepstra) and their slopes at `moments` evenly spaced moments, concatenated."""
        padded = np.pad(cepstra, ((2, 2), (0, 0)), mode="edge")
        slopes = np.lib.stride_tricks.sliding_window_view(padded, len(SLOPE), axis=0) @ SLOPE
        both = np.hstack([cepstra, _normalised(slopes)])
        at = np.linspace(0, len(both) - 1, self.config.moments)
        return np.stack([np.interp(at, np.arange(len(both)), column) for column in both.T], axis=1).ravel()

    def _resampled(self, sample: Sound) -> Float64:
        ratio = Fraction(self.rate, sample.rate).limit_denominator(1000)
        return np.asarray(self._resample(sample.samples.astype(np.float64), ratio.numerator, ratio.denominator))

    def _spoken(self, x: Float64) -> Float64:
        """Return the power spectra (frames, bins) from the first frame that is not silent to the last one."""
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

    def _check(self, sample: Sound) -> None:
        why = ""
        if sample.rate < 2 * self.config.high:
            why = f"its sample rate of {sample.rate} Hz is too low for the highest frequency, {self.config.high:g} Hz"
        elif len(sample.samples) < self.config.shortest * sample.rate:
            why = f"{len(sample.samples) / sample.rate:.2g} s is too short for a word"
        elif not np.isfinite(sample.samples).all():
            why = "a sample is not finite"
        elif float(np.abs(sample.samples).max()) < 1e-6:
            why = "it is digital silence"
        if why:
            raise _unusable(why)


class LevelEndpointer:
    """Cuts a stream of sound into utterances by its level: a pause ends an utterance."""

    _sound: Array  # that was not cut yet

    def __init__(self, config: SpeechConfig) -> None:
        self.config, self._stream = config, Continuity()
        self._begin(0)

    def hear(self, sample: Sound, stamp_ns: int) -> Sound | None:
        """Append the chunk that ended at `stamp_ns`; return an utterance when one has ended, else None."""
        if not self._stream.goes_on(sample, stamp_ns):
            self._begin(sample.rate)
        self._sound = np.concatenate([self._sound, sample.samples])
        return self._cut(self._power())

    def _begin(self, rate: int) -> None:
        self._rate, self._block = rate, max(1, round(BLOCK * rate))
        self._sound = np.empty(0, np.float32)
        self._levels = np.empty(0)  # power of the last ROOM seconds of blocks, also of those that were forgotten
        self._measured = 0  # blocks of `_sound` whose power is among the levels

    def _power(self) -> Float64:
        """Return the mean power of every whole block of the sound (B,)."""
        whole = self._sound[: len(self._sound) // self._block * self._block]
        power = np.square(whole, dtype=np.float64).reshape(-1, self._block).mean(axis=1)
        self._levels = np.concatenate([self._levels, power[self._measured :]])[-int(ROOM / BLOCK) :]
        self._measured = len(power)
        return np.asarray(power)

    def _cut(self, power: Float64) -> Sound | None:
        """Return the first utterance that has ended, and forget the sound up to its end."""
        c, block = self.config, self._block
        pause, longest = (max(1, round(seconds * self._rate / block)) for seconds in (c.pause, c.longest))
        (loud,) = np.nonzero(power > self._quiet() * 10 ** (c.rise / 10))
        if len(loud) == 0:
            self._forget(len(power) - pause)
            return None
        ended = np.flatnonzero(np.diff(loud, append=len(power)) > pause)
        first, last = int(loud[0]), int(loud[ended[0]]) + 1 if len(ended) else len(power)
        if len(ended) == 0 and last - first < longest:
            return None
        last, margin = min(last, first + longest), round(MARGIN * self._rate)
        utterance = self._sound[max(0, first * block - margin) : last * block + margin].copy()
        self._forget(last)
        return Sound(utterance, self._rate) if (last - first) * block >= c.shortest * self._rate else None

    def _quiet(self) -> float:
        """Return the power of the quiet room."""
        return max(float(np.percentile(self._levels, QUIET)), 1e-10) if len(self._levels) else 0.0

    def _forget(self, blocks: int) -> None:
        self._sound = self._sound[max(0, blocks) * self._block :]
        self._measured -= max(0, blocks)


def _normalised(x: Float64) -> Float64:
    """Return the columns of x (frames, D) with mean 0 and standard deviation 1; constant columns become 0."""
    spread = x.std(axis=0)
    return np.asarray((x - x.mean(axis=0)) / np.where(spread > CONSTANT, spread, np.inf))


def _unusable(why: str) -> Any2AnyError:
    return Any2AnyError("Cannot use an utterance", why, "Speak a word, nearer to the microphone")
