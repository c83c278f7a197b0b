"""The sound of a place without weights: how loud each frequency band is, and how much its loudness varies."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from any2any_ros.arrays import Array, Float64
from any2any_ros.config import Settings, setting
from any2any_ros.encoders._base import BaseEncoder, unit_vector
from any2any_ros.encoders._mel import filters
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import Sound
from any2any_ros.sounds import Window

FLOOR = 1e-10  # power that is added to every band, so that the logarithm of silence exists


@dataclass(frozen=True)
class AudioConfig(Settings):
    """Settings of the sound descriptor."""

    window: float = setting(1.0, "length of sound in one embedding", unit="s", minimum=0.1, maximum=60)
    shortest: float = setting(
        0.5, "length of sound below which there is no embedding", unit="s", minimum=0.05, maximum=60
    )
    bands: int = setting(40, "number of mel bands", minimum=4, maximum=256)
    low: float = setting(60.0, "lowest frequency", unit="Hz", minimum=1, maximum=20000)
    high: float = setting(
        3800.0,
        "highest frequency; sound whose sample rate is too low for it is refused",
        unit="Hz",
        minimum=100,
        maximum=24000,
    )
    frame: float = setting(0.064, "length of the frame of one spectrum", unit="s", minimum=0.005, maximum=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shortest > self.window or self.low >= self.high:
            raise Any2AnyError(
                "The settings of the sound descriptor leave nothing to encode",
                f"shortest {self.shortest:g} s, window {self.window:g} s, low {self.low:g} Hz, high {self.high:g} Hz",
                "Give shortest <= window and low < high",
            )


class AudioEncoder(BaseEncoder[AudioConfig]):
    """Cost: about 1 ms for 2 s. Invariant to loudness and sample rate. Keeps the last `window` of a stream."""

    plug = "audio"
    modality = "audio"
    accepts = "sound"
    topic = "microphone/audio"
    keeps = 50
    Config = AudioConfig

    def __init__(self, config: AudioConfig = AudioConfig()) -> None:
        super().__init__(config)
        self._banks: dict[int, Float64] = {}  # mel filters by sample rate
        self._window = Window(config.window, config.shortest)

    @property
    def dimension(self) -> int:
        return 2 * self.config.bands

    def gather(self, sample: Sound, stamp_ns: int) -> Sound | None:
        """Append the chunk that ended at `stamp_ns`; return the last `window` of sound, None while it is too short."""
        return self._window.hear(sample, stamp_ns)

    def encode(self, sample: Sound) -> Array:
        """Return (dimension,) for mono sound. Raises Any2AnyError when it is silent, not finite or sampled too slowly
        for the highest frequency."""
        self._check(sample)
        power = self._spectra(sample)
        loudness = np.log(power @ self._bank(sample.rate).T + FLOOR)  # (frames, bands)
        level = unit_vector(_centred(loudness.mean(axis=0)))
        variation = unit_vector(_centred(loudness.std(axis=0)))
        descriptor = np.concatenate([level, variation / 2])
        if not descriptor.any():
            raise _unusable("it is equally loud in every frequency band")
        return unit_vector(descriptor)

    def _spectra(self, sample: Sound) -> Float64:
        """Return the power spectra (frames, bins) of half-overlapping frames."""
        length = self._frame_length(sample.rate)
        x = np.pad(sample.samples.astype(np.float64), (0, max(0, length - len(sample.samples))))
        frames = np.lib.stride_tricks.sliding_window_view(x, length)[:: length // 2]
        return np.asarray(np.abs(np.fft.rfft(frames * np.hanning(length), axis=1)) ** 2 / length)

    def _frame_length(self, rate: int) -> int:
        return max(8, int(self.config.frame * rate))

    def _bank(self, rate: int) -> Float64:
        """Return the mel filters (bands, bins) for a sample rate."""
        if rate not in self._banks:
            low, high, bands = self.config.low, self.config.high, self.config.bands
            self._banks[rate] = filters(low, high, bands, self._frame_length(rate), rate)
        return self._banks[rate]

    def _check(self, sample: Sound) -> None:
        why = ""
        if sample.rate < 2 * self.config.high:
            why = f"its sample rate of {sample.rate} Hz is too low for the highest frequency, {self.config.high:g} Hz"
        elif len(sample.samples) == 0:
            why = "it is empty"
        elif not np.isfinite(sample.samples).all():
            why = "a sample is not finite"
        elif float(np.abs(sample.samples).max()) < 1e-6:
            why = "it is digital silence"
        if why:
            raise _unusable(why)


def _centred(values: Float64) -> Array:
    return np.asarray(values - values.mean(), dtype=np.float32)


def _unusable(why: str) -> Any2AnyError:
    return Any2AnyError("Cannot use a piece of sound", why, "Check the microphone and its driver")
