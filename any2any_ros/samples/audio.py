"""Chunks of sound (any2any_ros/AudioStamped) as arrays."""

from __future__ import annotations

from typing import Any

import numpy as np

from any2any_ros.errors import Any2AnyError
from any2any_ros.samples.values import Sound

# encoding -> NumPy type, value of full scale
ENCODINGS = {"S16LE": ("<i2", 32768.0), "F32LE": ("<f4", 1.0)}


def sound(message: Any) -> Sound:
    """Return a chunk of sound; its channels are averaged. Raises Any2AnyError on an unknown encoding."""
    if message.encoding not in ENCODINGS or message.channels < 1 or message.sample_rate < 1:
        raise Any2AnyError(
            "Cannot use a chunk of sound",
            f"encoding '{message.encoding}', {message.channels} channels, {message.sample_rate} Hz",
            f"Publish {' or '.join(ENCODINGS)} with at least one channel and a sample rate",
        )
    dtype, full_scale = ENCODINGS[message.encoding]
    data = np.frombuffer(message.data, dtype=np.uint8)
    frame = np.dtype(dtype).itemsize * message.channels  # bytes of one sample of all channels
    samples = data[: data.size - data.size % frame].view(dtype).reshape(-1, message.channels)
    mono = samples.mean(axis=1, dtype=np.float64) / full_scale
    return Sound(mono.astype(np.float32), int(message.sample_rate))
