"""Artificial samples of every kind, to warm encoders up and to compare exported networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from any2any_ros.samples.values import Scan, Sound


def example(kind: str) -> Any:
    """Return a sample of `kind` that every encoder of that kind can encode, the same one each time."""
    return EXAMPLES[kind](np.random.default_rng(0))


def _depth(rng: np.random.Generator) -> Any:
    """A box in front of a wall 1 m away."""
    metres = rng.normal(1.0, 0.002, (96, 96)).astype(np.float32)
    metres[32:64, 32:64] -= 0.1
    return metres


EXAMPLES: dict[str, Callable[[np.random.Generator], Any]] = {
    "image": lambda rng: rng.integers(0, 255, (96, 192, 3), dtype=np.uint8),
    "depth": _depth,
    "thermal": lambda rng: rng.normal(29000, 300, (120, 160)).astype(np.float32),
    "cloud": lambda rng: rng.uniform(-20, 20, (2000, 4)).astype(np.float32),
    "timed_cloud": lambda rng: np.pad(rng.uniform(-20, 20, (2000, 4)), ((0, 0), (0, 1))).astype(np.float32),
    "scan": lambda rng: Scan(rng.uniform(2, 10, 360).astype(np.float32), -np.pi, np.pi / 180, 30.0),
    "sound": lambda rng: Sound(rng.uniform(-0.5, 0.5, 48000).astype(np.float32), 48000),
    "text": lambda rng: "a place to warm up",
}
