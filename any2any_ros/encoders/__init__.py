"""Encoders: from one sample of a sensor to one embedding. One encoder a file, found by its name (plugins.py).

networks/ holds what the pretrained ones share.
"""

from collections.abc import Mapping
from typing import Any

from any2any_ros import config
from any2any_ros.plugins import Registry
from any2any_ros.protocols import Encoder

ENCODERS: Registry[Encoder] = Registry("encoder", __name__, Encoder, (("space", ""), ("focal", None)))


def build(plug: str, settings: Mapping[str, Any] | None = None) -> Encoder:
    """Build the encoder `plug`, which the user names. Settings that are not in `settings` have their defaults.

    Raises Any2AnyError when there is no such encoder or setting, or when what the encoder needs is missing.
    """
    return _built(ENCODERS.find(plug), settings or {})


def rebuild(plug: str, settings: Mapping[str, Any]) -> Encoder:
    """Build the encoder `plug`, which a file names.

    Raises Any2AnyError as `build` does, and for a module that the user has not allowed (plugins.py).
    """
    return _built(ENCODERS.find_recorded(plug), settings)


def _built(cls: Any, settings: Mapping[str, Any]) -> Encoder:
    encoder: Encoder = cls(config.build(cls.Config, settings))
    return encoder
