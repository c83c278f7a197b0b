"""A pretrained network by runtime.

The vision encoder with a ViT-S/16 (224 × 224, 22 million random weights) on frames of the town, with one thread of the
CPU: PyTorch, ONNX Runtime with the exported graph, and the same graph with 8-bit weights. The note says how much a
runtime changes the vectors: the largest 1 - cosine to those of PyTorch in single precision, over the frames. Random
weights do not show what 8 bits cost a trained network in recall (`any2any export --int8 --judge` does). On a GPU:
PyTorch in half precision with CUDA graphs, and ONNX Runtime, each compared with PyTorch without CUDA graphs.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from benchmarks.speed import _frames, _networks
from benchmarks.speed._clock import clock, spread, timed
from benchmarks.speed._rows import Row, unmeasured
from benchmarks.speed._section import main

KINDS = {"torch": "PyTorch fp32", "onnx": "ONNX Runtime fp32", "int8": "ONNX Runtime int8"}
FRAMES = 8
MANY = 64  # pictures of a batch on the GPU
PLAIN = "PyTorch fp16 without CUDA graphs"
GPU_ROWS = (
    ("GPU, PyTorch fp16, CUDA graph, one picture", "ms"),
    ("GPU, ONNX Runtime fp32, one picture", "ms"),
    (f"GPU, PyTorch fp16, CUDA graph, batches of {MANY}", "pictures/s"),
    (f"GPU, ONNX Runtime fp32, batches of {MANY}", "pictures/s"),
)


def rows(quick: bool) -> Iterator[Row]:
    lacking = _networks.lacking()
    if lacking:
        yield from (unmeasured(name, "ms", lacking) for name in KINDS.values())
        yield from (unmeasured(name, unit, lacking) for name, unit in GPU_ROWS)
        return
    pictures = [_frames.sample("camera", i) for i in range(FRAMES)]
    networks = {kind: _networks.vision(kind) for kind in KINDS}
    exact = networks["torch"].encode_batch(pictures)
    for batch in (1, FRAMES):
        spent = _clocked(networks, pictures[:batch], 4 if quick else 12)
        for i, kind in enumerate(KINDS):
            yield _row(kind, batch, spent[:, [i, 0]], "" if batch > 1 else _apart(exact, networks[kind], pictures))
    yield from _on_gpu(exact, pictures)


def _clocked(networks: dict[str, Any], pictures: list[Any], rounds: int) -> Any:
    """Return the ms per picture (rounds, kinds) of the network. The pictures are prepared before."""
    inputs = next(iter(networks.values())).inputs(pictures)
    runs = [lambda n=network: n.network(**inputs) for network in networks.values()]
    return clock(runs, rounds) / len(pictures)


def _row(kind: str, batch: int, spent: Any, note: str) -> Row:
    what = f"{KINDS[kind]}, {'one picture' if batch == 1 else f'a picture of {batch}'}"
    return timed(what, spent, "" if kind == "torch" else KINDS["torch"], note=note)


def _apart(exact: Any, encoder: Any, pictures: list[Any]) -> str:
    worst = float(np.max(1 - np.sum(exact * encoder.encode_batch(pictures), axis=1)))
    return f"1 - cosine at most {max(worst, 0.0):.1e}"


def _on_gpu(exact: Any, pictures: list[Any], device: str = "cuda") -> Iterator[Row]:
    """Yield the rows of the network on a GPU, for one picture and for many."""
    import onnxruntime
    import torch

    if device == "cuda" and not torch.cuda.is_available():
        yield from (unmeasured(name, unit, "no GPU") for name, unit in GPU_ROWS)
        return
    networks = {"plain": _networks.vision("torch", device, graphs=False), "graphs": _networks.vision("torch", device)}
    if device == "cpu" or "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        networks["onnx"] = _networks.vision("onnx", device)
    once, often = (100, 30) if device == "cuda" else (1, 1)
    one = dict(zip(networks, _clocked(networks, pictures[:1], once).T, strict=True))
    # Pictures per second.
    many = dict(zip(networks, 1e3 / _clocked(networks, (pictures * MANY)[:MANY], often).T, strict=True))
    for (name, unit), kind in zip(GPU_ROWS, ("graphs", "onnx", "graphs", "onnx"), strict=True):
        if kind not in networks:
            yield unmeasured(name, unit, "ONNX Runtime cannot use the GPU: pip install onnxruntime-gpu")
        elif unit == "ms":
            spent = np.stack([one[kind], one["plain"]], axis=1)
            yield timed(name, spent, PLAIN, note=_apart(exact, networks[kind], pictures))
        else:
            middle, rival = float(np.median(many[kind])), float(np.median(many["plain"]))
            yield Row(name, middle, unit, spread(many[kind]), PLAIN, rival, note="with the upload to the GPU")


if __name__ == "__main__":
    main(rows, __file__)
