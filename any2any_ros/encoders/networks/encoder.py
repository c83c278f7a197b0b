"""What all encoders that are pretrained networks have in common: find the weights, run them, return unit vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from any2any_ros import samples
from any2any_ros.arrays import Array, unit
from any2any_ros.encoders._base import BaseEncoder
from any2any_ros.encoders.networks.runtimes import open_network
from any2any_ros.encoders.networks.settings import NetworkConfig
from any2any_ros.encoders.networks.weights import find_weights
from any2any_ros.errors import Any2AnyError


class NetworkEncoder(BaseEncoder[Any]):
    """A pretrained network as an encoder. A subclass defines its inputs (`inputs`) and its torch module (`module`).

    Raises Any2AnyError when the weights are missing, belong to another family or cannot be run.
    """

    Config: ClassVar[Any] = NetworkConfig
    families: ClassVar[tuple[str, ...]]  # the model types (config.json) that the encoder can run
    joint: ClassVar[tuple[str, ...]] = ()  # those whose embeddings are comparable with another encoder's
    free_axes: ClassVar[dict[str, tuple[int, ...]]]  # input name -> its axes of variable size

    def __init__(self, config: NetworkConfig = NetworkConfig()) -> None:
        super().__init__(config)
        self.weights = find_weights(config.model)
        self._check_family()
        try:
            self.network = open_network(self.weights.onnx, self.module, config)
            # This first run also warms the network up, so that the first real sample is not the slowest.
            self._dimension = self.encode(samples.example(self.accepts)).size
        except Any2AnyError:
            raise
        except Exception as error:  # classes of PyTorch, ONNX Runtime and TensorRT
            raise Any2AnyError(
                f"Encoder '{self.plug}' cannot run the network in {self.weights.folder}",
                f"{type(error).__name__}: {error}",
                "Fetch it again, or export it again: any2any export",
            ) from error

    def module(self) -> Any:
        """Return the torch module whose forward takes what `inputs` returns and gives vectors (N, D)."""
        raise NotImplementedError

    def inputs(self, batch: Sequence[Any]) -> dict[str, Any]:
        """Return the input arrays of the network for N samples; the first axis of each array counts the samples."""
        raise NotImplementedError

    @property
    def dimension(self) -> int:
        return self._dimension

    @property
    def fingerprint(self) -> str:
        # The runtime is left out: all runtimes agree within the tolerance that an export must meet.
        return f"{self.plug}-{self.revision}-{self.weights.digest}"

    @property
    def space(self) -> str:
        return f"{self.weights.family}-{self.weights.digest}" if self.weights.family in self.joint else ""

    def exported_config(self) -> dict[str, Any]:
        """Return what an export writes about the network to its config.json."""
        return self.weights.config

    def encode(self, sample: Any) -> Array:
        """Return the embedding (dimension,) of one sample."""
        return np.asarray(self.encode_batch([sample])[0])

    def encode_batch(self, batch: Sequence[Any]) -> Array:
        """Return the embeddings (N, dimension) of N samples. Raises Any2AnyError when a value is not finite."""
        vectors = self.network(**self.inputs(batch))
        if not np.isfinite(vectors).all():
            raise Any2AnyError(
                f"The network of '{self.plug}' gave no embedding", "some of its values are not finite",
                "Try --set precision=fp32; if that fails too, the weights are damaged",
            )  # fmt: skip
        return unit(vectors)

    def _check_family(self) -> None:
        if self.weights.family not in self.families:
            raise Any2AnyError(
                f"Encoder '{self.plug}' cannot run the network in {self.weights.folder}",
                f"it is '{self.weights.family}', and the encoder runs {', '.join(self.families)}",
                "Choose another network, or another encoder",
            )
