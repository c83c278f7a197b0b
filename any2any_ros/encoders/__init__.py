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
    """Build the encoder `plug`. Settings that are not in `settings` have their defaults.

    Raises Any2AnyError when there is no such encoder or setting, or when what the encoder needs is missing.
    """
    cls: Any = ENCODERS.find(plug)
    encoder: Encoder = cls(config.build(cls.Config, settings or {}))
    return encoder
