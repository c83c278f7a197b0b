"""A dataclass is built from a file's values exactly when each has the type that its field declares."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
import pytest

from any2any_ros import declared
from any2any_ros.arrays import Array, Float64, Floats, Int64, Names
from any2any_ros.declared import INFINITE, LARGEST, LONGEST_TEXT, NOT_NEGATIVE, POSITIVE, SHARE, UNKNOWN


@dataclass(frozen=True)
class Part:
    name: str
    size: Annotated[int, POSITIVE]


@dataclass(frozen=True, eq=False)
class Whole:
    name: str
    count: int
    tilt: float
    limit: Annotated[float, POSITIVE, INFINITE]
    share: Annotated[float, SHARE]
    chance: Annotated[float, SHARE, UNKNOWN]
    sure: bool
    shape: tuple[int, int]
    names: tuple[str, ...]
    rows: list[dict[str, Any]]
    part: Part
    parts: dict[str, Part]
    either: dict[str, float] | None
    settings: Mapping[str, Any]
    anything: Any
    wide: Float64
    single: Annotated[Array, UNKNOWN]
    of_any_precision: Floats
    stamps: Annotated[Int64, NOT_NEGATIVE]
    ids: Names
    sums: dict[str, Annotated[Float64, NOT_NEGATIVE, INFINITE]]


def values(**changes):
    return {
        "name": "straße", "count": 3, "tilt": 1, "limit": np.inf, "share": 1.0, "chance": np.nan, "sure": True,
        "shape": [2, 3], "names": ["a", "b"], "rows": [{"a": [1]}], "part": {"name": "p", "size": 1},
        "parts": {"q": {"name": "q", "size": 2}}, "either": None, "settings": {"a": [None, {"b": 1}]}, "anything": [{}],
        "wide": np.ones((2, 2)), "single": np.full(2, np.nan, np.float32), "of_any_precision": np.ones(1, np.float16),
        "stamps": np.arange(3), "ids": np.array(["a", "straße"]), "sums": {"a": np.array([0.0, np.inf])},
    } | changes  # fmt: skip


def test_values_of_the_declared_types_become_the_dataclass():
    whole = declared.build(Whole, values(unknown="is ignored"))
    assert whole.part == Part("p", 1) and whole.parts == {"q": Part("q", 2)}
    assert whole.shape == (2, 3) and whole.names == ("a", "b") and whole.rows == [{"a": [1]}]
    assert whole.tilt == 1.0 and isinstance(whole.tilt, float) and whole.either is None
    declared.check(whole)
    assert declared.build(Whole, values(either={"x": 1})).either == {"x": 1.0}


OTHERS = [None, True, 1, 1.5, "text", [1], [], {"a": 1}, {}, np.ones(2), np.nan, -1, 10**400]
ALSO = {  # of OTHERS, those that are of the declared type, too
    "name": ["text"], "count": [1, -1], "tilt": [1, 1.5, -1], "limit": [1, 1.5], "share": [1], "chance": [1, np.nan],
    "sure": [True], "names": [[]], "rows": [[]], "parts": [{}], "either": [None, {"a": 1}, {}],
    "settings": [{"a": 1}, {}], "wide": [np.ones(2)], "of_any_precision": [np.ones(2)], "sums": [{}],
}  # fmt: skip


@pytest.mark.parametrize("name", [name for name in values() if name != "anything"])
def test_values_of_other_types_are_refused_by_name(name):
    also = ALSO.get(name, [])
    for other in OTHERS:
        if not any(other is one or (type(other) is type(one) and np.array_equal(other, one)) for one in also):
            with pytest.raises((ValueError, OverflowError), match=f"'{name}|int too large"):
                declared.build(Whole, values(**{name: other}))
    without = {key: value for key, value in values().items() if key != name}
    with pytest.raises(ValueError, match=f"'{name}' is missing"):
        declared.build(Whole, without)


@pytest.mark.parametrize(
    ("name", "value", "why"),
    [
        ("name", "a\nb", "no printable text"), ("name", "\ud800", "no printable text"),
        ("name", "a" * (LONGEST_TEXT + 1), "at most 1000 characters"), ("count", True, "not a whole number"),
        ("tilt", np.inf, "must be finite"), ("tilt", np.nan, "must be finite"), ("tilt", 2 * LARGEST, "at most 1e.20"),
        ("limit", -np.inf, "above 0"), ("limit", 0, "above 0"), ("share", 1.01, "from 0 to 1"),
        ("chance", -0.1, "from 0 to 1"), ("chance", np.inf, "finite"), ("sure", 1, "not true or false"),
        ("shape", [1, 2, 3], "has 3 values, not 2"), ("shape", [1, "2"], "'shape' is '2'"),
        ("part", {"name": "p", "size": 0}, "in 'part' 'size' is 0"), ("part", {"name": "p"}, "in 'part' 'size'"),
        ("parts", {"q": 1}, "'parts/q' is 1"), ("rows", [1], "'rows' is 1"), ("either", {"x": "y"}, "'either/x'"),
        ("wide", np.ones(2, np.float32), "holds float32, not float64"), ("wide", np.ones(2, ">f8"), "holds >f8"),
        ("wide", np.array([1, np.nan]), "must be finite"), ("wide", np.array([np.inf]), "must be finite"),
        ("wide", np.array([1e300]), "at most 1e.20"), ("single", np.array([np.inf], np.float32), "must be finite"),
        ("single", np.array(["a"]), "holds <U1, not float32"), ("of_any_precision", np.arange(2), "holds int64"),
        ("stamps", np.array([-1]), "at least 0"), ("stamps", np.array([1.0]), "holds float64, not int64"),
        ("ids", np.array([b"a"]), "holds .S1, not str"), ("ids", np.array(["a\tb"]), "not printable"),
        ("ids", np.array(["a" * 2000]), "more than 1000"), ("sums", {"a": np.array([np.nan])}, "'sums/a' must"),
        ("sums", {1: np.ones(1)}, "'sums' is dict"), ("sums", {"\n": np.ones(1)}, "no printable text"),
    ],
)  # fmt: skip
def test_the_reason_names_the_value_and_what_is_expected(name, value, why):
    with pytest.raises(ValueError, match=why):
        declared.build(Whole, values(**{name: value}))


def test_an_instance_is_checked_as_its_values_are():
    with pytest.raises(ValueError, match=r"'size' is -3, and must be finite.* and above 0"):
        declared.check(Part("p", -3))
    made = declared.build(Whole, values())
    object.__setattr__(made, "part", Part("p", 0))
    with pytest.raises(ValueError, match="'size' is 0"):
        declared.check(made)
