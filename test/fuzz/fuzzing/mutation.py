"""Changes to values of any kind: what damage, mistakes and malice make of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .choices import Choices

INTEGERS = (
    0, 1, -1, 2, 3, 7, 127, 128, 255, 256, 32767, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1, 2**63 - 1, 2**63,
    -(2**31), -(2**63), 10**9, 10**18, 10**40,
)  # fmt: skip
FLOATS = (
    0.0, -0.0, 1.0, -1.0, 0.5, math.nan, math.inf, -math.inf, 1e-320, 1e-45, 1e-9, 1e9, 1e20, 3.4e38, -3.4e38, 1e40,
    1.7e308, -1.7e308, 2.0**31, 2.0**63, math.pi,
)  # fmt: skip
WORDS = (
    "", " ", "nan", "inf", "-inf", "1e400", "-1", "0", "007", "1_0", "0x10", "1.2.3", "true", "null", "\u0663\u0664",
    "\u00b2", "\x00", "\n", "\x1b[2J", "../../etc", "/", "a/b", ".", "..", "\ud800", "\udcff", "\u202e", "\u2028", "é",
    "%s%n", "{0}", "__import__", "a" * 300, "9" * 5000, "a b", "-", "--", "=", "a=b", "[", "{", "'", '"', "\\",
)  # fmt: skip
KINDS = ("f4", "f8", "f2", "i8", "u1", "i4", "b1", "c8", "U3", "S3", "M8[s]", ">f4", ">f8", "V4")


def other(choices: Choices) -> Any:
    """Return a value of any kind."""
    plain = (None, True, False, choices.one(*INTEGERS), choices.one(*FLOATS), choices.one(*WORDS))
    return choices.one(*plain, [], {}, [[]], [None], {"": 0}, [1, "a"])


def mutated(choices: Choices, value: Any) -> Any:
    """Return a value of nested lists, dicts, arrays and plain values with something changed."""
    if choices.often(0.05):
        return other(choices)
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        near = (value + 1, value - 1, -value, value ^ 1 << choices.randrange(33), value * 1000)
        return choices.one(choices.one(*INTEGERS), *near)
    if isinstance(value, float):
        return choices.one(choices.one(*FLOATS), -value, value * 10.0 ** choices.randint(-40, 40), value + 1e-3)
    if isinstance(value, str):
        return text(choices, value)
    if isinstance(value, bytes):
        return raw(choices, value)
    if isinstance(value, np.ndarray | np.generic):
        return array(choices, np.asarray(value))
    if isinstance(value, dict):
        return _dict(choices, value)
    if isinstance(value, list | tuple):
        return _list(choices, list(value))
    return other(choices)


def _dict(choices: Choices, value: dict[Any, Any]) -> dict[Any, Any]:
    if not value:
        return {choices.one(*WORDS): other(choices)}
    key, rest = choices.choice(list(value)), dict(value)
    how = choices.random()
    if how < 0.7:
        rest[key] = mutated(choices, value[key])
    elif how < 0.8:
        del rest[key]
    elif how < 0.9:
        rest[text(choices, key) if isinstance(key, str) else other(choices)] = rest.pop(key)
    else:
        rest[key] = rest[choices.choice(list(value))]
    return rest


def _list(choices: Choices, value: list[Any]) -> list[Any]:
    if not value:
        return [other(choices)]
    at, how = choices.randrange(len(value)), choices.random()
    if how < 0.6:
        value[at] = mutated(choices, value[at])
    elif how < 0.7:
        del value[at]
    elif how < 0.8:
        value.insert(at, value[choices.randrange(len(value))])
    elif how < 0.85:
        value.append(other(choices))
    elif how < 0.9:
        value = value * choices.one(2, 100)
    elif how < 0.95:
        value = []
    else:
        choices.shuffle(value)
    return value


def text(choices: Choices, value: str) -> str:
    """Return a text with something changed."""
    at, end = sorted((choices.randint(0, len(value)), choices.randint(0, len(value))))
    how = choices.random()
    if how < 0.3:
        return str(choices.one(*WORDS))
    if how < 0.5:
        return value[:at] + choices.one(*WORDS) + value[end:]
    if how < 0.7:
        return value[:at] + value[end:]
    if how < 0.9:
        return value[:at] + chr(choices.one(choices.randrange(128), choices.randrange(0x3000), 0x1F600)) + value[at:]
    return value * choices.one(2, 3, 50)


def raw(choices: Choices, value: bytes) -> bytes:
    """Return bytes with something changed."""
    data = bytearray(value)
    for _ in range(choices.one(1, 1, 1, 2, 5, 20)):
        at, how, length = choices.randint(0, len(data)), choices.random(), choices.one(1, 2, 4, 8, 64)
        if how < 0.25 and data:
            data[at % len(data)] ^= 1 << choices.randrange(8)
        elif how < 0.5:  # a number, such as a length or an offset
            size = choices.one(1, 2, 4, 8)
            number = choices.one(*INTEGERS) % (1 << 8 * size)
            data[at : at + size] = number.to_bytes(size, choices.one("little", "big"))
        elif how < 0.6:
            del data[at:]
        elif how < 0.7:
            del data[at : at + length]
        elif how < 0.8:
            data[at:at] = choices.one(bytes(length), b"\xff" * length, choices.randbytes(length))
        elif how < 0.9:
            data[at:at] = data[at : at + choices.one(4, 100)]
        else:
            data[at : at + length] = choices.one(bytes(length), b"\xff" * length, choices.randbytes(length))
    return bytes(data)


def array(choices: Choices, value: np.ndarray) -> np.ndarray:
    """Return an array with other values, another shape or another type."""
    return np.asarray(_array(choices, value))


def _array(choices: Choices, value: np.ndarray) -> Any:
    how = choices.random()
    if how < 0.45 and value.size:
        return _values(choices, value.copy())
    if how < 0.75:
        return _shape(choices, value)
    if how < 0.95:
        with np.errstate(all="ignore"):
            try:
                # NumPy 2.4 ends the process where texts become times, or times texts.
                return value.astype(choices.one(*KINDS)) if value.dtype.kind in "biufc" else value
            except (TypeError, ValueError, OverflowError):
                return np.zeros(value.shape, "f8")
    return np.array(other(choices), dtype=object)


def _values(choices: Choices, value: np.ndarray) -> np.ndarray:
    flat = value.reshape(-1)
    count = choices.one(1, 1, 2, flat.size)
    at = slice(None) if count == flat.size else choices.arrays.integers(0, flat.size, count)
    with np.errstate(all="ignore"):
        if value.dtype.kind in "fc":
            flat[at] = choices.one(*FLOATS, *(flat.ravel()[:1] * f for f in (0, -1, 1e10, 1e-10)))
        elif value.dtype.kind in "iu":
            limits = np.iinfo(value.dtype)
            flat[at] = choices.one(0, limits.min, limits.max, 1)
        elif value.dtype.kind == "b":
            flat[at] = ~flat[at]
        elif value.dtype.kind in "US":
            flat[at] = choices.one("", "a", flat[0])
    return flat.reshape(value.shape)


def _shape(choices: Choices, value: np.ndarray) -> np.ndarray:
    row = choices.randrange(max(1, len(value) if value.ndim else 1))
    return choices.one(
        lambda: value[:row] if value.ndim else value,
        lambda: np.delete(value, row, axis=0) if value.ndim and len(value) else value,
        lambda: np.concatenate([value, value[row : row + 1]]) if value.ndim else value,
        lambda: value[..., :-1] if value.ndim else value,
        lambda: value[None],
        lambda: value[..., None],
        lambda: value.ravel(),
        lambda: value.T,
        lambda: value[:0] if value.ndim else value[None][:0],
        lambda: np.asfortranarray(value),
        lambda: value.reshape(-1)[0] if value.size else value,
        lambda: np.repeat(value, 3, axis=-1) if value.ndim else value,
    )()
