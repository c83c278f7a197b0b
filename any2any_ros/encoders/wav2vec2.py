"""LevelEndpointer by wav2vec 2, HuBERT or WavLM with weights on the disk (Baevski et al. 2020), as EMMA uses them.

    any2any train emma GOLD MODEL --encoder speech=wav2vec2 --set speech.model=FOLDER

The embedding is the mean over time of the last four layers, concatenated: 3072 dimensions for a base model.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from any2any_ros.arrays import Array
from any2any_ros.encoders import speech
from any2any_ros.encoders.networks.encoder import NetworkEncoder
from any2any_ros.encoders.networks.huggingface import last_layers, load_part, sound_module
from any2any_ros.encoders.networks.preprocessing import PREPROCESSOR
from any2any_ros.encoders.networks.settings import NetworkConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import Sound
from any2any_ros.sounds import resampled

RATE = 16000  # Hz, of the sound that all of these networks were trained on
SHORTEST = 0.1  # s; less is no word, and the first layers of the network need that much


class Wav2Vec2Encoder(NetworkEncoder):
    """The network's embedding of an utterance. Cost: the network's."""

    plug = "wav2vec2"
    modality = "speech"
    accepts = "sound"
    topic = "speech/audio"
    keeps = 100
    families = ("wav2vec2", "hubert", "wavlm")
    free_axes: ClassVar = {"sound": (1,)}

    def __init__(self, config: NetworkConfig = NetworkConfig()) -> None:
        self._utterances = speech.LevelEndpointer(speech.SpeechConfig())
        super().__init__(config)

    @cached_property
    def normalised(self) -> bool:
        """Whether the network was trained on sound of mean 0 and variance 1."""
        return bool(self.weights.read(PREPROCESSOR).get("do_normalize", True))

    def gather(self, sample: Sound, stamp_ns: int) -> Sound | None:
        """Append the chunk that ended at `stamp_ns`; return an utterance when one has ended, else None."""
        return self._utterances.hear(sample, stamp_ns)

    def module(self) -> Any:
        model = load_part("AutoModel", self.weights)
        return sound_module(model, lambda out: last_layers(out).mean(1), "input_values", output_hidden_states=True)

    def encode_batch(self, batch: Sequence[Sound]) -> Array:
        """Return (N, dimension). LevelEndpointer pass one by one, because padding would change their embeddings."""
        return np.concatenate([super(Wav2Vec2Encoder, self).encode_batch([sample]) for sample in batch])

    def inputs(self, batch: Sequence[Sound]) -> dict[str, Any]:
        """Return sound (1, S) float32 at 16 kHz. Raises Any2AnyError when it is too short, silent or not finite."""
        (sample,) = batch
        x = resampled(sample.samples, sample.rate, RATE)
        if len(x) < SHORTEST * RATE or not np.isfinite(x).all() or not x.any():
            raise Any2AnyError(
                "Cannot use an utterance",
                "it is too short, silent or not finite",
                "Check the microphone and its driver",
            )
        if self.normalised:
            x = (x - x.mean()) / np.sqrt(x.var() + 1e-7)
        return {"sound": x[None].astype(np.float32)}
