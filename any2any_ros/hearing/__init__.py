"""From sound to words. One recogniser a file; heavy imports wait until it is built."""

from collections.abc import Mapping
from typing import Any

from any2any_ros import config, plugins
from any2any_ros.protocols import Transcriber


def build(plug: str, settings: Mapping[str, Any] | None = None) -> Transcriber:
    """Build the recogniser `plug` with these settings, the rest at their defaults."""
    cls = plugins.find("hearing", plug)
    transcriber: Transcriber = cls(config.build(cls.Config, settings or {}))
    return transcriber
