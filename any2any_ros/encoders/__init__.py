"""Encoders: from one sample of a sensor to one embedding. One encoder a file, found by its name (plugins.py).

networks/ holds what the pretrained ones share.
"""

from collections.abc import Mapping
from typing import Any

from any2any_ros import config
from any2any_ros.birds_eye.image import NONE
from any2any_ros.plugins import Registry
from any2any_ros.protocols import Encoder, Seen

_OPTIONAL = (("space", ""), ("focal", None), ("cell", 0.0), ("parts", ()), ("uses_odometry", False))
ENCODERS: Registry[Encoder] = Registry("encoder", __name__, Encoder, _OPTIONAL)

# The default encoder of a modality, where it is not the one of the modality's name: the better one on real drives.
DEFAULTS = {"lidar": "birds_eye", "laser_scan": "laser_submap"}


def kind(modality: str) -> str:
    """Return the modality that a free name begins with, such as camera of camera_front; the name itself for others."""
    words = modality.split("_")
    beginnings = ("_".join(words[:n]) for n in range(len(words), 0, -1))
    return next((name for name in beginnings if name in ENCODERS.names()), modality)


def default(modality: str) -> str:
    """Return the name of the default encoder of a modality."""
    return DEFAULTS.get(kind(modality), kind(modality))


def see(encoder: Encoder, sample: Any) -> Seen:
    """Return what an encoder makes of a sample: its vector, and its bird's-eye image where it makes one.

    Raises Any2AnyError for a sample that it cannot use.
    """
    if encoder.cell:
        seen: Seen = encoder.see(sample)  # type: ignore[attr-defined]
        return seen
    return Seen(encoder.encode(sample), NONE)


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
