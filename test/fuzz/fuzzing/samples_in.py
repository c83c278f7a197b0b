"""Samples of odd shapes and values: into encoders, and from the users of the Python interface."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np

from any2any_ros import encoders, samples
from any2any_ros.encoders import ENCODERS
from any2any_ros.protocols import gathered
from any2any_ros.samples import Scan, Sound
from any2any_ros.samples.validation import FORMS, validate

from .boundary import Boundary
from .choices import Choices
from .mutation import array, mutated
from .sensor_messages import wrong_sample

CLASSICAL = (
    "audio", "birds_eye", "camera", "crop", "depth", "laser_scan", "laser_submap", "lidar", "lidar_submap", "speech",
    "text", "thermal",
)  # fmt: skip
MOMENTS = itertools.count(step=10**8)  # ns, of the samples that an encoder puts together


@cache
def encoder(plug: str) -> Any:
    return encoders.build(plug)


def _sample(choices: Choices) -> tuple[str, Any]:
    plug = choices.choice(CLASSICAL)
    return plug, samples.example(ENCODERS.find(plug).accepts)


def _odd(choices: Choices, given: tuple[str, Any]) -> tuple[str, Any]:
    """Return a sample of odd shape or values, but of the dtype that a node decodes."""
    plug, sample = given
    if isinstance(sample, Scan):
        angles = {n: mutated(choices, getattr(sample, n)) for n in ("angle_min", "angle_increment", "range_max")}
        if choices.often(0.5) and all(isinstance(a, int | float) and abs(a) < 1e308 for a in angles.values()):
            return plug, Scan(sample.ranges, *angles.values())
        return plug, replace(sample, ranges=_same_type(choices, sample.ranges))
    if isinstance(sample, Sound):
        return plug, Sound(_same_type(choices, sample.samples), choices.one(sample.rate, 8000, 1000, 384_000, 11_025))
    return plug, _same_type(choices, sample) if isinstance(sample, np.ndarray) else mutated(choices, sample)


def _same_type(choices: Choices, value: np.ndarray) -> np.ndarray:
    """Return the array with other values or a shape of the same number of axes."""
    if choices.often(0.4):
        keep = tuple(slice(0, choices.one(0, 1, 2, 3, 7, n)) for n in value.shape[: 1 if value.shape[-1] == 4 else 2])
        return value[keep]
    other = array(choices, value)
    return other if other.dtype == value.dtype and other.ndim == value.ndim else value


def _encoded(given: tuple[str, Any]) -> Any:
    plug, sample = given
    kind = ENCODERS.find(plug).accepts
    value = validate(kind, sample, plug)
    if encoder(plug).uses_odometry:
        gathered(encoder(plug), value, next(MOMENTS), None)
    return encoder(plug).encode(value)


def _wrong_vector(given: tuple[str, Any], vector: Any) -> str:
    expected = (encoder(given[0]).dimension,)
    if vector.shape != expected or vector.dtype != np.float32:
        return f"{given[0]}: a vector {vector.dtype} {vector.shape}, not {expected}"
    length = float(np.linalg.norm(vector))
    return "" if abs(length - 1) < 1e-3 else f"{given[0]}: a vector of length {length}"


def _any_value(choices: Choices) -> tuple[str, Any]:
    kind = choices.choice(sorted(FORMS))
    return kind, samples.example(kind)


def _value(choices: Choices, value: Any) -> Any:
    if isinstance(value, Scan):
        return Scan(*(mutated(choices, v) if choices.often(0.4) else v for v in vars(value).values()))
    if isinstance(value, Sound):
        return Sound(*(mutated(choices, v) if choices.often(0.5) else v for v in vars(value).values()))
    return mutated(choices, value)


BOUNDARIES = (
    Boundary("encoders", _sample, _encoded, _wrong_vector, _odd, milliseconds=6.0, seconds=3.0, megabytes=256.0),
    Boundary(
        "samples from Python", _any_value, lambda given: validate(*given, "x"),
        lambda given, sample: wrong_sample(given[0], sample),
        lambda choices, given: (given[0], _value(choices, given[1])),
    ),
)  # fmt: skip
