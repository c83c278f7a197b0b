"""One encoder a file. None needs weights unless it says so; heavy imports wait until it is built."""

from collections.abc import Mapping
from typing import Any

from any2any_ros import config, plugins
from any2any_ros.protocols import Encoder


def build(plug: str, settings: Mapping[str, Any] | None = None) -> Encoder:
    """Build the encoder `plug` with these settings, the rest at their defaults."""
    cls = plugins.find("encoders", plug)
    encoder: Encoder = cls(config.build(cls.Config, settings or {}))
    return encoder
