"""From a sensor's sample to a vector. One encoder a file; heavy imports wait until one is built."""

from collections.abc import Mapping
from typing import Any

from any2any_ros import config
from any2any_ros.plugins import Registry
from any2any_ros.protocols import Encoder

ENCODERS: Registry[Encoder] = Registry("encoder", __name__, Encoder, (("space", ""), ("focal", None)))


def build(plug: str, settings: Mapping[str, Any] | None = None) -> Encoder:
    """Build the encoder `plug` with these settings, the rest at their defaults."""
    cls: Any = ENCODERS.find(plug)
    encoder: Encoder = cls(config.build(cls.Config, settings or {}))
    return encoder
