"""Makes ROS parameters from settings dataclasses, where descriptions, ranges and defaults are written once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor, SetParametersResult
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.parameter import Parameter

from any2any_ros import config
from any2any_ros.errors import Any2AnyError

T = TypeVar("T")
Change = Callable[[dict[str, Any]], None]
TIMEOUTS = "source_timeouts."
TIMEOUT = next(f for f in config.fields(config.AliveConfig) if f.name == "source_timeout")
WIDEST = 2**31 - 1  # the end of a range that a setting leaves open


def declare(node: Node, cls: type[T], prefix: str = "", **defaults: Any) -> T:
    """Declare every setting of the dataclass `cls` as a parameter, and return the settings with the parameters' values.

    prefix: put before the parameters' names, with a dot. defaults: the defaults of this node, where they differ from
    the dataclass's. Raises Any2AnyError when a value has another type or is out of range.
    """
    values = {}
    for f in config.fields(cls):
        name = f"{prefix}.{f.name}" if prefix else f.name
        values[f.name] = _value(node, name, f, defaults.get(f.name, f.default))
    return config.build(cls, values)


def source_timeouts(node: Node, default: float, modalities: Iterable[str]) -> dict[str, float]:
    """Return the source_timeout of each modality, in seconds.

    The parameter `source_timeouts.<modality>` is declared when a map first names the modality. default: its default.
    Raises Any2AnyError when a value has another type or is out of range.
    """
    return {m: float(_value(node, f"{TIMEOUTS}{m}", TIMEOUT, default, live=True)) for m in modalities}


def changed_timeouts(values: dict[str, Any], now: dict[str, float]) -> dict[str, float]:
    """Return the source_timeout of each modality, in seconds, after parameters are set. now: those in use.

    Raises Any2AnyError for a value of another type or out of range.
    """
    named = {name.removeprefix(TIMEOUTS): value for name, value in values.items() if name.startswith(TIMEOUTS)}
    return now | {m: float(_allowed(f"{TIMEOUTS}{m}", TIMEOUT, v, TIMEOUT.default)) for m, v in named.items()}


def changed(settings: T, values: dict[str, Any]) -> T:
    """Return the settings after parameters are set. Raises Any2AnyError for a value of another type or out of range."""
    live = {f.name: f for f in config.fields(settings) if f.name in values and "live" in f.metadata}
    now = {f.name: getattr(settings, f.name) for f in config.fields(settings)}
    return config.build(type(settings), now | {n: _allowed(n, f, values[n], f.default) for n, f in live.items()})


def let_change(node: Node, change: Change) -> None:
    """Call change(values by name) when parameters of a running node are set. An Any2AnyError refuses all of them."""

    def call(parameters: list[Parameter]) -> SetParametersResult:
        try:
            # It is called for those that are being declared, too.
            change({p.name: p.value for p in parameters if node.has_parameter(p.name)})
        except Any2AnyError as error:
            return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    node.add_on_set_parameters_callback(call)


def _value(node: Node, name: str, f: dataclasses.Field[Any], default: Any, live: bool = False) -> Any:
    """Return the value of a parameter that a setting describes, and declare it before if it is new."""
    try:
        if not node.has_parameter(name):
            node.declare_parameter(name, default, _descriptor(f, default, live or "live" in f.metadata))
    except ParameterException as error:
        remedy = f"Give another value: {config.describe(f)}"
        raise Any2AnyError(f"Parameter '{name}' cannot be used", str(error), remedy) from error
    return _allowed(name, f, node.get_parameter(name).value, default)


def _allowed(name: str, f: dataclasses.Field[Any], value: Any, default: Any) -> Any:
    """Return the value in the type of its default. Raises Any2AnyError for another type, or out of range."""
    value = _typed(name, value, default)
    if not config.allowed(f, value):
        remedy = f"Give a value in that range (the default is {default!r})"
        raise Any2AnyError(f"Parameter '{name}' cannot be {value!r}", config.describe(f), remedy)
    return value


def _typed(name: str, value: Any, default: Any) -> Any:
    """Return the value in the type of its default: `source_timeout:=2` means 2.0."""
    if type(default) is float and type(value) is int:
        return float(value)
    if type(default) is tuple and value is None:  # a list without elements has no type in ROS
        return default
    listed = type(default) is tuple and isinstance(value, Sequence) and not isinstance(value, str)
    if listed and all(isinstance(one, str) for one in value):
        return tuple(value)
    if type(value) is not type(default):
        raise Any2AnyError(
            f"Parameter '{name}' cannot be {value!r}",
            f"it is of type {type(default).__name__}",
            f"Give a value of that type (the default is {default!r})",
        )
    return value


def _descriptor(f: dataclasses.Field[Any], default: Any, live: bool) -> ParameterDescriptor:
    m = f.metadata
    low, high = m["minimum"], m["maximum"]
    # dynamic_typing: `_typed` checks the types and says what to do. rclpy itself would refuse 2 for 2.0.
    descriptor = ParameterDescriptor(description=config.describe(f), read_only=not live, dynamic_typing=True)
    if isinstance(default, bool) or (low is None and high is None):
        return descriptor
    low, high = (-WIDEST if low is None else low), (WIDEST if high is None else high)
    if isinstance(default, int):
        descriptor.integer_range = [IntegerRange(from_value=int(low), to_value=int(high), step=0)]
    elif isinstance(default, float):
        descriptor.floating_point_range = [FloatingPointRange(from_value=float(low), to_value=float(high))]
    return descriptor
