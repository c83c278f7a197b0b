"""Where the files of a pretrained network are: a folder of the Hugging Face hub, or one that `any2any export` wrote.

A model is named by its folder, or by its name on the hub when it is in this machine's cache. Nothing is ever
downloaded.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from any2any_ros import reading
from any2any_ros.errors import Any2AnyError

CONFIG = "config.json"
EXPORT_RECORD = "any2any.json"  # written by an export; holds the digest of the weights that were exported
ONNX = "model.onnx"
BLOCK = 1 << 20  # bytes read at once
PATTERNS = ("*.safetensors", "*.bin", "*.pt", "*.pth")  # files that hold weights, the preferred format first


@dataclass(frozen=True)
class Weights:
    """A network on the disk.

    folder: where its files are. config: its config.json. digest: of the weights, eight hex digits. checkpoint: the
    file, where the network is a single file.
    """

    folder: Path
    config: dict[str, Any]
    digest: str
    checkpoint: Path = Path()

    @property
    def family(self) -> str:
        """The kind of network (`model_type`), e.g. "clip"."""
        return str(self.config.get("model_type", ""))

    @property
    def onnx(self) -> Path | None:
        """The graph for ONNX Runtime; None when the network was not exported."""
        path = self.folder / ONNX
        return path if path.is_file() else None

    def read(self, name: str) -> dict[str, Any]:
        """Return the content of a JSON file in the folder; empty when there is no such file."""
        path = self.folder / name
        return _read_json(path) if path.is_file() else {}


def find_weights(model: str) -> Weights:
    """Return the network `model`, a folder or a name. Raises Any2AnyError, saying how to get it, when it is absent."""
    folder = _folder(model)
    if folder.is_file():  # LIP-Loc's is the only known network that is a single file
        return Weights(folder.parent, {"model_type": "liploc"}, _hash((_version(folder),)), folder)
    if not (folder / CONFIG).is_file():
        raise _absent(model, folder)
    record = folder / EXPORT_RECORD
    digest = str(_read_json(record).get("weights", "")) if record.is_file() else _digest(folder)
    if not digest:
        raise _absent(model, folder)
    return Weights(folder, _read_json(folder / CONFIG), digest)


def _folder(model: str) -> Path:
    """Return where a model should be, whether it exists or not."""
    path = Path(model).expanduser()
    if path.exists() or not _is_name(model):
        return path.absolute()
    try:
        from huggingface_hub import constants
    except ImportError:
        return path.absolute()
    home = Path(constants.HF_HUB_CACHE) / f"models--{model.replace('/', '--')}"
    main = home / "refs" / "main"
    return home / "snapshots" / main.read_text().strip() if main.is_file() else home


def _is_name(model: str) -> bool:
    return model.count("/") <= 1 and not model.startswith((".", "/", "~"))


def _absent(model: str, folder: Path) -> Any2AnyError:
    name = model if _is_name(model) and not Path(model).exists() else "OWNER/NAME"
    return Any2AnyError(
        f"The weights of '{model}' are not here" if model else "No weights are named",
        f"{folder} has no {CONFIG} with weights beside it",
        f"Where there is a network: hf download {name} --local-dir FOLDER; copy it, and set model to its path",
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = reading.json_value(path)
    except (OSError, ValueError) as error:
        raise Any2AnyError(f"Cannot read {path}", str(error), "Fetch the model again") from error
    if not isinstance(content, dict):
        raise Any2AnyError(f"Cannot read {path}", "it is no JSON object", "Fetch the model again")
    return content


def _digest(folder: Path) -> str:
    """Return eight hex digits of the files that hold weights; empty when there are none."""
    # One format is enough: a folder of the hub often has the same weights in several formats.
    files = next((found for found in (sorted(folder.glob(p)) for p in PATTERNS) if found), [])
    return _hash(tuple(map(_version, files))) if files else ""


def _version(file: Path) -> tuple[str, int, int]:
    return str(file), file.stat().st_mtime_ns, file.stat().st_size


@functools.cache
def _hash(files: tuple[tuple[str, int, int], ...]) -> str:
    """Hash files (path, time of change, size) once per version: an image and a text encoder often share one."""
    digest = hashlib.sha256()
    for path, _, _ in files:
        with open(path, "rb") as stream:
            while block := stream.read(BLOCK):
                digest.update(block)
    return digest.hexdigest()[:8]
