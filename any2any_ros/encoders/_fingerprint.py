"""What makes two encoders' vectors comparable, as one short string."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from typing import Any

import numpy as np

from any2any_ros.arrays import Array


def fingerprint(plug: str, revision: int, config: Any) -> str:
    """Return e.g. "lidar-1-5f0c21ab": plug, revision of its code (raised when its vectors change), settings."""
    settings = json.dumps(dataclasses.asdict(config), sort_keys=True)
    return f"{plug}-{revision}-{hashlib.sha256(settings.encode()).hexdigest()[:8]}"


def unit(vector: Array) -> Array:
    """Return the vector (D,) at length 1; zeros stay zeros."""
    length = float(np.linalg.norm(vector))
    return np.asarray(vector / length if length > 0 else vector, dtype=np.float32)
