"""Chunks of sound as arrays: any2any_ros/AudioStamped, and both packages that are called audio_common_msgs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros import limits
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples.values import Sound

# encoding -> NumPy type, value of full scale
ENCODINGS = {"S16LE": ("<i2", 32768.0), "F32LE": ("<f4", 1.0)}
# PortAudio's number of a format -> field, NumPy type, value of silence, value of full scale
PORTAUDIO = {
    1: ("float32_data", "f4", 0, 1.0),
    2: ("int32_data", "i4", 0, 2.0**31),
    8: ("int16_data", "i2", 0, 2.0**15),
    16: ("int8_data", "i1", 0, 2.0**7),
    32: ("uint8_data", "u1", 128, 2.0**7),
}
UNSAID_RATE = 16_000  # Hz, of the sound that audio_capture publishes unless told otherwise, one channel of S16LE
MP3 = (b"ID3", *(bytes([0xFF, second]) for second in (0xFB, 0xFA, 0xF3, 0xF2, 0xE3, 0xE2)))  # how a chunk begins


def sound(message: Any) -> Sound:
    """Return a chunk of sound; its channels are averaged.

    Raises Any2AnyError on an unknown encoding, and when it has too many channels or samples, or an odd sample rate.
    """
    channels, rate = message.channels, message.sample_rate
    if message.encoding not in ENCODINGS:
        raise _refused(f"encoding '{message.encoding}'", channels, rate)
    dtype, full_scale = ENCODINGS[message.encoding]
    return _mono(_values(message.data, dtype), channels, rate, f"encoding '{message.encoding}'", full_scale)


def captured_sound(message: Any) -> Sound:
    """Return a chunk of audio_common_msgs/AudioData or AudioDataStamped, as ros-drivers has them.

    They do not say what they hold, and are taken for what audio_capture publishes by default: one channel of S16LE at
    UNSAID_RATE. Raises Any2AnyError for MP3.
    """
    data = np.frombuffer(getattr(message, "audio", message).data, dtype=np.uint8)
    if data[:3].tobytes().startswith(MP3):
        raise Any2AnyError("Cannot use a chunk of sound", "it is MP3", "Start audio_capture with format:=wave")
    dtype, full_scale = ENCODINGS["S16LE"]
    return _mono(_values(data, dtype), 1, UNSAID_RATE, "encoding 'S16LE'", full_scale)


def described_sound(message: Any) -> Sound:
    """Return a chunk of audio_common_msgs/AudioStamped, of the package whose messages name format, channels and rate.

    Raises Any2AnyError as `sound` does.
    """
    audio, info = message.audio, message.audio.info
    encoding = f"PortAudio's format {info.format}"
    if info.format not in PORTAUDIO:
        raise _refused(encoding, info.channels, info.rate)
    field, dtype, silence, full_scale = PORTAUDIO[info.format]
    chunk = audio.audio_data if hasattr(audio, "audio_data") else audio.audio
    heard = _mono(np.asarray(getattr(chunk, field), dtype=dtype), info.channels, info.rate, encoding, full_scale)
    return replace(heard, samples=heard.samples - np.float32(silence / full_scale))


def _values(data: Any, dtype: str) -> NDArray[Any]:
    """Return the values of all channels in a message's bytes; a broken last one is left out."""
    raw = np.frombuffer(data, dtype=np.uint8)
    return raw[: raw.size - raw.size % np.dtype(dtype).itemsize].view(dtype)


def _mono(values: NDArray[Any], channels: int, rate: int, encoding: str, full_scale: float) -> Sound:
    """Return the mean of the channels, whose values come in turn; a broken last frame is left out."""
    if channels < 1 or not limits.is_rate(rate):
        raise _refused(encoding, channels, rate)
    limits.check("a chunk of sound", channels, limits.CHANNELS, "channels", "Publish fewer")
    limits.check("a chunk of sound", values.size // channels, limits.SOUND_SAMPLES, "samples", "Publish shorter chunks")
    frames = values[: values.size - values.size % channels].reshape(-1, channels)
    mono = frames.mean(axis=1, dtype=np.float64) / full_scale
    if not np.isfinite(mono).all():
        raise Any2AnyError("Cannot use a chunk of sound", "it has samples that are not finite", "Check the driver")
    return Sound(mono.astype(np.float32), int(rate))


def _refused(encoding: str, channels: int, rate: int) -> Any2AnyError:
    remedy = f"Publish {' or '.join(ENCODINGS)} with at least one channel and {limits.RATES} Hz"
    return Any2AnyError("Cannot use a chunk of sound", f"{encoding}, {channels} channels, {rate} Hz", remedy)
