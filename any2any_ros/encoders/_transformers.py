"""Networks of the transformers library as torch modules whose forward gives vectors (N, D)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from any2any_ros.encoders._pictures import Recipe, standardiser
from any2any_ros.encoders._weights import Weights
from any2any_ros.errors import Any2AnyError

LAYERS = 4  # the last ones, concatenated, as EMMA takes BERT and wav2vec 2


def transformer(name: str, folder: Path, **settings: Any) -> Any:
    """Load the class `name` of transformers from a folder; nothing is downloaded. settings: what its config lacks."""
    try:
        import transformers
    except ImportError as error:
        raise Any2AnyError(
            "Cannot run a pretrained network",
            str(error),
            "pip install 'any2any_ros[pretrained]', or export it elsewhere",
        ) from error
    cls = getattr(transformers, name, None)
    if cls is None:
        raise Any2AnyError(
            "Cannot run a pretrained network",
            f"transformers {transformers.__version__} has no {name}",
            "Install a newer one",
        )
    try:
        with _quiet(transformers.logging):
            return cls.from_pretrained(folder, local_files_only=True, **settings)
    except Exception as error:  # transformers', safetensors', torch's and json's own kinds
        raise Any2AnyError(f"Cannot load the network in {folder}", str(error), "Fetch it again, whole") from error


def part(name: str, weights: Weights) -> Any:
    """Load the class `name` of a network, which may be half of a joint one: the whole knows how wide their space is."""
    width = weights.config.get("projection_dim")
    return transformer(name, weights.folder, **({} if width is None else {"projection_dim": width}))


@contextmanager
def _quiet(logging: Any) -> Iterator[None]:
    """Keep transformers from listing the other half of a joint network as left over, and from drawing bars."""
    before = logging.get_verbosity()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(before)
        logging.enable_progress_bar()


def pictures(model: Any, vector: Callable[[Any], Any], recipe: Recipe) -> Any:
    """Return the module pixels (N, 3, H, W) uint8 -> (N, D): a quarter of the bytes go to the GPU."""
    import torch

    class Pictures(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model, self.standardise = model, standardiser(recipe.mean, recipe.spread)

        def forward(self, pixels: Any) -> Any:
            return vector(self.model(pixel_values=self.standardise(pixels)))

    return Pictures()


def texts(model: Any, vector: Callable[[Any, Any], Any], **settings: Any) -> Any:
    """Return the module tokens and mask (N, T) int64 -> (N, D)."""
    import torch

    class Texts(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, tokens: Any, mask: Any) -> Any:
            return vector(self.model(input_ids=tokens, attention_mask=mask, **settings), mask)

    return Texts()


def sounds(model: Any, vector: Callable[[Any], Any], name: str, **settings: Any) -> Any:
    """Return the module sound -> (N, D); name: what the network calls its input."""
    import torch

    class Sounds(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, sound: Any) -> Any:
            return vector(self.model(**{name: sound}, **settings))

    return Sounds()


def mean_of_tokens(hidden: Any, mask: Any) -> Any:
    """Return the mean (N, D) over the tokens that are there of hidden (N, T, D)."""
    weight = mask.unsqueeze(-1).to(hidden.dtype)
    return (hidden * weight).sum(1) / weight.sum(1).clamp(min=1)


def last_layers(out: Any) -> Any:
    """Return the last LAYERS layers side by side (N, T, LAYERS * D)."""
    import torch

    return torch.cat(out.hidden_states[-LAYERS:], dim=-1)
