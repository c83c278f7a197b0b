"""Text by a pretrained network with weights on the disk: the text half of CLIP, SigLIP or CLAP, BERT, sentence models.

    any2any build-map DRIVE MAP --encoder text=language --set text.model=FOLDER

CLIP and SigLIP share an embedding space with `vision` of the same weights, and CLAP with `clap`. The embedding of BERT
is the mean over the tokens of its last four layers, concatenated (3072 dimensions for a base model), as EMMA takes it;
that of a sentence model is the mean over the tokens of its last layer. The small sentence model that comes in a wheel
has an encoder of its own: `sentence`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from any2any_ros.encoders.networks.encoder import NetworkEncoder
from any2any_ros.encoders.networks.huggingface import last_layers, load_part, mean_of_tokens, text_module
from any2any_ros.errors import Any2AnyError

# family -> the transformers class of its text half, and the output that is the embedding
JOINT = {
    "clip": ("CLIPTextModelWithProjection", lambda out, mask: out.text_embeds),
    "siglip": ("SiglipTextModel", lambda out, mask: out.pooler_output),
    "clap": ("ClapTextModelWithProjection", lambda out, mask: out.text_embeds),
}
FOUR_LAYERS = ("bert", "roberta", "distilbert")  # families whose embedding is the mean of the last four layers
OFFSET = ("roberta", "clap", "mpnet")  # families that count positions from the padding token's number
LONGEST = 512  # tokens, where the network's configuration does not say it
SENTENCES = "modules.json"  # a file that only sentence models have


class LanguageEncoder(NetworkEncoder):
    """The network's embedding of a text. Cost: the network's."""

    plug = "language"
    modality = "text"
    accepts = "text"
    topic = "caption"
    families = (*JOINT, *FOUR_LAYERS, "mpnet")
    joint = tuple(JOINT)
    free_axes: ClassVar = {"tokens": (0, 1), "mask": (0, 1)}

    @cached_property
    def tokenizer(self) -> Any:
        """The network's tokenizer, which cuts a text at the longest length that the network takes."""
        path = self.weights.folder / "tokenizer.json"
        try:
            from tokenizers import Tokenizer

            tokenizer = Tokenizer.from_file(str(path))
        except Exception as error:  # ImportError, and the only class of tokenizers, which is Exception itself
            raise Any2AnyError(
                f"Cannot read {path}", str(error), "pip install tokenizers, and fetch the model with all of its files"
            ) from error
        tokenizer.enable_truncation(self._longest)
        # SigLIP was trained on texts padded to one length, and sees the padding.
        length = self._longest if self.weights.family == "siglip" else None
        padding = self.text_config.get("pad_token_id") or 0
        tokenizer.enable_padding(length=length, pad_id=padding, pad_token=tokenizer.id_to_token(padding) or "[PAD]")
        return tokenizer

    @property
    def text_config(self) -> dict[str, Any]:
        return dict(self.weights.config.get("text_config", self.weights.config))

    @property
    def _longest(self) -> int:
        positions = int(self.text_config.get("max_position_embeddings", LONGEST))
        return positions - (int(self.text_config["pad_token_id"]) + 1 if self.weights.family in OFFSET else 0)

    def module(self) -> Any:
        if self.weights.family in JOINT:
            name, vector = JOINT[self.weights.family]
            return text_module(load_part(name, self.weights), vector)
        model = load_part("AutoModel", self.weights)
        if (self.weights.folder / SENTENCES).is_file() or self.weights.family == "mpnet":
            return text_module(model, lambda out, mask: mean_of_tokens(out.last_hidden_state, mask))
        return text_module(model, lambda out, mask: mean_of_tokens(last_layers(out), mask), output_hidden_states=True)

    def inputs(self, batch: Sequence[str]) -> dict[str, Any]:
        """Return tokens and mask (N, T) int64. Raises Any2AnyError when a text is empty."""
        if not all(text.strip() for text in batch):
            raise Any2AnyError("Cannot use a text", "it is empty", "Describe the place or the object")
        encoded = self.tokenizer.encode_batch(list(batch))
        tokens = np.array([text.ids for text in encoded], np.int64)
        mask = np.array([text.attention_mask for text in encoded], np.int64)
        # SigLIP was trained without a mask: it reads its padding like words.
        return {"tokens": tokens, "mask": np.ones_like(mask) if self.weights.family == "siglip" else mask}
