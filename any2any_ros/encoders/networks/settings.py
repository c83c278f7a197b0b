"""Settings of a pretrained network: where its files are, and how it is run."""

from __future__ import annotations

from dataclasses import dataclass

from any2any_ros.config import Settings, setting


@dataclass(frozen=True)
class RuntimeConfig(Settings):
    """How a network is run."""

    runtime: str = setting(
        "auto",
        "library that runs the network; auto: onnx where the folder has an exported graph, else torch",
        choices=("auto", "torch", "onnx", "tensorrt"),
    )
    device: str = setting(
        "auto", "where the network runs; auto: on the GPU where there is one", choices=("auto", "cpu", "cuda")
    )
    precision: str = setting(
        "auto",
        "number format of the weights, for torch and tensorrt; auto: fp16 on a GPU, fp32 on a CPU",
        choices=("auto", "fp32", "fp16", "bf16"),
    )
    threads: int = setting(1, "number of CPU threads; more can be slower beside busy processes", minimum=1, maximum=64)
    graphs: bool = setting(
        True, "replay CUDA graphs, which saves the time of launching kernels; only for torch on a GPU"
    )
    compiled: bool = setting(
        False, "use torch.compile: it takes minutes at the start and makes each run faster; only for torch"
    )


@dataclass(frozen=True)
class NetworkConfig(RuntimeConfig):
    """Settings of a pretrained network."""

    model: str = setting("", "folder of the network, or its name in the Hugging Face cache")
