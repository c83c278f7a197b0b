"""An exported network as a native TensorRT engine, built once for this GPU and saved in the user's cache.

TensorRT comes with JetPack, or from NVIDIA's index. An engine works for one GPU, one TensorRT version, one precision
and one graph. All four are in its file name, so that a new engine is built when one of them changes. An engine is
machine code in all but name, so one that lies beside a graph, whoever put it there, is not used.
"""

from __future__ import annotations

import hashlib
import importlib
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros import share, storage
from any2any_ros.arrays import Array
from any2any_ros.errors import Any2AnyError

# Three sizes of each free axis: the smallest, the one that the engine is tuned for, the largest.
BATCH_SIZES = (1, 1, 64)  # of the first axis, which counts the samples
LENGTHS = (2, 32, 512)  # of the other free axes, which count tokens


class TensorRTNetwork:
    """A graph as an engine. Raises Any2AnyError where TensorRT is absent or cannot build the engine."""

    def __init__(self, graph: Path, precision: str) -> None:
        """precision: auto, fp32, fp16 or bf16."""
        self._trt, self._torch = _import_tensorrt_and_torch()
        self.precision = "fp16" if precision == "auto" else precision
        self._logger = self._trt.Logger(self._trt.Logger.WARNING)
        path = engine_path(graph, self._torch.cuda.get_device_name(), self._trt.__version__, self.precision)
        self._engine = self._load(path) or self._build(graph, path)
        self._context = self._engine.create_execution_context()
        self.name = f"tensorrt {self.precision}"

    def __call__(self, **inputs: Array) -> Array:
        """Return vectors (N, D) float32."""
        torch = self._torch
        tensors = {name: torch.from_numpy(np.ascontiguousarray(values)).cuda() for name, values in inputs.items()}
        for name, tensor in tensors.items():
            self._context.set_input_shape(name, tuple(tensor.shape))
            self._context.set_tensor_address(name, tensor.data_ptr())
        output = self._output_name()
        vectors = torch.empty(tuple(self._context.get_tensor_shape(output)), dtype=torch.float32, device="cuda")
        self._context.set_tensor_address(output, vectors.data_ptr())
        stream = torch.cuda.current_stream()
        if not self._context.execute_async_v3(stream.cuda_stream):
            raise Any2AnyError("The TensorRT engine failed", "its own log says why", "Set runtime to onnx")
        return np.asarray(vectors.cpu().numpy())

    def _output_name(self) -> str:
        names = (self._engine.get_tensor_name(i) for i in range(self._engine.num_io_tensors))
        (name,) = (n for n in names if self._engine.get_tensor_mode(n) == self._trt.TensorIOMode.OUTPUT)
        return str(name)

    def _load(self, path: Path) -> Any:
        """Return the engine saved at `path`; None when there is none, or when this TensorRT cannot read it."""
        if not path.is_file():
            return None
        return self._trt.Runtime(self._logger).deserialize_cuda_engine(path.read_bytes())

    def _build(self, graph: Path, path: Path) -> Any:
        """Build the engine of a graph and save it at `path`."""
        trt = self._trt
        builder = trt.Builder(self._logger)
        network = self._parse(graph, builder)
        config = builder.create_builder_config()
        for precision in ("fp16", "bf16"):
            if self.precision == precision:
                config.set_flag(getattr(trt.BuilderFlag, precision.upper()))
        config.add_optimization_profile(self._profile(builder, network))
        serialized = builder.build_serialized_network(network, config)
        if serialized is None:
            raise Any2AnyError(
                f"TensorRT cannot build an engine of {graph}",
                "its own log says why",
                "Set runtime to onnx, or try another precision",
            )
        storage.write_atomically(path, lambda stream: stream.write(serialized))
        return trt.Runtime(self._logger).deserialize_cuda_engine(serialized)

    def _parse(self, graph: Path, builder: Any) -> Any:
        network = builder.create_network(0)
        parser = self._trt.OnnxParser(network, self._logger)
        if not parser.parse(graph.read_bytes()):
            why = "; ".join(str(parser.get_error(i)) for i in range(parser.num_errors))
            raise Any2AnyError(f"TensorRT cannot read {graph}", why, "Set runtime to onnx")
        return network

    def _profile(self, builder: Any, network: Any) -> Any:
        """Return the optimisation profile: the smallest, usual and largest shape of each input."""
        profile = builder.create_optimization_profile()
        for i in range(network.num_inputs):
            tensor = network.get_input(i)
            profile.set_shape(tensor.name, *(profile_shape(tuple(tensor.shape), n) for n in range(len(BATCH_SIZES))))
        return profile


def profile_shape(shape: tuple[int, ...], which: int) -> tuple[int, ...]:
    """Return `shape` with a size for each free axis (-1). which: 0 the smallest, 1 the usual, 2 the largest."""
    sizes = [LENGTHS[which] if n == -1 else n for n in shape]
    return (BATCH_SIZES[which] if shape[0] == -1 else shape[0], *sizes[1:])


def engine_path(graph: Path, gpu: str, version: str, precision: str) -> Path:
    """Return where the engine of a graph is saved, under a name made of all that the engine depends on."""
    content = hashlib.sha256(graph.read_bytes()).hexdigest()[:32]
    where = "-".join("".join(c if c.isalnum() or c == "." else "_" for c in part) for part in (gpu, version, precision))
    return share.cache("engines", f"{graph.stem}-{content}-{where}.engine")


def _import_tensorrt_and_torch() -> tuple[Any, Any]:
    try:
        trt, torch = importlib.import_module("tensorrt"), importlib.import_module("torch")
    except ImportError as error:
        raise Any2AnyError(
            "TensorRT cannot be used", str(error), "It comes with JetPack; elsewhere: pip install tensorrt"
        ) from error
    if not torch.cuda.is_available():
        raise Any2AnyError("TensorRT cannot be used", "PyTorch finds no GPU", "Install PyTorch for CUDA")
    return trt, torch
