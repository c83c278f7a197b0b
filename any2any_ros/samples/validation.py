"""Samples that a Python user passes in: validated, and in the form that `decode` gives to an encoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from any2any_ros import limits
from any2any_ros.arrays import Array
from any2any_ros.errors import Any2AnyError
from any2any_ros.samples.images import valid_depth
from any2any_ros.samples.lidar import wrong_geometry
from any2any_ros.samples.values import Scan, Sound

FORMS = {
    "image": "an image is an array (H, W, 3) of uint8, RGB",
    "depth": "a depth image is an array (H, W) of metres, as floats, NaN or 0 where nothing was measured",
    "thermal": "a thermal image is an array (H, W) of numbers",
    "cloud": "a point cloud is an array (N, 3) or (N, 4) of x, y, z in metres, and intensity",
    "timed_cloud": "a point cloud is an array (N, 3) to (N, 5): x, y, z in metres, intensity, seconds after the stamp",
    "scan": "a laser scan is an any2any_ros.Scan(ranges, angle_min, angle_increment, range_max)",
    "sound": "a sound is an any2any_ros.Sound(samples, rate), its samples (S,) floats from -1 to 1, one channel",
    "text": "a text is a str",
}


def validate(kind: str, value: Any, modality: str) -> Any:
    """Return a sample of `kind` as an encoder takes it; `value` may be any array of the right shape and type.

    Encoders of other packages may have kinds that are not in FORMS; their samples are returned as they are. Raises
    Any2AnyError when the type, the shape or the dtype is wrong, and when it is larger than `limits` allow.
    """
    if kind not in FORMS:
        return value
    why = ""
    try:
        return _VALIDATORS[kind](value)
    except _Wrong as error:
        why = str(error)
    raise Any2AnyError(
        f"The '{modality}' sample cannot be used",
        why,
        f"{FORMS[kind][0].upper()}{FORMS[kind][1:]}. Leave out the key of a sensor that has no sample",
    )


GEOMETRY = ("angle_min", "angle_increment", "range_max", "time_increment")  # of a scan


class _Wrong(Exception):
    """Says what is wrong with a value."""


def _array(value: Any) -> NDArray[Any]:
    """Return an array of numbers."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):  # lists of different lengths, or something that only looks like an array
        raise _Wrong(f"it is {_described(value)} that is no array") from None
    if array.dtype.kind not in "iuf":
        raise _Wrong(f"it is {_described(value)}")
    if array.size == 0:
        raise _Wrong(f"it is empty, its shape is {array.shape}")
    return array


def _few(count: int, most: int, unit: str) -> None:
    if count > most:
        raise _Wrong(f"it has {count:,} {unit}, and at most {most:,} are read")


def _described(value: Any) -> str:
    return f"an array of {value.dtype}" if isinstance(value, np.ndarray) else f"of type {type(value).__name__}"


def _image(value: Any) -> NDArray[np.uint8]:
    array = _array(value)
    if array.ndim != 3 or array.shape[2] != 3 or array.dtype != np.uint8:
        raise _Wrong(f"its shape is {array.shape}, its dtype {array.dtype}")
    _few(array.shape[0] * array.shape[1], limits.PIXELS, "pixels")
    return np.ascontiguousarray(array)


def _plane(value: Any) -> Array:
    array = _array(value)
    if array.ndim != 2:
        raise _Wrong(f"its shape is {array.shape}")
    _few(array.size, limits.PIXELS, "pixels")
    return _single(array)


def _single(array: NDArray[Any]) -> Array:
    """Return the numbers in single precision; what that cannot hold is infinite."""
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, dtype=np.float32)


def _depth(value: Any) -> Array:
    if _array(value).dtype.kind != "f":
        raise _Wrong(f"its dtype is {np.asarray(value).dtype}, which is usual for millimetres")
    return valid_depth(_plane(value))


def _timed_cloud(value: Any) -> Array:
    array = _array(value)
    return _cloud(array, 5 if array.ndim == 2 and array.shape[1] >= 5 else 4)


def _cloud(value: Any, columns: int = 4) -> Array:
    array = _array(value)
    if array.ndim != 2 or array.shape[1] < 3:
        raise _Wrong(f"its shape is {array.shape}")
    _few(len(array), limits.POINTS, "points")
    points = np.zeros((len(array), columns), dtype=np.float32)
    with np.errstate(over="ignore"):  # what float32 cannot hold is left out below
        points[:, : array.shape[1]] = array[:, :columns]
    return points[np.isfinite(points).all(axis=1)]


def _scan(value: Any) -> Scan:
    if not isinstance(value, Scan):
        raise _Wrong(f"it is {_described(value)}")
    ranges = _array(value.ranges)
    if ranges.ndim != 1:
        raise _Wrong(f"the shape of its ranges is {ranges.shape}, not (B,)")
    _few(len(ranges), limits.BEAMS, "beams")
    if not isinstance(value.time_increment, int | float | np.integer | np.floating):
        raise _Wrong("its time from beam to beam is no number")
    try:
        if why := wrong_geometry(value.angle_min, value.angle_increment, value.range_max):
            raise _Wrong(why)
        numbers = {f: float(getattr(value, f)) for f in GEOMETRY}
    except OverflowError:  # whole numbers of hundreds of digits
        raise _Wrong("its angles, its largest range or its time from beam to beam are too large") from None
    return replace(value, ranges=_single(ranges), **numbers)


def _sound(value: Any) -> Sound:
    if not isinstance(value, Sound):
        raise _Wrong(f"it is {_described(value)}")
    samples = _array(value.samples)
    if samples.ndim != 1:
        raise _Wrong(f"the shape of its samples is {samples.shape}, not (S,)")
    if samples.dtype.kind != "f":
        raise _Wrong(f"the dtype of its samples is {samples.dtype}, not a float")
    if not limits.is_rate(value.rate):
        raise _Wrong(f"its rate is {value.rate!r} Hz, not {limits.RATES}")
    _few(len(samples), limits.SOUND_SAMPLES, "samples")
    single = _single(samples)
    if not np.isfinite(single).all():
        raise _Wrong("not all of its samples are finite")
    return Sound(single, int(value.rate))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _Wrong(f"it is {_described(value)}")
    _few(len(value), limits.CHARACTERS, "characters")
    return value


_VALIDATORS: dict[str, Callable[[Any], Any]] = {
    "image": _image,
    "depth": _depth,
    "thermal": _plane,
    "cloud": _cloud,
    "timed_cloud": _timed_cloud,
    "scan": _scan,
    "sound": _sound,
    "text": _text,
}
