"""Settings: a default is in range, a value out of range is refused by name, and what is shown is what holds."""

import json
import math
from dataclasses import dataclass, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from any2any_ros import config
from any2any_ros.config import AliveConfig, PlaceConfig, Settings, build, describe, setting
from any2any_ros.errors import Any2AnyError


@dataclass(frozen=True)
class Example(Settings):
    size: int = setting(3, "how large", unit="m", minimum=1, maximum=9)
    share: float = setting(0.5, "how much", minimum=0)
    most: float = setting(1.0, "at the top", maximum=2)
    kind: str = setting("a", "which", choices=("a", "b"))
    free: str = setting("", "anything")
    plain: int = 7  # no setting


@pytest.mark.parametrize(
    "change",
    [
        {"size": 0},
        {"size": 10},
        {"share": -0.1},
        {"share": math.nan},
        {"most": 2.1},
        {"most": math.nan},
        {"kind": "c"},
        {"share": math.inf},
        {"most": -math.inf},
        {"share": 10**400},
    ],
    ids=lambda change: str(change)[:30],
)
def test_a_value_out_of_range_is_refused_by_name(change):
    (name,) = change
    with pytest.raises(Any2AnyError, match=f"Setting '{name}' cannot be") as error:
        Example(**change)
    field = next(f for f in fields(Example) if f.name == name)
    assert error.value.why == describe(field) and repr(field.default) in error.value.remedy


@given(st.integers(-5, 15))
def test_exactly_the_range_is_allowed(size):
    try:
        allowed = Example(size=size).size == size
    except Any2AnyError:
        allowed = False
    assert allowed == (1 <= size <= 9)


@pytest.mark.parametrize(
    "change",
    [{"size": "3"}, {"size": 2.5}, {"size": None}, {"size": True}, {"share": "half"}, {"share": True}, {"kind": 1},
     {"free": 3}],
    ids=str,
)  # fmt: skip
def test_a_value_of_another_type_is_refused(change):
    (name,) = change
    with pytest.raises(Any2AnyError, match=f"Setting '{name}' cannot be"):
        Example(**change)


def test_a_whole_number_will_do_for_a_float():
    assert Example(share=2).share == 2


def test_an_unknown_setting_is_named_beside_the_known_ones():
    with pytest.raises(Any2AnyError, match=r"'colour', 'sise'.*free, kind, most, plain, share, size"):
        build(Example, {"sise": 3, "colour": 1})


def test_build_takes_what_json_gives():
    given_values = json.loads('{"size": 4, "kind": "b"}')
    assert build(Example, given_values) == Example(4, kind="b")
    assert build(Example, {}) == Example()


def test_description_shows_range_unit_and_choices():
    shown = {f.name: describe(f) for f in config.fields(Example)}
    assert shown == {
        "size": "how large [1 to 9 m]",
        "share": "how much [at least 0]",
        "most": "at the top [at most 2]",
        "kind": "which [a | b]",
        "free": "anything",
    }


def test_settings_cannot_be_changed_afterwards():
    with pytest.raises(AttributeError):
        AliveConfig().slop = 1.0  # type: ignore[misc]


def test_the_documented_defaults_hold():
    """Figures that the design and the literature fix: a change here is a decision, not a slip."""
    assert AliveConfig().source_timeout == 2.0  # Nav2's default
    assert PlaceConfig().hit_radius == 5.0
