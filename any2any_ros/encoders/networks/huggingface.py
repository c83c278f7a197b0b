"""Networks of the transformers library as torch modules whose forward returns vectors (N, D)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from any2any_ros.encoders.networks.preprocessing import Preprocessing, standardiser
from any2any_ros.encoders.networks.weights import Weights
from any2any_ros.errors import Any2AnyError

LAST_LAYERS = 4  # concatenated, as EMMA does with BERT and wav2vec 2


def load(name: str, folder: Path, **settings: Any) -> Any:
    """Load the transformers class `name` from a folder, without downloading. settings: override its config.json.

    Raises Any2AnyError when transformers is missing or too old, or when the folder cannot be loaded.
    """
    try:
        import transformers
    except ImportError as error:
        raise Any2AnyError(
            "Cannot run a pretrained network",
            str(error),
            "pip install 'any2any_ros[pretrained]', or export the network on a machine that has it",
        ) from error
    cls = getattr(transformers, name, None)
    if cls is None:
        raise Any2AnyError(
            "Cannot run a pretrained network",
            f"transformers {transformers.__version__} has no {name}",
            "Install a newer version of transformers",
        )
    try:
        with _quiet(transformers.logging):
            return cls.from_pretrained(folder, local_files_only=True, trust_remote_code=False, **settings)
    except Exception as error:  # classes of transformers, safetensors, torch and json
        raise Any2AnyError(
            f"Cannot load the network in {folder}", str(error), "Fetch it again, with all of its files"
        ) from error


def load_part(name: str, weights: Weights) -> Any:
    """Load the transformers class `name`, which may be one half of a joint network such as CLIP.

    The width of the joint space stands in the config.json of the whole network, and is passed on to the half.
    """
    width = weights.config.get("projection_dim")
    return load(name, weights.folder, **({} if width is None else {"projection_dim": width}))


@contextmanager
def _quiet(logging: Any) -> Iterator[None]:
    """Keep transformers from drawing progress bars and from warning of the unused half of a joint network."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        logging.enable_progress_bar()


def image_module(model: Any, vector: Callable[[Any], Any], preprocessing: Preprocessing) -> Any:
    """Return the module pixels (N, 3, H, W) uint8 -> (N, D). vector: picks the vectors from the model's output.

    Pixels are standardised inside the module, because bytes are a quarter of the data to copy to a GPU.
    """
    import torch

    class ImageModule(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.standardise = model, standardiser(preprocessing.mean, preprocessing.std)

        def forward(self, pixels: Any) -> Any:
            return vector(self.model(pixel_values=self.standardise(pixels)))

    return ImageModule()


def text_module(model: Any, vector: Callable[[Any, Any], Any], **settings: Any) -> Any:
    """Return the module tokens and mask (N, T) int64 -> (N, D). settings: further arguments of the model."""
    import torch

    class TextModule(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, tokens: Any, mask: Any) -> Any:
            return vector(self.model(input_ids=tokens, attention_mask=mask, **settings), mask)

    return TextModule()


def sound_module(model: Any, vector: Callable[[Any], Any], name: str, **settings: Any) -> Any:
    """Return the module sound -> (N, D). name: of the model's argument that takes the sound."""
    import torch

    class SoundModule(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, sound: Any) -> Any:
            return vector(self.model(**{name: sound}, **settings))

    return SoundModule()


def mean_of_tokens(hidden: Any, mask: Any) -> Any:
    """Return the mean (N, D) of hidden states (N, T, D) over the tokens whose mask (N, T) is 1."""
    weight = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weight).sum(1) / weight.sum(1).clamp(min=1)


def last_layers(output: Any) -> Any:
    """Return the hidden states of the last LAST_LAYERS layers, concatenated: (N, T, LAST_LAYERS * D)."""
    import torch

    return torch.cat(output.hidden_states[-LAST_LAYERS:], dim=-1)
