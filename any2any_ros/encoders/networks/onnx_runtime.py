"""A network that was exported as an ONNX graph, in ONNX Runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros.arrays import Array
from any2any_ros.encoders.networks.settings import RuntimeConfig
from any2any_ros.errors import Any2AnyError

PROVIDERS = {"cuda": "CUDAExecutionProvider", "cpu": "CPUExecutionProvider"}  # the preferred one first


class OnnxNetwork:
    """An exported graph on the GPU where ONNX Runtime has a provider for it, else on the CPU."""

    def __init__(self, graph: Path, config: RuntimeConfig) -> None:
        self._session = open_session(graph, config.threads, config.device)
        self._input_names = {i.name for i in self._session.get_inputs()}
        self.name = f"onnx {self._session.get_providers()[0].removesuffix('ExecutionProvider').lower()}"

    def __call__(self, **inputs: Array) -> Array:
        """Return vectors (N, D) float32. Raises Any2AnyError when the graph has other inputs."""
        if set(inputs) != self._input_names:
            raise Any2AnyError(
                "The exported network does not fit its encoder",
                f"it takes {', '.join(sorted(self._input_names))}, the encoder gives {', '.join(sorted(inputs))}",
                "Export it again with this version: any2any export",
            )
        return np.asarray(self._session.run(None, inputs)[0], dtype=np.float32)


def open_session(path: Path, threads: int = RuntimeConfig.threads, device: str = RuntimeConfig.device) -> Any:
    """Open an ONNX model as an onnxruntime.InferenceSession.

    device: auto, cpu or cuda; auto takes the GPU where ONNX Runtime has a provider for it. Raises Any2AnyError when
    the model cannot be loaded, or when `device` is cuda and there is no such provider.
    """
    import onnxruntime

    available = onnxruntime.get_available_providers()
    if device == "cuda" and PROVIDERS["cuda"] not in available:
        raise Any2AnyError(
            "Cannot run the network on the GPU", f"ONNX Runtime has only {', '.join(available)}",
            "Set device to cpu, or pip install onnxruntime-gpu",
        )  # fmt: skip
    wanted = [PROVIDERS["cpu"]] if device == "cpu" else list(PROVIDERS.values())
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Spinning threads take the cores from the robot's other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=[p for p in wanted if p in available])
    except Exception as error:  # ONNX Runtime's own classes, none of which is public
        raise Any2AnyError(
            f"Cannot load the model {path}", str(error), "Remove it, and export it again with this ONNX Runtime"
        ) from error
