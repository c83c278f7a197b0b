"""What all encoders that are networks do alike: find the weights, run, and give vectors of length 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from any2any_ros import samples
from any2any_ros.arrays import Array
from any2any_ros.config import setting
from any2any_ros.encoders import backends
from any2any_ros.encoders._weights import located
from any2any_ros.encoders.backends import RuntimeConfig
from any2any_ros.errors import Any2AnyError


@dataclass(frozen=True)
class NetworkConfig(RuntimeConfig):
    """Settings of a pretrained network."""

    model: str = setting("", "folder of the network, or its name in the Hugging Face cache")


class NetworkEncoder:
    """A pretrained network as an encoder; a subclass says what goes in (`inputs`) and what it is (`module`)."""

    plug: ClassVar[str]
    modality: ClassVar[str]
    accepts: ClassVar[str]
    topic: ClassVar[str]
    keeps: ClassVar[int] = 1
    focal: ClassVar[float | None] = None
    Config: ClassVar[Any] = NetworkConfig
    families: ClassVar[tuple[str, ...]]  # the kinds of network it knows
    joint: ClassVar[tuple[str, ...]] = ()  # those whose vectors may be compared with another encoder's
    free: ClassVar[dict[str, tuple[int, ...]]]  # of each input, the axes that may be of any size
    revision: ClassVar[int] = 1

    def __init__(self, config: NetworkConfig = NetworkConfig()) -> None:
        self.config = config
        self.weights = located(config.model)
        self._check_family()
        self.network = backends.network(self.weights.onnx, self.module, config)
        self._dimension = self.encode(samples.example(self.accepts)).size  # and the first real one is not the slowest

    def module(self) -> Any:
        """Return the torch module, whose forward takes what `inputs` gives and returns (N, D)."""
        raise NotImplementedError

    def inputs(self, given: Sequence[Any]) -> dict[str, Any]:
        """Return the network's arrays for some samples, the first axis the samples'."""
        raise NotImplementedError

    @property
    def dimension(self) -> int:
        return self._dimension

    @property
    def fingerprint(self) -> str:
        # How it is run is not in it: all runtimes agree within the tolerance that an export is held to.
        return f"{self.plug}-{self.revision}-{self.weights.digest}"

    @property
    def space(self) -> str:
        """Encoders of one space may be compared with each other; empty: with themselves only."""
        return f"{self.weights.family}-{self.weights.digest}" if self.weights.family in self.joint else ""

    def described(self) -> dict[str, Any]:
        """Return what an export says of the network in its config.json."""
        return self.weights.config

    def gather(self, sample: Any, stamp_ns: int) -> Any:
        return sample

    def encode(self, sample: Any) -> Array:
        """Return (dimension,) for one sample."""
        return np.asarray(self.encode_batch([sample])[0])

    def encode_batch(self, given: Sequence[Any]) -> Array:
        """Return (N, dimension) for N samples at once."""
        vectors = self.network(**self.inputs(given))
        if not np.isfinite(vectors).all():
            raise Any2AnyError(
                f"The network of '{self.plug}' gave no vector", "some of its numbers are not finite",
                "Try --set precision=fp32; if that fails too, its weights are damaged",
            )  # fmt: skip
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        return np.asarray(vectors / np.where(length > 0, length, 1), dtype=np.float32)

    def _check_family(self) -> None:
        if self.weights.family not in self.families:
            raise Any2AnyError(
                f"Encoder '{self.plug}' does not know the network in {self.weights.folder}",
                f"it is '{self.weights.family}'; known are {', '.join(self.families)}",
                "Choose another network, or another encoder",
            )
