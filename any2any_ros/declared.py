"""Builds dataclasses from values of a file. Each value must have the type that its field declares.

    float, int, bool, str             a number is finite and at most LARGEST; a text is printable
    Float64, Array, Names, ...        an array of exactly this dtype, with values as above
    tuple[str, ...], tuple[int, int]  a list in a JSON file
    dict[str, T], Mapping[str, T]     T: any of these
    another dataclass                 built in the same way
    T | None, Any
    Annotated[T, POSITIVE]            T, and its numbers are above 0; NOT_NEGATIVE: at least 0; SHARE: from 0 to 1
    Annotated[T, INFINITE]            T, but its numbers may be infinite; UNKNOWN: they may be NaN

What the types cannot say, such as the shapes of arrays, is for the `__post_init__` of the dataclass.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
INFINITE, UNKNOWN, POSITIVE, NOT_NEGATIVE, SHARE = "infinite", "unknown", "above 0", "at least 0", "from 0 to 1"
LARGEST = 1e20  # above all that is ever measured or fitted; the square of a larger float32 is infinite
LONGEST_TEXT = 1000  # characters
PLAIN: dict[Any, tuple[Any, str]] = {
    float: (int | float, "a number"),
    int: (int, "a whole number"),
    bool: (bool, "true or false"),
    str: (str, "a text"),
}


def build(cls: type[T], values: Mapping[str, Any]) -> T:
    """Return the dataclass with these values of its fields. Values that it does not have are ignored.

    Raises ValueError, which names the value, when one without a default is missing or one is not of the declared type.
    """
    if not isinstance(values, Mapping):
        raise _refused(cls.__name__.lower(), values, "a group of values")
    of: Any = cls
    declared = _types(of)
    given = [f.name for f in dataclasses.fields(of) if f.name in values or not _has_default(f)]
    require(given, values)
    return cls(**{name: _checked(values[name], declared[name], name) for name in given})


def require(names: Iterable[str], values: Mapping[str, Any]) -> None:
    """Raise ValueError when one of the values is missing."""
    for name in names:
        if name not in values:
            raise ValueError(f"'{name}' is missing")


def _has_default(f: dataclasses.Field[Any]) -> bool:
    return f.default is not dataclasses.MISSING or f.default_factory is not dataclasses.MISSING


def check(instance: Any) -> None:
    """Raise ValueError unless each field of a dataclass has the declared type, so that `build` would accept it."""
    of: Any = type(instance)
    declared = _types(of)
    for f in dataclasses.fields(instance):
        _checked(getattr(instance, f.name), declared[f.name], f.name)


@cache
def _types(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls, include_extras=True)


def _checked(value: Any, declared: Any, name: str, marks: tuple[str, ...] = ()) -> Any:
    """Return a value of the declared type. marks: what is said of its numbers, such as POSITIVE."""
    origin, inside = get_origin(declared), get_args(declared)
    if declared is Any:
        return value
    if origin is Annotated:
        return _checked(value, inside[0], name, (*marks, *declared.__metadata__))
    if origin in (Union, types.UnionType):
        return None if value is None else _checked(value, inside[0], name, marks)
    if declared in PLAIN:
        return _plain(value, declared, name, marks)
    if dataclasses.is_dataclass(declared):
        return _dataclass(value, declared, name)
    return CONTAINERS[origin](value, inside, name, marks)


def _plain(value: Any, declared: Any, name: str, marks: tuple[str, ...]) -> Any:
    kind, words = PLAIN[declared]
    if not isinstance(value, kind) or (isinstance(value, bool) and declared is not bool):
        raise _refused(name, value, words)
    if declared is str and not _readable(value, len(value)):
        raise ValueError(f"'{name}' is no printable text of at most {LONGEST_TEXT} characters")
    if declared in (float, int) and not _usable(np.array(float(value)), marks):
        raise ValueError(f"'{name}' is {value}, and must be {_range(marks)}")
    return float(value) if declared is float else value


def _dataclass(value: Any, declared: Any, name: str) -> Any:
    if dataclasses.is_dataclass(value):
        check(value)
        return value
    if not isinstance(value, dict):
        raise _refused(name, value, "a group of values")
    try:
        return build(declared, value)
    except ValueError as error:
        raise ValueError(f"in '{name}' {error}") from error


def _array(value: Any, inside: tuple[Any, ...], name: str, marks: tuple[str, ...]) -> NDArray[Any]:
    scalar = get_args(inside[1])[0]  # the dtype of NDArray[scalar]
    scalar = get_origin(scalar) or scalar  # np.floating[Any] is np.floating
    if not isinstance(value, np.ndarray):
        raise _refused(name, value, "an array")
    fits = scalar is Any or np.issubdtype(value.dtype, scalar)
    if not fits or value.dtype.kind not in "biufU" or not value.dtype.isnative:
        words = "numbers or text" if scalar is Any else scalar.__name__.strip("_")
        raise ValueError(f"'{name}' holds {value.dtype}, not {words}")
    if value.dtype.kind in "fiu" and not _usable(value, marks):
        raise ValueError(f"each number of '{name}' must be {_range(marks)}")
    if value.dtype.kind == "U" and not _readable("".join(value.ravel().tolist()), value.dtype.itemsize // 4):
        raise ValueError(f"'{name}' holds a text that is not printable, or has more than {LONGEST_TEXT} characters")
    return value


def _dict(value: Any, inside: tuple[Any, ...], name: str, marks: tuple[str, ...]) -> dict[str, Any]:
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise _refused(name, value, "a group of values")
    return {_plain(key, str, name, ()): _checked(v, inside[1], f"{name}/{key}", marks) for key, v in value.items()}


def _sequence(value: Any, inside: tuple[Any, ...], name: str, marks: tuple[str, ...]) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _refused(name, value, "a list")
    each = inside[:1] * len(value) if inside[1:] == (...,) else inside
    if len(each) != len(value):
        raise ValueError(f"'{name}' has {len(value)} values, not {len(each)}")
    return tuple(_checked(v, declared, name, marks) for v, declared in zip(value, each, strict=True))


def _list(value: Any, inside: tuple[Any, ...], name: str, marks: tuple[str, ...]) -> list[Any]:
    return list(_sequence(value, (*inside, ...), name, marks))


CONTAINERS: dict[Any, Callable[[Any, tuple[Any, ...], str, tuple[str, ...]], Any]] = {
    np.ndarray: _array, dict: _dict, Mapping: _dict, tuple: _sequence, list: _list,
}  # fmt: skip


def _usable(numbers: NDArray[Any], marks: tuple[str, ...]) -> bool:
    largest = min(LARGEST, float(np.finfo(numbers.dtype).max)) if numbers.dtype.kind == "f" else LARGEST
    fine = np.abs(numbers) <= largest  # False for NaN
    if INFINITE in marks:
        fine |= np.isinf(numbers)
    for mark, low in ((POSITIVE, numbers > 0), (NOT_NEGATIVE, numbers >= 0), (SHARE, (numbers >= 0) & (numbers <= 1))):
        fine &= low if mark in marks else True
    return bool((fine | np.isnan(numbers)).all() if UNKNOWN in marks else fine.all())


def _range(marks: tuple[str, ...]) -> str:
    bounds = [mark for mark in marks if mark in (POSITIVE, NOT_NEGATIVE, SHARE)]
    return " and ".join(["a number" if INFINITE in marks else f"finite, at most {LARGEST:g}", *bounds])


def _readable(text: str, longest: int) -> bool:
    return text.isprintable() and longest <= LONGEST_TEXT


def _refused(name: str, value: Any, words: str) -> ValueError:
    shown = repr(value) if isinstance(value, bool | int | float | str | None) else type(value).__name__
    shown = shown if len(shown) <= 40 else f"{shown[:40]}..."
    return ValueError(f"'{name}' is {shown}, not {words}")
