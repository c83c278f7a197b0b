"""ROS messages of any type: valid ones, ones with wrong content (but of the declared types), and damaged bytes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
from rosbags.typesys import Stores, get_types_from_msg, get_typestore
from rosbags.typesys.store import Typestore

from any2any_ros import share

from .choices import Choices
from .mutation import FLOATS, INTEGERS, raw, text

BASE, NAME, ARRAY, SEQUENCE = 1, 2, 3, 4  # kinds of a field, in rosbags
NUMPY = {"float32": "f4", "float64": "f8", "bool": "?", "octet": "u1", "byte": "u1", "char": "u1"}
OURS = ("AudioStamped", "Embedding", "Match", "Ranking")
MOST = 4096  # values of an array that a mutation makes


@cache
def store() -> Typestore:
    """Return the types of ROS and all of ours."""
    types = get_typestore(Stores.ROS2_JAZZY)
    for name in OURS:
        types.register(get_types_from_msg(share.find("msg", f"{name}.msg").read_text(), f"any2any_ros/msg/{name}"))
    return types


def make(kind: str, **fields: Any) -> Any:
    """Return a message of a type; fields that are not named have their defaults."""
    values = {name: fields[name] if name in fields else default(field) for name, field in _fields(kind)}
    return store().types[kind](**values)


def default(field: Any) -> Any:
    kind, detail = field
    if kind == NAME:
        return make(detail)
    if kind == BASE:
        return _plain(detail[0])
    inner, count = detail
    if inner[0] == BASE and inner[1][0] != "string":
        return np.zeros(count if kind == ARRAY else 0, dtype=_dtype(inner[1][0]))
    return [default(inner) for _ in range(count if kind == ARRAY else 0)]


def header(choices: Choices, stamp: float = 3.25) -> Any:
    time = make("builtin_interfaces/msg/Time", sec=int(stamp), nanosec=int(stamp % 1 * 1e9))
    return make("std_msgs/msg/Header", stamp=time, frame_id=choices.one("map", "sensor", ""))


def mutated_message(choices: Choices, message: Any) -> Any:
    """Return the message with one value changed to another of its type."""
    name, field = choices.choice(_fields(message.__msgtype__))
    return replace(message, **{name: _mutated(choices, getattr(message, name), field)})


def serialised(message: Any) -> bytes:
    return bytes(store().serialize_cdr(message, message.__msgtype__))


def damaged(choices: Choices, data: bytes) -> bytes:
    """Return serialised bytes with something changed behind the encapsulation header, mostly."""
    return raw(choices, data) if choices.often(0.2) else data[:4] + raw(choices, data[4:])


def _mutated(choices: Choices, value: Any, field: Any) -> Any:
    kind, detail = field
    if kind == NAME:
        return mutated_message(choices, value)
    if kind == BASE:
        return _other(choices, value, detail[0])
    inner = detail[0]
    if isinstance(value, np.ndarray):
        return _array(choices, value, fixed=kind == ARRAY)
    return _list(choices, list(value), inner, fixed=kind == ARRAY)


def _array(choices: Choices, value: np.ndarray, fixed: bool) -> np.ndarray:
    if value.size and choices.often(0.5):
        out = value.copy()
        at = choices.arrays.integers(0, value.size, choices.one(1, 3, value.size))
        with np.errstate(all="ignore"):
            out[at] = np.array(_other(choices, 0, str(value.dtype))).astype(value.dtype)
        return out
    if fixed:
        return value
    at = choices.randint(0, value.size)
    return choices.one(value[:at], value[at:], np.tile(value, 2)[:MOST], value[:0], np.delete(value, slice(at, at + 1)))


def _list(choices: Choices, value: list[Any], inner: Any, fixed: bool) -> list[Any]:
    if value and (fixed or choices.often(0.6)):
        at = choices.randrange(len(value))
        value[at] = _mutated(choices, value[at], inner)
        return value
    if fixed:
        return value
    how = choices.randrange(5)
    if how == 0 or not value:
        value.append(default(inner))
    elif how == 1:
        del value[choices.randrange(len(value))]
    elif how == 2:
        value.append(choices.choice(value))
    elif how == 3:
        value = []
    else:
        choices.shuffle(value)
    return value


def _other(choices: Choices, value: Any, kind: str) -> Any:
    if kind == "string":
        return text(choices, value).encode("utf-8", "ignore").decode().replace("\x00", "")[: 1 << 12]
    dtype = np.dtype(_dtype(kind))
    if dtype.kind == "b":
        return not value
    if dtype.kind == "f":
        with np.errstate(all="ignore"):
            return float(np.array(choices.one(*FLOATS, -value, value * 1e6, value + 1)).astype(dtype))
    limits = np.iinfo(dtype)
    near = (int(value) + 1, int(value) - 1, int(value) * 2, int(value) ^ 1 << choices.randrange(32))
    number = choices.one(*INTEGERS, *near)
    return min(max(number, int(limits.min)), int(limits.max))


def _plain(kind: str) -> Any:
    return "" if kind == "string" else {"b": False, "f": 0.0}.get(np.dtype(_dtype(kind)).kind, 0)


def _dtype(kind: str) -> str:
    return NUMPY.get(kind, kind)


def _fields(kind: str) -> list[tuple[str, Any]]:
    return [(name, (int(node), detail)) for name, (node, detail) in store().fielddefs[kind][1]]
