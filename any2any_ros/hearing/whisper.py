"""Free speech by Whisper (Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision").

The weights come from a folder, or from the Hugging Face cache of this machine; nothing is ever downloaded here. To
fetch them where there is a network:

    hf download openai/whisper-base.en --local-dir whisper-base.en
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from pathlib import Path
from typing import Any, ClassVar

from any2any_ros.arrays import Float64
from any2any_ros.config import Settings, setting
from any2any_ros.errors import Any2AnyError
from any2any_ros.hearing._recording import RATE, prepared
from any2any_ros.samples import Sound, Transcript
from any2any_ros.threads import threads

NOTHING = ("<|nospeech|>", "<|nocaptions|>")  # the token that says so, in newer and in older vocabularies


@dataclass(frozen=True)
class WhisperConfig(Settings):
    """Settings of Whisper."""

    model: str = setting("openai/whisper-base.en", "folder of the weights, or their name in the Hugging Face cache")
    language: str = setting("en", "spoken, for a model of many languages")
    accept: float = setting(0.3, "words of less confidence are none", minimum=0, maximum=1)
    tokens: int = setting(60, "at most, in one transcript", minimum=1, maximum=440)
    threads: int = setting(1, "for one utterance", minimum=1, maximum=64)
    longest: float = setting(30.0, "a sound; what comes later is not listened to", unit="s", minimum=0.5, maximum=30)


class WhisperTranscriber:
    """Many languages, any words. Its confidence is the mean probability of a token, times that of speech at all."""

    plug: ClassVar[str] = "whisper"
    Config: ClassVar[type[WhisperConfig]] = WhisperConfig

    def __init__(self, config: WhisperConfig = WhisperConfig()) -> None:
        self.config = config
        self.remark = ""
        self._model, self._processor = _loaded(config.model)

    def transcribe(self, sound: Sound) -> Transcript:
        """Return the words in a sound of one channel and at least 8 kHz; "" when it is not sure of them."""
        import torch

        x, remark = prepared(sound, self.config.longest)
        with threads(self.config.threads), torch.inference_mode():
            text, confidence = self._heard(x)
        return Transcript(text if confidence >= self.config.accept else "", confidence, len(x) / RATE, remark)

    def _heard(self, x: Float64) -> tuple[str, float]:
        features = self._processor(x.astype("float32"), sampling_rate=RATE, return_tensors="pt").input_features
        speech = 1 - self._nothing(features)
        spoken = {"language": self.config.language, "task": "transcribe"} if self._many_languages else {}
        made = self._model.generate(
            features, max_new_tokens=self.config.tokens, num_beams=1, do_sample=False, return_dict_in_generate=True,
            output_scores=True, **spoken,
        )  # fmt: skip
        scores = self._model.compute_transition_scores(made.sequences, made.scores, normalize_logits=True)[0]
        text = self._processor.batch_decode(made.sequences, skip_special_tokens=True)[0].strip().lower()
        return text, speech * exp(float(scores.mean())) if text else 0.0

    @property
    def _many_languages(self) -> bool:
        return bool(getattr(self._model.generation_config, "is_multilingual", False))

    def _nothing(self, features: Any) -> float:
        """Return how probable it is that nobody speaks: what the first token would be."""
        import torch

        vocabulary = self._processor.tokenizer.get_vocab()
        token = next((vocabulary[name] for name in NOTHING if name in vocabulary), None)
        if token is None:
            return 0.0
        first = torch.tensor([[self._model.config.decoder_start_token_id]])
        return float(self._model(features, decoder_input_ids=first).logits[0, -1].softmax(-1)[token])


def _loaded(model: str) -> tuple[Any, Any]:
    """Return model and processor from this machine's disk."""
    try:
        from transformers import WhisperForConditionalGeneration, WhisperProcessor
    except ImportError as error:
        raise Any2AnyError("Whisper is not here", str(error), "pip install 'any2any_ros[pretrained]'") from error
    try:
        network = WhisperForConditionalGeneration.from_pretrained(model, local_files_only=True).eval()
        network.generation_config.max_length = None  # max_new_tokens says it
        return network, WhisperProcessor.from_pretrained(model, local_files_only=True)
    except (
        Exception
    ) as error:  # of transformers, the hub, safetensors or json: what is missing reads the same to a user
        raise Any2AnyError(
            "Whisper's weights are not here",
            f"{_looked_at(model)} has none that can be read ({type(error).__name__})",
            f"Where there is a network: hf download {_name(model)} --local-dir whisper; copy it, give model its path",
        ) from error


def _looked_at(model: str) -> Path:
    """Return the folder where the weights should have been."""
    if Path(model).exists() or model.startswith((".", "/", "~")):
        return Path(model).absolute()
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{model.replace('/', '--')}"


def _name(model: str) -> str:
    named = not Path(model).exists() and model.count("/") == 1 and not model.startswith((".", "/", "~"))
    return model if named else WhisperConfig().model
