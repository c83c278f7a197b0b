"""The choice of a runtime: PyTorch, ONNX Runtime or TensorRT, behind one interface.

`runtime=auto` runs an exported graph in ONNX Runtime, which needs no PyTorch, and anything else in PyTorch. TensorRT
runs only when `runtime=tensorrt` asks for it, because building its engine takes minutes. An export is written only
when its vectors agree with PyTorch's (export.py), so the runtime does not change the fingerprint of an encoder.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from any2any_ros.arrays import Array
from any2any_ros.encoders.networks.onnx_runtime import OnnxNetwork
from any2any_ros.encoders.networks.settings import RuntimeConfig
from any2any_ros.encoders.networks.tensorrt_runtime import TensorRTNetwork
from any2any_ros.encoders.networks.torch_runtime import TorchNetwork
from any2any_ros.errors import Any2AnyError

Module = Any  # a torch.nn.Module; torch may be absent here


class Network(Protocol):
    """A network that is ready to run."""

    name: str  # runtime, device and precision, e.g. "torch cuda fp16"

    def __call__(self, **inputs: Array) -> Array:
        """Return vectors (N, D) float32 for named arrays whose first axis counts the N samples."""


def open_network(graph: Path | None, module: Callable[[], Module], config: RuntimeConfig) -> Network:
    """Return a network in the runtime that `config` chooses.

    graph: the ONNX file, None where the network was not exported. module: makes the torch module; it is called only
    when PyTorch runs the network. Raises Any2AnyError when the runtime needs an exported graph and there is none.
    """
    runtime = config.runtime
    if runtime == "auto":
        runtime = "torch" if graph is None else "onnx"
    if runtime == "torch":
        return TorchNetwork(module(), config)
    if graph is None:
        raise Any2AnyError(
            f"Cannot run the network with {runtime}", "it was not exported",
            "Export it first: any2any export ENCODER FOLDER, and set model to FOLDER",
        )  # fmt: skip
    return _tensorrt_or_onnx(graph, config) if runtime == "tensorrt" else OnnxNetwork(graph, config)


def _tensorrt_or_onnx(graph: Path, config: RuntimeConfig) -> Network:
    """Return the TensorRT engine of a graph. Where TensorRT cannot be used, warn once and return ONNX Runtime."""
    try:
        return TensorRTNetwork(graph, config.precision)
    except Any2AnyError as error:
        warnings.warn(f"{error}. ONNX Runtime runs {graph} instead", stacklevel=2)
        return OnnxNetwork(graph, config)
