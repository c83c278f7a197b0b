"""A network in PyTorch, on the CPU or on a GPU with CUDA graphs."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from any2any_ros.arrays import Array
from any2any_ros.encoders.networks.settings import RuntimeConfig
from any2any_ros.errors import Any2AnyError
from any2any_ros.threads import threads

Tensors = dict[str, Any]  # input name -> torch.Tensor
MAX_GRAPHS = 4  # CUDA graphs are kept for this many different input shapes
WARM_UP_RUNS = 3  # before a CUDA graph is captured


class TorchNetwork:
    """A torch module on one device.

    Raises Any2AnyError when `device` is cuda and PyTorch has no GPU. When the GPU runs out of memory, the network
    moves to the CPU with one warning.
    """

    def __init__(self, module: Any, config: RuntimeConfig) -> None:
        import torch

        self.config, self._torch = config, torch
        self._module = module.eval().requires_grad_(False)
        self._move_to(config.device if config.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu")
        if config.compiled:
            self._module = torch.compile(self._module)

    def __call__(self, **inputs: Array) -> Array:
        """Return vectors (N, D) float32."""
        torch = self._torch
        try:
            return self._run(inputs)
        except torch.OutOfMemoryError as error:
            if self._device == "cpu":
                raise
            warnings.warn(
                f"The GPU has no memory left ({str(error).splitlines()[0]}), so the network runs on the CPU from now "
                "on. Lower the batch, choose a smaller network or set precision=fp16",
                stacklevel=2,
            )
            self._move_to("cpu")
            torch.cuda.empty_cache()
            return self._run(inputs)

    def _move_to(self, device: str) -> None:
        torch = self._torch
        if device == "cuda" and not torch.cuda.is_available():
            raise Any2AnyError(
                "Cannot run the network on the GPU",
                "PyTorch finds no GPU",
                "Set device to cpu, or install PyTorch for CUDA",
            )
        precision = self.config.precision
        if precision == "auto":
            precision = "fp16" if device == "cuda" else "fp32"
        dtypes = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
        self._device, self.name = device, f"torch {device} {precision}"
        self._dtype = dtypes[precision]
        self._module.to(device, self._dtype)
        self._captured: dict[Any, tuple[Any, Tensors, Any]] = {}

    def _run(self, inputs: dict[str, Array]) -> Array:
        torch = self._torch
        with threads(self.config.threads), torch.inference_mode():
            tensors = {name: self._tensor(values) for name, values in inputs.items()}
            graphed = self._device == "cuda" and self.config.graphs and not self.config.compiled
            vectors = self._replay(tensors) if graphed else self._module(**tensors)
            return np.asarray(vectors.float().cpu().numpy())

    def _tensor(self, values: Array) -> Any:
        tensor = self._torch.from_numpy(np.ascontiguousarray(values))
        return tensor.to(self._device, self._dtype if tensor.is_floating_point() else None, non_blocking=True)

    def _replay(self, tensors: Tensors) -> Any:
        """Return the vectors by the CUDA graph of these input shapes; capture one for each of the first few shapes."""
        shapes = tuple((name, tuple(tensor.shape)) for name, tensor in tensors.items())
        if shapes not in self._captured:
            if len(self._captured) >= MAX_GRAPHS:
                return self._module(**tensors)
            self._captured[shapes] = self._capture(tensors)
        graph, graph_inputs, vectors = self._captured[shapes]
        for name, tensor in tensors.items():
            graph_inputs[name].copy_(tensor)
        graph.replay()
        return vectors

    def _capture(self, tensors: Tensors) -> tuple[Any, Tensors, Any]:
        """Capture the module as a CUDA graph; return the graph, its input tensors and its output tensor."""
        torch = self._torch
        graph_inputs = {name: tensor.clone() for name, tensor in tensors.items()}
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_RUNS):
                self._module(**graph_inputs)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            vectors = self._module(**graph_inputs)
        return graph, graph_inputs, vectors
