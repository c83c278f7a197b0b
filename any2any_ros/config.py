"""Settings: frozen dataclasses whose fields carry a description, a unit and a range.

Each default is written once, in such a dataclass. ROS parameters, command-line flags and docs/parameters.md are made
from it. Settings of one part of the package live beside that part; settings that several parts share live here.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from any2any_ros import limits
from any2any_ros.errors import Any2AnyError

T = TypeVar("T")
BAD_PARAMETERS = 2  # exit code of a node whose parameters are wrong; started again, it would end again
PARENT = "ANY2ANY_PARENT"  # environment variable with the id of the process that starts the nodes
RESTARTS = "ANY2ANY_RESTARTS"  # environment variable that says how often a node was started again


def setting(
    default: Any,
    description: str,
    *,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Sequence[str] = (),
) -> Any:
    """Declare one field of a settings dataclass. `description` is a clause without a full stop."""
    metadata = {
        "description": description,
        "unit": unit,
        "minimum": minimum,
        "maximum": maximum,
        "choices": tuple(choices),
    }
    return field(default=default, metadata=metadata)


def name_setting(default: str, description: str, check: Callable[[Any], object]) -> Any:
    """Declare a field that holds a name. check: raises Any2AnyError for an invalid one (names.py); a default of "" is
    valid, too."""
    metadata = setting(default, description).metadata
    return field(default=default, metadata={**metadata, "check": check})


def live(declared: Any) -> Any:
    """Let a running node take another value for a field that was declared by `setting`."""
    return field(default=declared.default, metadata={**declared.metadata, "live": True})


def fields(config: Any) -> tuple[dataclasses.Field[Any], ...]:
    """Return the fields of a settings dataclass, or of an instance, that were declared by `setting`."""
    return tuple(f for f in dataclasses.fields(config) if "description" in f.metadata)


def describe(f: dataclasses.Field[Any]) -> str:
    """Return the description of one setting, followed by its range, unit and choices in brackets."""
    details = " ".join(filter(None, (_range(f), f.metadata["unit"], " | ".join(f.metadata["choices"]))))
    description = str(f.metadata["description"])
    return f"{description} [{details}]" if details else description


def _range(f: dataclasses.Field[Any]) -> str:
    low, high = f.metadata["minimum"], f.metadata["maximum"]
    if low is not None and high is not None:
        return f"{low:g} to {high:g}"
    if low is not None:
        return f"at least {low:g}"
    return "" if high is None else f"at most {high:g}"


class Settings:
    """Base of every settings dataclass. Building one raises Any2AnyError, naming the setting, when a value has the
    wrong type, is out of range or is none of the choices."""

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if not allowed(f, value):
                raise Any2AnyError(
                    f"Setting '{f.name}' cannot be {value!r}",
                    describe(f),
                    f"Give a value in that range (default {f.default!r})",
                )
            if "check" in f.metadata and (value or f.default):
                try:
                    f.metadata["check"](value)
                except Any2AnyError as error:
                    raise Any2AnyError(f"Setting '{f.name}': {error.what}", error.why, error.remedy) from error


def allowed(f: dataclasses.Field[Any], value: Any) -> bool:
    """Return whether a setting can have this value."""
    kind: Any = int | float if isinstance(f.default, float) else type(f.default)
    if not isinstance(value, kind) or isinstance(value, bool) != isinstance(f.default, bool):  # a bool is an int, too
        return False
    if isinstance(f.default, float) and not abs(value) <= sys.float_info.max:
        return False  # infinite, NaN, a whole number that is no float
    choices, low, high = (f.metadata[name] for name in ("choices", "minimum", "maximum"))
    return (not choices or value in choices) and (low is None or value >= low) and (high is None or value <= high)


def build(cls: type[T], values: Mapping[str, Any]) -> T:
    """Build the settings `cls` from plain values (JSON, YAML). Raises Any2AnyError on an unknown name."""
    known = {f.name for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise Any2AnyError(
            f"Unknown setting {', '.join(map(repr, unknown))}",
            f"{cls.__name__} has {', '.join(sorted(known))}",
            "Correct the name",
        )
    return cls(**values)


@dataclass(frozen=True)
class AliveConfig(Settings):
    """When a modality counts as alive, and how long the sensors of one moment wait for each other."""

    source_timeout: float = setting(
        2.0,
        "a modality is stale this long after its last message; overridden by source_timeouts.<modality>",
        unit="s",
        minimum=0.01,
        maximum=3600,
    )
    slop: float = setting(
        0.05,
        "messages whose stamps differ by at most this much belong to one moment",
        unit="s",
        minimum=0,
        maximum=10,
    )
    wait: float = setting(
        0.05,
        "longest wait for the message of an alive modality that is due at this moment",
        unit="s",
        minimum=0,
        maximum=10,
    )


@dataclass(frozen=True)
class RetrievalConfig(Settings):
    """What a ranking contains, and where it is computed."""

    k: int = live(setting(5, "number of matches in a ranking", minimum=1, maximum=limits.MATCHES))
    filter: str = live(
        setting(
            "none",
            "how earlier rankings count; bayes: a Bayes filter tracks the robot over the places of the map",
            choices=("none", "bayes"),
        )
    )
    device: str = setting(
        "auto",
        "where vectors are compared; auto: on the GPU where there is one and the map is large",
        choices=("auto", "cpu", "cuda"),
    )
    threads: int = setting(
        1, "number of CPU threads for searching maps of 50,000 or more places", minimum=1, maximum=64
    )


@dataclass(frozen=True)
class PlaceConfig(Settings):
    """What counts as the same place, and which references count when a map is evaluated."""

    hit_radius: float = setting(
        5.0, "a match within this distance of the query is right", unit="m", minimum=0.01, maximum=1e4
    )
    keyframe: float = setting(
        0.0,
        "distance from one reference place to the next; 0: every frame is a place",
        unit="m",
        minimum=0,
        maximum=1e4,
    )
    path_gap: float = setting(
        20.0,
        "where queries and references come from one drive, a reference counts only if it is at least this far from the "
        "query along the path",
        unit="m",
        minimum=0,
        maximum=1e6,
    )


@dataclass(frozen=True)
class PoseConfig(Settings):
    """Which moments of a recording get a pose, how the times and axes of its poses are read, and where odometry is."""

    pose_gap_time: float = setting(
        2.0,
        "between two poses that lie farther apart in time, a moment has no pose",
        unit="s",
        minimum=0.001,
        maximum=3600,
    )
    pose_gap_distance: float = setting(
        20.0,
        "between two poses that lie farther apart, a moment has no pose",
        unit="m",
        minimum=0.001,
        maximum=1e6,
    )
    pose_axes: str = setting(
        "auto",
        "axes of the poses; ros: x forward, z up; camera: z forward, y down, which are converted; auto: ROS axes, and "
        "an error when they look like a camera's",
        choices=("auto", "ros", "camera"),
    )
    base_frame: str = setting(
        "",
        "frame of the robot, to which /tf_static moves the poses and the LiDAR's scans; empty: the frame of the poses",
    )
    stamps: str = setting(
        "auto",
        "times of a bag's messages; header: when a sensor measured; received: when they were recorded; auto: header, "
        "and an error where sensors and poses have different clocks",
        choices=("auto", "header", "received"),
    )
    odometry: str = setting(
        "auto",
        "odometry of a bag, for encoders that put the last metres together: a topic such as /odom, or two frames such "
        "as /tf:odom.base_link; auto: what is named or typed as odometry; none: they match scans alone",
    )
