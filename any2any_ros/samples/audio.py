"""Chunks of sound (any2any_ros/AudioStamped) as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from any2any_ros import limits
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples.values import Sound

# encoding -> NumPy type, value of full scale
ENCODINGS = {"S16LE": ("<i2", 32768.0), "F32LE": ("<f4", 1.0)}


def sound(message: Any) -> Sound:
    """Return a chunk of sound; its channels are averaged.

    Raises Any2AnyError on an unknown encoding, and when it has too many channels or samples, or an odd sample rate.
    """
    channels, rate = message.channels, message.sample_rate
    if message.encoding not in ENCODINGS or channels < 1 or not limits.is_rate(rate):
        raise Any2AnyError(
            "Cannot use a chunk of sound",
            f"encoding '{message.encoding}', {channels} channels, {rate} Hz",
            f"Publish {' or '.join(ENCODINGS)} with at least one channel and {limits.RATES} Hz",
        )
    dtype, full_scale = ENCODINGS[message.encoding]
    data = np.frombuffer(message.data, dtype=np.uint8)
    frame = np.dtype(dtype).itemsize * channels  # bytes of one sample of all channels
    limits.check("a chunk of sound", channels, limits.CHANNELS, "channels", "Publish fewer")
    limits.check("a chunk of sound", data.size // frame, limits.SOUND_SAMPLES, "samples", "Publish shorter chunks")
    samples = data[: data.size - data.size % frame].view(dtype).reshape(-1, channels)
    mono = samples.mean(axis=1, dtype=np.float64) / full_scale
    if not np.isfinite(mono).all():
        raise Any2AnyError("Cannot use a chunk of sound", "it has samples that are not finite", "Check the driver")
    return Sound(mono.astype(np.float32), int(rate))
