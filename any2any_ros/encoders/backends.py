"""Runtimes for encoders that are networks: PyTorch, ONNX Runtime, TensorRT, behind one interface.

A network takes named arrays, the first axis the samples', and gives their vectors (N, D) float32. What runs it is
chosen by what is there: an exported graph runs in ONNX Runtime, which needs no PyTorch; anything else in PyTorch.
TensorRT only where it is asked for: building its engine takes minutes. All agree within what an export is held to.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from any2any_ros.arrays import Array
from any2any_ros.config import Settings, setting
from any2any_ros.errors import Any2AnyError
from any2any_ros.threads import threads

Module = Any  # a torch.nn.Module; torch is imported by who runs one
GRAPHS = 4  # input shapes of which a CUDA graph is kept
WARM_UP = 3  # runs before a CUDA graph is captured
PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}


@dataclass(frozen=True)
class RuntimeConfig(Settings):
    """How a network is run."""

    runtime: str = setting("auto", "auto: an exported graph in onnx, else torch",
                           choices=("auto", "torch", "onnx", "tensorrt"))  # fmt: skip
    device: str = setting("auto", "auto: the GPU if there is one", choices=("auto", "cpu", "cuda"))
    precision: str = setting(
        "auto", "torch and tensorrt; auto: fp16 on a GPU", choices=("auto", "fp32", "fp16", "bf16")
    )
    threads: int = setting(1, "on the CPU; more is slower beside busy neighbours", minimum=1, maximum=64)
    graphs: bool = setting(True, "torch on a GPU: replay CUDA graphs, so that launching kernels costs nothing")
    compiled: bool = setting(False, "torch: torch.compile, minutes at the start for faster runs")


class Network(Protocol):
    """A network that can be run."""

    name: str  # what runs it where, e.g. "torch cuda fp16"

    def __call__(self, **inputs: Array) -> Array: ...


def network(graph: Path | None, module: Callable[[], Module], config: RuntimeConfig) -> Network:
    """Return what runs a network: `graph`, its ONNX file if it was exported, or the torch module made by `module`."""
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
    return tensorrt_or_onnx(graph, config) if runtime == "tensorrt" else OnnxNetwork(graph, config)


def tensorrt_or_onnx(graph: Path, config: RuntimeConfig) -> Network:
    """Return TensorRT's engine of a graph, or ONNX Runtime with one warning where there can be none."""
    from any2any_ros.encoders._tensorrt import TensorRTNetwork

    try:
        return TensorRTNetwork(graph, config.precision)
    except Any2AnyError as error:
        warnings.warn(f"{error}. ONNX Runtime runs {graph} instead", stacklevel=2)
        return OnnxNetwork(graph, config)


class TorchNetwork:
    """A torch module on the CPU or a GPU."""

    def __init__(self, module: Module, config: RuntimeConfig) -> None:
        import torch

        self.config, self._torch = config, torch
        self._module = module.eval().requires_grad_(False)
        self._place(config.device if config.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu")
        if config.compiled:
            self._module = torch.compile(self._module)

    def __call__(self, **inputs: Array) -> Array:
        torch = self._torch
        try:
            return self._run(inputs)
        except torch.OutOfMemoryError as error:
            if self._device == "cpu":
                raise
            warnings.warn(f"The GPU's memory is full ({str(error).splitlines()[0]}); the CPU goes on. Lower the batch, "
                          "choose a smaller network or precision=fp16", stacklevel=2)  # fmt: skip
            self._place("cpu")
            torch.cuda.empty_cache()
            return self._run(inputs)

    def _place(self, device: str) -> None:
        torch = self._torch
        if device == "cuda" and not torch.cuda.is_available():
            raise Any2AnyError(
                "Cannot run the network on the GPU",
                "PyTorch sees none",
                "Set device to cpu, or install PyTorch for CUDA",
            )
        precision = self.config.precision
        if precision == "auto":
            precision = "fp16" if device == "cuda" else "fp32"
        kinds = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
        self._device, self.name = device, f"torch {device} {precision}"
        self._kind = kinds[precision]
        self._module.to(device, self._kind)
        self._captured: dict[Any, tuple[Any, dict[str, Any], Any]] = {}

    def _run(self, inputs: dict[str, Array]) -> Array:
        torch = self._torch
        with threads(self.config.threads), torch.inference_mode():
            given = {name: self._tensor(values) for name, values in inputs.items()}
            graphed = self._device == "cuda" and self.config.graphs and not self.config.compiled
            out = self._replayed(given) if graphed else self._module(**given)
            return np.asarray(out.float().cpu().numpy())

    def _tensor(self, values: Array) -> Any:
        tensor = self._torch.from_numpy(np.ascontiguousarray(values))
        return tensor.to(self._device, self._kind if tensor.is_floating_point() else None, non_blocking=True)

    def _replayed(self, given: dict[str, Any]) -> Any:
        """Return what the CUDA graph of inputs of these shapes gives; the first few shapes have one."""
        key = tuple((name, tuple(tensor.shape)) for name, tensor in given.items())
        if key not in self._captured:
            if len(self._captured) >= GRAPHS:
                return self._module(**given)
            self._captured[key] = self._capture(given)
        graph, inside, out = self._captured[key]
        for name, tensor in given.items():
            inside[name].copy_(tensor)
        graph.replay()
        return out

    def _capture(self, given: dict[str, Any]) -> tuple[Any, dict[str, Any], Any]:
        """Record what the module does with inputs of these shapes: the graph, where they go in, where vectors are."""
        torch = self._torch
        inside = {name: tensor.clone() for name, tensor in given.items()}
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UP):
                self._module(**inside)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            out = self._module(**inside)
        return graph, inside, out


class OnnxNetwork:
    """An exported graph in ONNX Runtime, on the GPU where it has a provider for it."""

    def __init__(self, graph: Path, config: RuntimeConfig) -> None:
        self._session = onnx_session(graph, config.threads, config.device)
        self._known = {i.name for i in self._session.get_inputs()}
        self.name = f"onnx {self._session.get_providers()[0].removesuffix('ExecutionProvider').lower()}"

    def __call__(self, **inputs: Array) -> Array:
        if set(inputs) != self._known:
            raise Any2AnyError(
                "The exported network does not fit its encoder",
                f"it takes {', '.join(sorted(self._known))}, the encoder gives {', '.join(sorted(inputs))}",
                "Export it again with this version: any2any export",
            )
        return np.asarray(self._session.run(None, inputs)[0], dtype=np.float32)


def onnx_session(path: Path, threads: int = 1, device: str = "auto") -> Any:
    """Open an ONNX model on this machine's best provider; raise Any2AnyError when it cannot be used."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Spinning threads take the cores from the robot's other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    there = onnxruntime.get_available_providers()
    if device == "cuda" and PROVIDERS["cuda"] not in there:
        raise Any2AnyError(
            "Cannot run the network on the GPU", f"ONNX Runtime has only {', '.join(there)}",
            "Set device to cpu, or pip install onnxruntime-gpu",
        )  # fmt: skip
    wanted = [PROVIDERS["cpu"]] if device == "cpu" else list(PROVIDERS.values())
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=[p for p in wanted if p in there])
    except Exception as error:  # ONNX Runtime's own kinds, none of them public
        raise Any2AnyError(
            f"Cannot load the model {path}", str(error), "Remove it, and export it again with this ONNX Runtime"
        ) from error
