"""Text by a pretrained network from the disk: CLIP's or SigLIP's text half, CLAP's, BERT, sentence models.

    any2any build-map DRIVE MAP --encoder text=language --set text.model=FOLDER

CLIP, SigLIP and CLAP share a space with `vision` or `hearing_network` of the same weights. BERT gives the mean over
the words of its last four layers, side by side (3072 numbers for a base model), as EMMA takes it; a sentence model the
mean over the words of its last layer. For the small sentence model that comes as a wheel there is `sentence`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from any2any_ros.encoders._network import NetworkEncoder
from any2any_ros.encoders._transformers import last_layers, mean_of_tokens, part, texts
from any2any_ros.errors import Any2AnyError

JOINT = {
    "clip": ("CLIPTextModelWithProjection", lambda out, mask: out.text_embeds),
    "siglip": ("SiglipTextModel", lambda out, mask: out.pooler_output),
    "clap": ("ClapTextModelWithProjection", lambda out, mask: out.text_embeds),
}
LAST_LAYERS = ("bert", "roberta", "distilbert")
OFFSET = ("roberta", "clap", "mpnet")
LONGEST = 512  # tokens, where the network's configuration does not say
SENTENCES = "modules.json"  # marks a sentence model


class LanguageEncoder(NetworkEncoder):
    """The network's vector of a text. Cost: the network's."""

    plug: ClassVar[str] = "language"
    modality: ClassVar[str] = "text"
    accepts: ClassVar[str] = "text"
    topic: ClassVar[str] = "caption"
    families: ClassVar[tuple[str, ...]] = (*JOINT, *LAST_LAYERS, "mpnet")
    free: ClassVar[dict[str, tuple[int, ...]]] = {"tokens": (0, 1), "mask": (0, 1)}
    joint: ClassVar[tuple[str, ...]] = tuple(JOINT)

    @cached_property
    def tokenizer(self) -> Any:
        """How the network's texts are cut to tokens, none longer than it can take."""
        path = self.weights.folder / "tokenizer.json"
        try:
            from tokenizers import Tokenizer

            found = Tokenizer.from_file(str(path))
        except Exception as error:  # ImportError, and tokenizers' one kind, which is Exception itself
            raise Any2AnyError(
                f"Cannot read {path}", str(error), "pip install tokenizers, and fetch the model with all of its files"
            ) from error
        found.enable_truncation(self._longest)
        # SigLIP was trained on texts padded to one length, and sees the padding
        whole = self._longest if self.weights.family == "siglip" else None
        padding = self.text_config.get("pad_token_id") or 0
        found.enable_padding(length=whole, pad_id=padding, pad_token=found.id_to_token(padding) or "[PAD]")
        return found

    @property
    def text_config(self) -> dict[str, Any]:
        return dict(self.weights.config.get("text_config", self.weights.config))

    @property
    def _longest(self) -> int:
        positions = int(self.text_config.get("max_position_embeddings", LONGEST))
        # RoBERTa, which is CLAP's text half, too, counts positions from its padding's on.
        return positions - (int(self.text_config["pad_token_id"]) + 1 if self.weights.family in OFFSET else 0)

    def module(self) -> Any:
        if self.weights.family in JOINT:
            name, vector = JOINT[self.weights.family]
            return texts(part(name, self.weights), vector)
        if (self.weights.folder / SENTENCES).is_file() or self.weights.family == "mpnet":
            return texts(part("AutoModel", self.weights), _mean_of_last)
        return texts(part("AutoModel", self.weights), _mean_of_last_four, output_hidden_states=True)

    def inputs(self, given: Sequence[str]) -> dict[str, Any]:
        """Return tokens and mask (N, T) int64."""
        if not all(text.strip() for text in given):
            raise Any2AnyError("Cannot use a text", "it is empty", "Say what is there")
        cut = self.tokenizer.encode_batch(list(given))
        tokens, mask = (np.array([getattr(one, name) for one in cut], np.int64) for name in ("ids", "attention_mask"))
        # SigLIP takes its padding for words: it was trained without a mask
        return {"tokens": tokens, "mask": np.ones_like(mask) if self.weights.family == "siglip" else mask}


def _mean_of_last(out: Any, mask: Any) -> Any:
    return mean_of_tokens(out.last_hidden_state, mask)


def _mean_of_last_four(out: Any, mask: Any) -> Any:
    return mean_of_tokens(last_layers(out), mask)
