"""Runtimes for encoders that are networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from any2any_ros.errors import Any2AnyError


def onnx_session(path: Path, threads: int = 1) -> Any:
    """Open an ONNX model on this machine's best provider; raise Any2AnyError when it is damaged."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Spinning threads take the cores from the robot's other processes.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = [
        p for p in ("CUDAExecutionProvider", "CPUExecutionProvider") if p in onnxruntime.get_available_providers()
    ]
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # ONNX Runtime's own kinds, none of them public
        raise Any2AnyError(f"Cannot load the model {path}", str(error), "Remove it: it is exported again") from error
