"""Transcribers: from the sound of an utterance to words. One transcriber a file, found by its name (plugins.py).

endpoint.py finds the utterances in a stream of sound.
"""

from collections.abc import Mapping
from typing import Any

from any2any_ros import config
from any2any_ros.plugins import Registry
from any2any_ros.protocols import Transcriber

TRANSCRIBERS: Registry[Transcriber] = Registry("transcriber", __name__, Transcriber)


def build(plug: str, settings: Mapping[str, Any] | None = None) -> Transcriber:
    """Build the transcriber `plug`. Settings that are not in `settings` have their defaults.

    Raises Any2AnyError when there is no such transcriber or setting, or when what it needs is missing.
    """
    cls: Any = TRANSCRIBERS.find(plug)
    transcriber: Transcriber = cls(config.build(cls.Config, settings or {}))
    return transcriber
