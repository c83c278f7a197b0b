"""Where a pretrained network's files lie: a folder as the Hugging Face hub gives it, or as `any2any export` wrote it.

A model is named by a folder, or by its name on the hub, for what lies in this machine's cache. Nothing is ever
downloaded here.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from any2any_ros.errors import Any2AnyError

EXPORTED = "any2any.json"  # what an export says of itself
ONNX = "model.onnx"
CHUNK = 1 << 20  # bytes read at once
WEIGHTS = ("*.safetensors", "*.bin", "*.pt", "*.pth")


@dataclass(frozen=True)
class Weights:
    """A network on the disk: its folder, its configuration, and which weights it has, as eight hex digits; checkpoint:
    the file, where it is a single one."""

    folder: Path
    config: dict[str, Any]
    digest: str
    checkpoint: Path = Path()

    @property
    def family(self) -> str:
        """What kind of network it is, e.g. "clip"."""
        return str(self.config.get("model_type", ""))

    @property
    def onnx(self) -> Path | None:
        """Its graph for ONNX Runtime, if it was exported."""
        path = self.folder / ONNX
        return path if path.is_file() else None

    def read(self, name: str) -> dict[str, Any]:
        """Return one of its JSON files, empty when there is none."""
        path = self.folder / name
        return _json(path) if path.is_file() else {}


def located(model: str) -> Weights:
    """Return the network `model`, a folder or a name; the error says how to get it when it is not here."""
    folder = _folder(model)
    if folder.is_file():  # a bare checkpoint; the only kind of these that is known
        return Weights(folder.parent, {"model_type": "liploc"}, _hash((_version(folder),)), folder)
    if not (folder / "config.json").is_file():
        raise _absent(model, folder)
    exported = folder / EXPORTED
    digest = str(_json(exported).get("weights", "")) if exported.is_file() else _digest(folder)
    if not digest:
        raise _absent(model, folder)
    return Weights(folder, _json(folder / "config.json"), digest)


def _folder(model: str) -> Path:
    """Return where a model should be, whether it is or not."""
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
        f"{folder} has no config.json with weights beside it",
        f"Where there is a network: hf download {name} --local-dir FOLDER; copy it, and set model to its path",
    )


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise Any2AnyError(f"Cannot read {path}", str(error), "Fetch the model again") from error
    if not isinstance(found, dict):
        raise Any2AnyError(f"Cannot read {path}", "it is no JSON object", "Fetch the model again")
    return found


def _digest(folder: Path) -> str:
    """Return eight hex digits of the files that hold weights; empty when there are none."""
    # Safetensors stand for all others: a hub folder often has the same weights in several formats.
    files = next((found for found in (sorted(folder.glob(p)) for p in WEIGHTS) if found), [])
    return _hash(tuple(map(_version, files))) if files else ""


def _version(file: Path) -> tuple[str, int, int]:
    return str(file), file.stat().st_mtime_ns, file.stat().st_size


@functools.cache
def _hash(files: tuple[tuple[str, int, int], ...]) -> str:
    """Hash files, once per version of each: a camera and a text encoder often share one."""
    whole = hashlib.sha256()
    for path, _, _ in files:
        with open(path, "rb") as stream:
            while part := stream.read(CHUNK):
                whole.update(part)
    return whole.hexdigest()[:8]
