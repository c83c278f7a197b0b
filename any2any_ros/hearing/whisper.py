"""Free speech by Whisper (Radford et al. 2022, "Robust Speech Recognition via Large-Scale Weak Supervision").

The weights come from a folder, or from the Hugging Face cache of this machine. Nothing is ever downloaded. To fetch
them on a machine that has a network:

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
from any2any_ros.hearing._utterance import RATE, prepare
from any2any_ros.samples import Sound, Transcript
from any2any_ros.threads import threads

NO_SPEECH = ("<|nospeech|>", "<|nocaptions|>")  # the token for it, in newer and in older vocabularies


@dataclass(frozen=True)
class WhisperConfig(Settings):
    """Settings of Whisper."""

    model: str = setting("openai/whisper-base.en", "folder of the weights, or their name in the Hugging Face cache")
    language: str = setting("en", "language that is spoken; only for a model of many languages")
    accept: float = setting(0.3, "smallest confidence of a transcript", minimum=0, maximum=1)
    tokens: int = setting(60, "largest number of tokens in a transcript", minimum=1, maximum=440)
    threads: int = setting(1, "number of CPU threads for one utterance", minimum=1, maximum=64)
    longest: float = setting(
        30.0, "longest sound that is transcribed; the rest is ignored", unit="s", minimum=0.5, maximum=30
    )


class WhisperTranscriber:
    """Many languages, any words. The confidence is the mean probability of a token times the probability of speech."""

    plug: ClassVar[str] = "whisper"
    Config: ClassVar[type[WhisperConfig]] = WhisperConfig

    def __init__(self, config: WhisperConfig = WhisperConfig()) -> None:
        self.config = config
        self.remark = ""
        self._model, self._processor = _load(config.model)

    def transcribe(self, sound: Sound) -> Transcript:
        """Return the words in a sound of one channel and at least 8 kHz; the text is "" when the confidence is too low.

        Raises Any2AnyError when the sound cannot be used.
        """
        import torch

        x, remark = prepare(sound, self.config.longest)
        with threads(self.config.threads), torch.inference_mode():
            text, confidence = self._decode(x)
        return Transcript(text if confidence >= self.config.accept else "", confidence, len(x) / RATE, remark)

    def _decode(self, x: Float64) -> tuple[str, float]:
        """Return the likeliest words in a sound (S,) at 16 kHz, and the confidence."""
        features = self._processor(x.astype("float32"), sampling_rate=RATE, return_tensors="pt").input_features
        speech = 1 - self._no_speech(features)
        options = {"language": self.config.language, "task": "transcribe"} if self._multilingual else {}
        out = self._model.generate(
            features, max_new_tokens=self.config.tokens, num_beams=1, do_sample=False, return_dict_in_generate=True,
            output_scores=True, **options,
        )  # fmt: skip
        scores = self._model.compute_transition_scores(out.sequences, out.scores, normalize_logits=True)[0]
        text = self._processor.batch_decode(out.sequences, skip_special_tokens=True)[0].strip().lower()
        return text, speech * exp(float(scores.mean())) if text else 0.0

    @property
    def _multilingual(self) -> bool:
        return bool(getattr(self._model.generation_config, "is_multilingual", False))

    def _no_speech(self, features: Any) -> float:
        """Return the probability that nobody speaks: that of the first token being the one for no speech."""
        import torch

        vocabulary = self._processor.tokenizer.get_vocab()
        token = next((vocabulary[name] for name in NO_SPEECH if name in vocabulary), None)
        if token is None:
            return 0.0
        first = torch.tensor([[self._model.config.decoder_start_token_id]])
        return float(self._model(features, decoder_input_ids=first).logits[0, -1].softmax(-1)[token])


def _load(model: str) -> tuple[Any, Any]:
    """Return model and processor from this machine's disk."""
    try:
        from transformers import WhisperForConditionalGeneration, WhisperProcessor
    except ImportError as error:
        raise Any2AnyError("Whisper is missing", str(error), "pip install 'any2any_ros[pretrained]'") from error
    try:
        how = {"local_files_only": True, "trust_remote_code": False}
        network = WhisperForConditionalGeneration.from_pretrained(model, **how).eval()
        network.generation_config.max_length = None  # max_new_tokens replaces it
        return network, WhisperProcessor.from_pretrained(model, **how)
    except Exception as error:  # classes of transformers, the hub, safetensors and json
        raise Any2AnyError(
            "Whisper's weights are not here",
            f"{_searched_folder(model)} has none that can be read ({type(error).__name__})",
            f"Where there is a network: hf download {_hub_name(model)} --local-dir whisper; copy it, and set model to "
            "its path",
        ) from error


def _searched_folder(model: str) -> Path:
    """Return the folder where the weights should be."""
    if Path(model).exists() or model.startswith((".", "/", "~")):
        return Path(model).absolute()
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE) / f"models--{model.replace('/', '--')}"


def _hub_name(model: str) -> str:
    """Return the name of a model on the hub; the default model for a folder."""
    is_name = not Path(model).exists() and model.count("/") == 1 and not model.startswith((".", "/", "~"))
    return model if is_name else WhisperConfig().model
