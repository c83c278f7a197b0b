"""Utterances by wav2vec 2, HuBERT or WavLM from the disk (Baevski et al. 2020), as EMMA takes them.

    any2any train emma GOLD MODEL --encoder speech=wav2vec2 --set speech.model=FOLDER

The mean over time of the last four layers, side by side: 3072 numbers for a base model.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from any2any_ros.arrays import Array
from any2any_ros.encoders import speech
from any2any_ros.encoders._network import NetworkConfig, NetworkEncoder
from any2any_ros.encoders._pictures import PREPROCESSOR
from any2any_ros.encoders._transformers import last_layers, part, sounds
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples import Sound
from any2any_ros.sounds import resampled

RATE = 16000  # Hz, that all of these networks were trained on
SHORTEST = 0.1  # s: less is no word, and the network's first layers need that much


class Wav2Vec2Encoder(NetworkEncoder):
    """The network's vector of an utterance. Cost: the network's."""

    plug: ClassVar[str] = "wav2vec2"
    modality: ClassVar[str] = "speech"
    accepts: ClassVar[str] = "sound"
    topic: ClassVar[str] = "speech/audio"
    keeps: ClassVar[int] = 100
    free: ClassVar[dict[str, tuple[int, ...]]] = {"sound": (1,)}
    families: ClassVar[tuple[str, ...]] = ("wav2vec2", "hubert", "wavlm")

    def __init__(self, config: NetworkConfig = NetworkConfig()) -> None:
        self._utterances = speech.Utterances(speech.SpeechConfig())
        super().__init__(config)

    @cached_property
    def normalised(self) -> bool:
        """Whether the network was trained on sound of mean 0 and variance 1."""
        return bool(self.weights.read(PREPROCESSOR).get("do_normalize", True))

    def gather(self, sample: Sound, stamp_ns: int) -> Sound | None:
        """Append the chunk that ended at `stamp_ns`; return an utterance once it is over, None until then."""
        return self._utterances.hear(sample, stamp_ns)

    def module(self) -> Any:
        model = part("AutoModel", self.weights)
        return sounds(model, lambda out: last_layers(out).mean(1), "input_values", output_hidden_states=True)

    def encode_batch(self, given: Sequence[Sound]) -> Array:
        """Return (N, dimension); one by one, for what is padded to another's length would change."""
        return np.concatenate([super(Wav2Vec2Encoder, self).encode_batch([one]) for one in given])

    def inputs(self, given: Sequence[Sound]) -> dict[str, Any]:
        """Return sound (1, S) float32, 16 kHz."""
        (one,) = given
        x = resampled(one.samples, one.rate, RATE)
        if len(x) < SHORTEST * RATE or not np.isfinite(x).all() or not x.any():
            raise Any2AnyError(
                "Cannot use an utterance",
                "it is too short, silent or not finite",
                "Check the microphone and its driver",
            )
        if self.normalised:
            x = (x - x.mean()) / np.sqrt(x.var() + 1e-7)
        return {"sound": x[None].astype(np.float32)}
