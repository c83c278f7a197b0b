"""Sound without weights: which pitches a place hums with, and how unsteady each of them is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from any2any_ros.arrays import Array
from any2any_ros.config import Settings, setting
from any2any_ros.encoders._fingerprint import fingerprint, unit
from any2any_ros.encoders._mel import filters
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import Sound
from any2any_ros.sounds import Window

FLOOR = 1e-10  # power below which all is silence


@dataclass(frozen=True)
class AudioConfig(Settings):
    """Settings of the sound descriptor."""

    window: float = setting(1.0, "of sound heard at once", unit="s", minimum=0.1, maximum=60)
    shortest: float = setting(0.5, "no answer from less sound than this", unit="s", minimum=0.05, maximum=60)
    bands: int = setting(40, "mel bands", minimum=4, maximum=256)
    low: float = setting(60.0, "lowest pitch", unit="Hz", minimum=1, maximum=20000)
    high: float = setting(
        3800.0, "highest pitch; sound sampled too slowly for it is refused", unit="Hz", minimum=100, maximum=24000
    )
    frame: float = setting(0.064, "length of one spectrum", unit="s", minimum=0.005, maximum=1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.shortest > self.window or self.low >= self.high:
            raise Any2AnyError(
                "The settings of the sound descriptor leave nothing to hear",
                f"shortest {self.shortest:g} s, window {self.window:g} s, low {self.low:g} Hz, high {self.high:g} Hz",
                "Give shortest <= window and low < high",
            )


class AudioEncoder:
    """Cost: about 1 ms for 2 s. Invariant to: loudness and sample rate; keeps the last `window` of a stream."""

    plug: ClassVar[str] = "audio"
    modality: ClassVar[str] = "audio"
    accepts: ClassVar[str] = "sound"
    topic: ClassVar[str] = "microphone/audio"
    keeps: ClassVar[int] = 50
    revision: ClassVar[int] = 1
    Config: ClassVar[type[AudioConfig]] = AudioConfig

    def __init__(self, config: AudioConfig = AudioConfig()) -> None:
        self.config = config
        self._banks: dict[int, NDArray[np.float64]] = {}
        self._window = Window(config.window, config.shortest)

    @property
    def dimension(self) -> int:
        return 2 * self.config.bands

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.plug, self.revision, self.config)

    def gather(self, sample: Sound, stamp_ns: int) -> Sound | None:
        """Append the chunk that ended at `stamp_ns`; return the last `window` of it, None while too short."""
        return self._window.hear(sample, stamp_ns)

    def encode(self, sample: Sound) -> Array:
        """Return (dimension,) for mono sound at any rate that carries the highest pitch."""
        self._check(sample)
        power = self._spectra(sample)
        loudness = np.log(power @ self._bank(sample.rate).T + FLOOR)  # (frames, bands)
        level = loudness.mean(axis=0)
        unrest = loudness.std(axis=0)
        described = np.concatenate([unit(self._centred(level)), unit(self._centred(unrest)) / 2])
        if not described.any():
            raise _unusable("it is the same at every pitch")
        return unit(described)

    @staticmethod
    def _centred(values: NDArray[np.float64]) -> Array:
        return np.asarray(values - values.mean(), dtype=np.float32)

    def _spectra(self, sample: Sound) -> NDArray[np.float64]:
        """Return the power spectra (frames, bins) of half-overlapping frames."""
        length = self._frame_length(sample.rate)
        x = np.pad(sample.samples.astype(np.float64), (0, max(0, length - len(sample.samples))))
        frames = np.lib.stride_tricks.sliding_window_view(x, length)[:: length // 2]
        return np.asarray(np.abs(np.fft.rfft(frames * np.hanning(length), axis=1)) ** 2 / length)

    def _frame_length(self, rate: int) -> int:
        return max(8, int(self.config.frame * rate))

    def _bank(self, rate: int) -> NDArray[np.float64]:
        """Return triangular mel filters (bands, bins), each of unit area."""
        if rate not in self._banks:
            low, high, bands = self.config.low, self.config.high, self.config.bands
            self._banks[rate] = filters(low, high, bands, self._frame_length(rate), rate)
        return self._banks[rate]

    def _check(self, sample: Sound) -> None:
        why = ""
        if sample.rate < 2 * self.config.high:
            why = f"{sample.rate} Hz cannot carry the {self.config.high:g} Hz that the map listens to"
        elif len(sample.samples) == 0:
            why = "it is empty"
        elif not np.isfinite(sample.samples).all():
            why = "a sample is not finite"
        elif float(np.abs(sample.samples).max()) < 1e-6:
            why = "it is digital silence"
        if why:
            raise _unusable(why)


def _unusable(why: str) -> Any2AnyError:
    return Any2AnyError("Cannot use a piece of sound", why, "Check the microphone and its driver")
