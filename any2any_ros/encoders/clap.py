"""The sound of a place by CLAP from the disk (Elizalde et al. 2022; Wu et al. 2023): asked for in words by `language`.

    any2any build-map DRIVE MAP --encoder audio=clap --set audio.model=FOLDER

Its spectrograms are made by transformers, also where an exported graph runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from any2any_ros.config import setting
from any2any_ros.encoders._network import NetworkConfig, NetworkEncoder
from any2any_ros.encoders._transformers import part, sounds, transformer
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import Sound
from any2any_ros.sounds import Window, resampled


@dataclass(frozen=True)
class ClapConfig(NetworkConfig):
    """Settings of CLAP."""

    window: float = setting(4.0, "of sound heard at once", unit="s", minimum=0.5, maximum=10)
    shortest: float = setting(1.0, "no answer from less sound than this", unit="s", minimum=0.1, maximum=10)


class ClapEncoder(NetworkEncoder):
    """The network's vector of the last few seconds of sound. Cost: the network's, and 20 ms for the spectrogram."""

    plug: ClassVar[str] = "clap"
    modality: ClassVar[str] = "audio"
    accepts: ClassVar[str] = "sound"
    topic: ClassVar[str] = "microphone/audio"
    keeps: ClassVar[int] = 50
    Config: ClassVar[type[ClapConfig]] = ClapConfig
    families: ClassVar[tuple[str, ...]] = ("clap",)
    free: ClassVar[dict[str, tuple[int, ...]]] = {"sound": (0,)}
    joint: ClassVar[tuple[str, ...]] = ("clap",)

    def __init__(self, config: ClapConfig = ClapConfig()) -> None:
        self._window = Window(config.window, config.shortest)
        super().__init__(config)

    @cached_property
    def spectrogram(self) -> Any:
        """What turns sound into the network's picture of it."""
        return transformer("ClapFeatureExtractor", self.weights.folder)

    def gather(self, sample: Sound, stamp_ns: int) -> Sound | None:
        """Append the chunk that ended at `stamp_ns`; return the last `window` of it, None while too short."""
        return self._window.hear(sample, stamp_ns)

    def module(self) -> Any:
        model = part("ClapAudioModelWithProjection", self.weights)
        return sounds(model, lambda out: out.audio_embeds, "input_features")

    def inputs(self, given: Sequence[Sound]) -> dict[str, Any]:
        """Return sound (N, 1, T, bands) float32: log mel spectrograms."""
        rate = int(self.spectrogram.sampling_rate)
        waves = [resampled(one.samples, one.rate, rate) for one in given]
        if not all(len(x) and np.isfinite(x).all() and x.any() for x in waves):
            raise Any2AnyError(
                "Cannot use a piece of sound",
                "it is empty, silent or not finite",
                "Check the microphone and its driver",
            )
        made = self.spectrogram(waves, sampling_rate=rate, truncation="rand_trunc", return_tensors="np")
        return {"sound": np.asarray(made["input_features"], dtype=np.float32)}
