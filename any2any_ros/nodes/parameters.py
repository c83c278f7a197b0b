"""ROS parameters made from settings dataclasses: description, range and default are written once, there."""

from __future__ import annotations

import dataclasses
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node

from any2any_ros import config
from any2any_ros.errors import Any2AnyError

T = TypeVar("T")
WIDEST = 2**31 - 1


def declare(node: Node, cls: type[T], prefix: str = "", **defaults: Any) -> T:
    """Declare every setting of `cls` as a parameter (prefix.name) and return the settings as they are given.

    defaults: where this node's default differs from the dataclass's. Raises Any2AnyError on a value out of range.
    """
    values = {}
    for f in config.fields(cls):
        default = defaults.get(f.name, f.default)
        name = f"{prefix}.{f.name}" if prefix else f.name
        if not node.has_parameter(name):
            node.declare_parameter(name, default, _descriptor(f, default))
        values[f.name] = _typed(name, node.get_parameter(name).value, default)
    return config.build(cls, values)


def _typed(name: str, value: Any, default: Any) -> Any:
    """Return the value in its default's type; `source_timeout:=2` means 2.0."""
    if type(default) is float and type(value) is int:
        return float(value)
    if type(value) is not type(default):
        raise Any2AnyError(
            f"Parameter '{name}' cannot be {value!r}",
            f"it is of type {type(default).__name__}",
            f"Give such a value (default {default!r})",
        )
    return value


def _descriptor(f: dataclasses.Field[Any], default: Any) -> ParameterDescriptor:
    m = f.metadata
    low, high = m["minimum"], m["maximum"]
    # Types are checked by _typed, whose message says what to do; rclpy would refuse 2 for 2.0.
    descriptor = ParameterDescriptor(description=config.describe(f), read_only=True, dynamic_typing=True)
    if isinstance(default, bool) or (low is None and high is None):
        return descriptor
    low, high = (-WIDEST if low is None else low), (WIDEST if high is None else high)
    if isinstance(default, int):
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=0)]
    elif isinstance(default, float):
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    return descriptor
