"""The sound of a place by CLAP with weights on the disk (Elizalde et al. 2022; Wu et al. 2023).

    any2any build-map DRIVE MAP --encoder audio=clap --set audio.model=FOLDER

Text embeddings of `language` with the same weights can query such a map. transformers computes the spectrograms, also
where an exported graph runs the network.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from any2any_ros.config import setting
from any2any_ros.encoders.networks.encoder import NetworkEncoder
from any2any_ros.encoders.networks.huggingface import load, load_part, sound_module
from any2any_ros.encoders.networks.settings import NetworkConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import Sound
from any2any_ros.sounds import Window, resampled


@dataclass(frozen=True)
class ClapConfig(NetworkConfig):
    """Settings of CLAP."""

    window: float = setting(4.0, "length of sound in one embedding", unit="s", minimum=0.5, maximum=10)
    shortest: float = setting(
        1.0, "length of sound below which there is no embedding", unit="s", minimum=0.1, maximum=10
    )


class ClapEncoder(NetworkEncoder):
    """The network's embedding of the last few seconds of sound. Cost: the network's, and 20 ms for the spectrogram."""

    plug = "clap"
    modality = "audio"
    accepts = "sound"
    topic = "microphone/audio"
    keeps = 50
    Config = ClapConfig
    families = ("clap",)
    joint = ("clap",)
    free_axes: ClassVar = {"sound": (0,)}

    def __init__(self, config: ClapConfig = ClapConfig()) -> None:
        self._window = Window(config.window, config.shortest)
        super().__init__(config)

    @cached_property
    def spectrogram(self) -> Any:
        """The feature extractor that computes the network's spectrograms."""
        return load("ClapFeatureExtractor", self.weights.folder)

    def gather(self, sample: Sound, stamp_ns: int) -> Sound | None:
        """Append the chunk that ended at `stamp_ns`; return the last `window` of sound, None while it is too short."""
        return self._window.hear(sample, stamp_ns)

    def module(self) -> Any:
        model = load_part("ClapAudioModelWithProjection", self.weights)
        return sound_module(model, lambda out: out.audio_embeds, "input_features")

    def inputs(self, batch: Sequence[Sound]) -> dict[str, Any]:
        """Return log mel spectrograms: sound (N, 1, T, bands) float32.

        Raises Any2AnyError when a piece of sound is empty, silent or not finite.
        """
        rate = int(self.spectrogram.sampling_rate)
        waves = [resampled(sample.samples, sample.rate, rate) for sample in batch]
        if not all(len(x) and np.isfinite(x).all() and x.any() for x in waves):
            raise Any2AnyError(
                "Cannot use a piece of sound",
                "it is empty, silent or not finite",
                "Check the microphone and its driver",
            )
        features = self.spectrogram(waves, sampling_rate=rate, truncation="rand_trunc", return_tensors="np")
        return {"sound": np.asarray(features["input_features"], dtype=np.float32)}
