"""A ViT-S/16 of random weights, stored as from the hub, exported and quantised as `any2any export` does it."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path
from typing import Any

from any2any_ros import storage
from any2any_ros.encoders import build
from benchmarks.speed._frames import STORED

NEEDED = ("torch", "transformers", "onnxscript")
SMALL: dict[str, Any] = {  # ViT-S/16: Touvron et al. 2021, table 1
    "hidden_size": 384, "intermediate_size": 1536, "num_hidden_layers": 12, "num_attention_heads": 6,
    "image_size": 224, "patch_size": 16,
}  # fmt: skip
FOLDER = STORED / "vit-s16"
CHECKPOINT = "best.pth"


def lacking() -> str:
    """Return what is missing for making the network, and how to get it; "" when nothing is."""
    absent = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    return f"no {', '.join(absent)} (`make torch`)" if absent else ""


def vision(kind: str, device: str = "cpu", **more: Any) -> Any:
    """Return the encoder "vision" with the network as "torch", "onnx" or "int8", with one thread on the CPU.

    more: further settings of the encoder.
    """
    runtime = "torch" if kind == "torch" else "onnx"
    return build("vision", {"model": str(folder(kind).absolute()), "runtime": runtime, "device": device, **more})


def range_image(device: str) -> Any:
    """Return the range-image encoder of LIP-Loc with a ViT-S/16 of random weights, in PyTorch."""
    home = FOLDER / "liploc"
    if not home.exists():
        with storage.replacing(home) as unfinished:
            _write_liploc(unfinished / CHECKPOINT)
    return build("liploc", {"model": str((home / CHECKPOINT).absolute()), "runtime": "torch", "device": device})


def _write_liploc(checkpoint: Path) -> None:
    from any2any_ros.encoders.networks import liploc_network

    size = liploc_network.NetworkSize(
        grid=14, patch_height=16, patch_width=16, width=384, depth=12, hidden=1536, dims=256
    )
    towers = liploc_network.initial_towers(size, 0)
    liploc_network.write(liploc_network.join_towers(towers, size.view), checkpoint)


def folder(kind: str) -> Path:
    """Return the folder of the network, which is made if it is missing."""
    home = FOLDER / kind
    if not home.exists():
        with storage.replacing(home) as unfinished:
            {"torch": _save, "onnx": _export, "int8": _quantise}[kind](unfinished)
    return home


def _save(folder: Path) -> None:
    import torch
    import transformers

    torch.manual_seed(0)
    transformers.ViTModel(transformers.ViTConfig(**SMALL), add_pooling_layer=False).save_pretrained(folder)
    transformers.ViTImageProcessor(size={"height": 224, "width": 224}).save_pretrained(folder)


def _export(folder: Path) -> None:
    from any2any_ros.encoders.networks.export import export

    export(vision("torch"), folder)


def _quantise(target: Path) -> None:
    from any2any_ros.encoders.networks.export import quantise
    from any2any_ros.encoders.networks.weights import ONNX

    shutil.copytree(folder("onnx"), target, dirs_exist_ok=True)
    quantise(target / ONNX)
