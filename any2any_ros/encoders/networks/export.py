"""Writing the network of an encoder as an ONNX graph, so that a robot runs it without PyTorch and transformers.

The graph is compared with PyTorch on sample inputs and refused when it differs. Its record (any2any.json) keeps the
digest of the original weights, so that embeddings of the graph and of the weights have one fingerprint.
"""

from __future__ import annotations

import logging
import shutil
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros import samples, storage
from any2any_ros.encoders.networks.encoder import NetworkEncoder
from any2any_ros.encoders.networks.onnx_runtime import OnnxNetwork
from any2any_ros.encoders.networks.preprocessing import PREPROCESSOR
from any2any_ros.encoders.networks.settings import RuntimeConfig
from any2any_ros.encoders.networks.weights import CONFIG, EXPORT_RECORD, ONNX
from any2any_ros.errors import Any2AnyError

MAX_DISTANCE = 1e-4  # largest cosine distance allowed between the graph and PyTorch
COPIED = (PREPROCESSOR, "tokenizer.json", "modules.json")


def export(encoder: NetworkEncoder, folder: Path) -> float:
    """Write the graph of an encoder that runs in PyTorch, and the files that it needs, to an existing folder.

    Returns the largest cosine distance between the graph and PyTorch. Raises Any2AnyError when it is too large.
    """
    graph = folder / ONNX
    _write_graph(encoder, graph)
    for name in COPIED:
        if (encoder.weights.folder / name).is_file():
            shutil.copy(encoder.weights.folder / name, folder)
    storage.write_json(folder / CONFIG, encoder.exported_config())
    distance = _distance(encoder, graph)
    if not distance < MAX_DISTANCE:
        raise Any2AnyError(
            "The exported graph is not the network",
            f"its cosine distance from PyTorch is {distance:.1e}, at most {MAX_DISTANCE:g} is allowed",
            "Install the versions of constraints.txt",
        )
    record = {"weights": encoder.weights.digest, "encoder": encoder.plug, "cosine_distance": distance}
    storage.write_json(folder / EXPORT_RECORD, record)
    return distance


def quantise(graph: Path) -> None:
    """Quantise the weights of a graph to 8 bits, in place."""
    import onnx
    from onnxruntime.quantization import quantize_dynamic

    model = onnx.load(graph)
    del model.graph.value_info[:]  # shapes between the layers, some of which the exporter writes wrongly
    # Convolutions with 8 bits are slower than without on ONNX Runtime's CPU.
    quantize_dynamic(model, graph, op_types_to_quantize=["MatMul", "Gemm"], extra_options={"DefaultTensorType": 1})


def _write_graph(encoder: NetworkEncoder, graph: Path) -> None:
    import torch

    count = 2 if 0 in next(iter(encoder.free_axes.values())) else 1  # samples; the exporter takes a 1 for a constant
    inputs = encoder.inputs([samples.example(encoder.accepts)] * count)
    tensors = {name: torch.from_numpy(values) for name, values in inputs.items()}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it warns that torchvision is missing: not needed here
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the exporter itself
        torch.onnx.export(
            _with_eager_attention(encoder.module().eval()), kwargs=tensors, f=str(graph), input_names=list(tensors),
            output_names=["vector"], dynamic_shapes=_dynamic_shapes(encoder), external_data=False, verbose=False,
        )  # fmt: skip


def _dynamic_shapes(encoder: NetworkEncoder) -> dict[str, dict[int, Any]]:
    """Return a symbol for each free axis of each input. Inputs share the symbol of an axis: they vary together."""
    import torch

    free = {axis for axes in encoder.free_axes.values() for axis in axes}
    symbols = {axis: torch.export.Dim(f"axis{axis}", min=2 if axis == 0 else 4) for axis in free}
    return {name: {axis: symbols[axis] for axis in axes} for name, axes in encoder.free_axes.items()}


def _with_eager_attention(module: Any) -> Any:
    """Return the module with attention as separate operations. The graph of a fused attention looks for NaN in every
    layer, which takes a tenth of a small network's time."""
    for part in module.modules():
        if hasattr(part, "set_attn_implementation"):
            part.set_attn_implementation("eager")
    return module


def _distance(encoder: NetworkEncoder, graph: Path) -> float:
    """Return the largest cosine distance between the vectors of the graph and of PyTorch on sample inputs."""
    exported = OnnxNetwork(graph, RuntimeConfig(device="cpu"))
    largest = 0.0
    for sample in _trial_samples(encoder.accepts):
        inputs = encoder.inputs([sample])
        ours, theirs = exported(**inputs)[0], encoder.network(**inputs)[0]
        cosine = float(ours @ theirs / (np.linalg.norm(ours) * np.linalg.norm(theirs)))
        largest = max(largest, 1 - cosine)
    return largest


def _trial_samples(kind: str) -> list[Any]:
    """Return samples of a kind that differ in content and, where the kind allows it, in length."""
    first = samples.example(kind)
    if kind == "text":
        return [first, "?", "bring me the blue mug", "two parked cars and a bakery " * 30]
    if kind == "sound":
        return [samples.Sound(first.samples[:n], first.rate) for n in (first.rate // 2, first.rate)]
    return [first, first[::-1].copy(), first[: len(first) // 2]]
