"""The members that most encoders have in common. Inheriting them is a convenience: see protocols.Encoder."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any, ClassVar, Generic, TypeVar

import numpy as np

from any2any_ros.arrays import Array, Floats

ConfigT = TypeVar("ConfigT")


class BaseEncoder(Generic[ConfigT]):
    """An encoder of single samples whose embeddings depend on its settings alone.

    A subclass sets the class members without a value, and defines `dimension` and `encode`.
    """

    plug: ClassVar[str]
    modality: ClassVar[str]
    accepts: ClassVar[str]
    topic: ClassVar[str]
    keeps: ClassVar[int] = 1
    uses_odometry: ClassVar[bool] = False
    revision: ClassVar[int] = 1  # raise it when the embeddings of unchanged settings change
    Config: ClassVar[Any]

    def __init__(self, config: ConfigT | None = None) -> None:
        self.config: ConfigT = self.Config() if config is None else config

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.plug, self.revision, self.config)

    @property
    def space(self) -> str:
        return ""

    @property
    def cell(self) -> float:
        return 0.0

    @property
    def parts(self) -> tuple[int, ...]:
        return ()

    @property
    def focal(self) -> float | None:
        return None

    def gather(self, sample: Any, stamp_ns: int) -> Any:
        return sample


def fingerprint(plug: str, revision: int, config: Any) -> str:
    """Return e.g. "lidar-1-5f0c21ab": the plug, the revision of its code, and a digest of its settings."""
    settings = json.dumps(dataclasses.asdict(config), sort_keys=True)
    return f"{plug}-{revision}-{hashlib.sha256(settings.encode()).hexdigest()[:8]}"


def unit_vector(vector: Floats) -> Array:
    """Return a vector (D,) divided by its length, float32; zeros where the length is 0."""
    # Not arrays.unit: NumPy adds the squares of a whole vector in another order than those along an axis. The last bits
    # would differ, and embeddings would no longer be bit-identical to those of existing maps.
    length = float(np.linalg.norm(vector))
    return np.asarray(vector / length if length > 0 else vector, dtype=np.float32)
