"""An exported network as a native TensorRT engine, built once for this GPU and kept beside its graph.

TensorRT comes with JetPack, or from NVIDIA's index; the engine is good for one GPU, one TensorRT version, one precision
and one graph, which is what its name says: when any of them differs, it is built again.
"""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros import storage
from any2any_ros.arrays import Array
from any2any_ros.errors import Any2AnyError

BATCHES = (1, 1, 64)  # samples at once: fewest, those the engine is tuned for, most
LENGTHS = (2, 32, 512)  # the same of tokens, where an axis beside the samples' is free


class TensorRTNetwork:
    """A graph as an engine. Raises Any2AnyError where TensorRT is absent or cannot build it."""

    def __init__(self, graph: Path, precision: str) -> None:
        """precision: auto, fp32, fp16 or bf16."""
        self._trt, self._torch = _imported()
        self.precision = "fp16" if precision == "auto" else precision
        self._logger = self._trt.Logger(self._trt.Logger.WARNING)
        path = engine_path(graph, self._torch.cuda.get_device_name(), self._trt.__version__, self.precision)
        self._engine = self._opened(path) or self._built(graph, path)
        self._context = self._engine.create_execution_context()
        self.name = f"tensorrt {self.precision}"

    def __call__(self, **inputs: Array) -> Array:
        torch, trt = self._torch, self._trt
        given = {name: torch.from_numpy(np.ascontiguousarray(x)).cuda() for name, x in inputs.items()}
        for name, tensor in given.items():
            self._context.set_input_shape(name, tuple(tensor.shape))
            self._context.set_tensor_address(name, tensor.data_ptr())
        names = (self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors))
        (out,) = (n for n in names if self._engine.get_tensor_mode(n) == trt.TensorIOMode.OUTPUT)
        vectors = torch.empty(tuple(self._context.get_tensor_shape(out)), dtype=torch.float32, device="cuda")
        self._context.set_tensor_address(out, vectors.data_ptr())
        stream = torch.cuda.current_stream()
        if not self._context.execute_async_v3(stream.cuda_stream):
            raise Any2AnyError("The TensorRT engine failed", "its own log says why", "Set runtime to onnx")
        return np.asarray(vectors.cpu().numpy())

    def _opened(self, path: Path) -> Any:
        """Return the engine kept at `path`; None when there is none, or one that this TensorRT cannot read."""
        if not path.is_file():
            return None
        return self._trt.Runtime(self._logger).deserialize_cuda_engine(path.read_bytes())

    def _built(self, graph: Path, path: Path) -> Any:
        trt = self._trt
        builder = trt.Builder(self._logger)
        network = builder.create_network(0)
        parser = trt.OnnxParser(network, self._logger)
        if not parser.parse(graph.read_bytes()):
            why = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
            raise Any2AnyError(f"TensorRT cannot read {graph}", why, "Set runtime to onnx")
        config = builder.create_builder_config()
        for kind in ("fp16", "bf16"):
            if self.precision == kind:
                config.set_flag(getattr(trt.BuilderFlag, kind.upper()))
        config.add_optimization_profile(self._profile(builder, network))
        made = builder.build_serialized_network(network, config)
        if made is None:
            raise Any2AnyError(
                f"TensorRT cannot build an engine of {graph}",
                "its own log says why",
                "Set runtime to onnx, or precision",
            )
        storage.write_atomically(path, lambda stream: stream.write(made))
        return self._trt.Runtime(self._logger).deserialize_cuda_engine(made)

    def _profile(self, builder: Any, network: Any) -> Any:
        """Return how large the free axes of the inputs may be."""
        profile = builder.create_optimization_profile()
        for i in range(network.num_inputs):
            tensor = network.get_input(i)
            shapes = (free(tuple(tensor.shape), n) for n in range(len(BATCHES)))
            profile.set_shape(tensor.name, *shapes)
        return profile


def free(shape: tuple[int, ...], which: int) -> tuple[int, ...]:
    """Return a shape with its free axes (-1) set: the first to the samples', others to the tokens' number."""
    sizes = [LENGTHS[which] if n == -1 else n for n in shape]
    return (BATCHES[which] if shape[0] == -1 else shape[0], *sizes[1:])


def engine_path(graph: Path, gpu: str, version: str, precision: str) -> Path:
    """Return where the engine of a graph is kept; its name is what it depends on."""
    content = hashlib.sha256(graph.read_bytes()).hexdigest()[:8]
    where = "-".join("".join(c if c.isalnum() or c == "." else "_" for c in part) for part in (gpu, version, precision))
    return graph.with_name(f"{graph.stem}-{content}-{where}.engine")


def _imported() -> tuple[Any, Any]:
    found = []
    for name in ("tensorrt", "torch"):
        try:
            found.append(importlib.import_module(name))
        except ImportError as error:
            raise Any2AnyError(
                "TensorRT cannot be used", str(error), "It comes with JetPack; elsewhere: pip install tensorrt"
            ) from error
    trt, torch = found
    if not torch.cuda.is_available():
        raise Any2AnyError("TensorRT cannot be used", "PyTorch sees no GPU", "Install PyTorch for CUDA")
    return trt, torch
