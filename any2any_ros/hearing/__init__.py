"""From sound to words. One transcriber a file; heavy imports wait until one is built."""

from collections.abc import Mapping
from typing import Any

from any2any_ros import config
from any2any_ros.plugins import Registry
from any2any_ros.protocols import Transcriber

TRANSCRIBERS: Registry[Transcriber] = Registry("transcriber", __name__, Transcriber)


def build(plug: str, settings: Mapping[str, Any] | None = None) -> Transcriber:
    """Build the transcriber `plug` with these settings, the rest at their defaults."""
    cls: Any = TRANSCRIBERS.find(plug)
    transcriber: Transcriber = cls(config.build(cls.Config, settings or {}))
    return transcriber
