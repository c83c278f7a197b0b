"""Settings: frozen dataclasses that carry their own description, unit and range.

A default is written once, in such a dataclass; ROS parameters, command-line flags and the tables in the
docs are made from it. Settings of one part of the system live beside that part; those shared by several here.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from any2any_ros.errors import Any2AnyError

T = TypeVar("T")


def setting(
    default: Any,
    description: str,
    *,
    unit: str = "",
    minimum: float | None = None,
    maximum: float | None = None,
    choices: Sequence[str] = (),
) -> Any:
    """Declare one field of a settings dataclass."""
    metadata = {
        "description": description,
        "unit": unit,
        "minimum": minimum,
        "maximum": maximum,
        "choices": tuple(choices),
    }
    return field(default=default, metadata=metadata)


def fields(config: Any) -> tuple[dataclasses.Field[Any], ...]:
    """Return the settings of a settings dataclass or instance."""
    return tuple(f for f in dataclasses.fields(config) if "description" in f.metadata)


def describe(f: dataclasses.Field[Any]) -> str:
    """Return one setting's description with its unit, range and choices."""
    m = f.metadata
    low, high = m["minimum"], m["maximum"]
    if low is not None and high is not None:
        span = f"{low:g} to {high:g}"
    else:
        span = f"at least {low:g}" if low is not None else f"at most {high:g}" if high is not None else ""
    extra = " ".join(filter(None, (span, m["unit"], " | ".join(m["choices"]))))
    return f"{m['description']} [{extra}]" if extra else str(m["description"])


class Settings:
    """Base of every settings dataclass: refuses a value of another type or out of range, naming the setting."""

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            m = f.metadata
            low, high = m["minimum"], m["maximum"]
            kind = int | float if isinstance(f.default, float) else type(f.default)
            wrong = (
                not isinstance(value, kind)
                or (m["choices"] and value not in m["choices"])
                or (low is not None and not value >= low)
                or (high is not None and not value <= high)
            )
            if wrong:
                raise Any2AnyError(
                    f"Setting '{f.name}' cannot be {value!r}",
                    describe(f),
                    f"Give a value in that range (default {f.default!r})",
                )


def build(cls: type[T], values: Mapping[str, Any]) -> T:
    """Build the settings `cls` from plain values (JSON, YAML); an unknown name is an error."""
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
    """When a sensor counts as alive, and how long one moment's sensors wait for each other."""

    source_timeout: float = setting(
        2.0,
        "a modality is stale this long after its last message; override one with source_timeouts.<modality>",
        unit="s",
        minimum=0.01,
        maximum=3600,
    )
    slop: float = setting(
        0.05,
        "messages whose stamps differ by at most this belong to one moment",
        unit="s",
        minimum=0,
        maximum=10,
    )
    wait: float = setting(
        0.05,
        "longest wait for an alive modality whose message of this moment is due",
        unit="s",
        minimum=0,
        maximum=10,
    )


@dataclass(frozen=True)
class RetrievalConfig(Settings):
    """What a ranking holds, and where it is worked out."""

    k: int = setting(5, "matches in a ranking", minimum=1, maximum=1000)
    filter: str = setting(
        "none", "evidence of the rankings before: bayes follows the robot over places", choices=("none", "bayes")
    )
    device: str = setting(
        "auto", "where vectors are compared; auto: a GPU if there is one and the map is large",
        choices=("auto", "cpu", "cuda"),
    )  # fmt: skip
    threads: int = setting(
        1, "of the CPU, that a map of 50,000 places and more is searched by; the others are left to the robot",
        minimum=1, maximum=64,
    )  # fmt: skip


@dataclass(frozen=True)
class PlaceConfig(Settings):
    """What counts as the same place, and how places are told apart when a map is scored."""

    hit_radius: float = setting(5.0, "a match within this distance is right", unit="m", minimum=0.01, maximum=1e4)
    keyframe: float = setting(
        0.0,
        "distance driven between two reference places; 0 takes every frame",
        unit="m",
        minimum=0,
        maximum=1e4,
    )
    path_gap: float = setting(
        20.0,
        "same drive on both sides: a reference counts only this far away along the path",
        unit="m",
        minimum=0,
        maximum=1e6,
    )


@dataclass(frozen=True)
class EncoderNodeConfig(Settings):
    """Settings of one encoder node; the encoder's own are `settings.<name>`."""

    encoder: str = setting("camera", "the plug: a file of encoders/, or a module of yours (with a dot)")
    modality: str = setting("", "name of the modality in embeddings; empty = the encoder's")
    topic: str = setting("", "the sensor's topic; empty = the encoder's default")
    message_type: str = setting("", "ROS type of the topic; empty = the plain type of this kind of sensor")
    reliability: str = setting("best_effort", "asked of the sensor's publisher", choices=("best_effort", "reliable"))
    silent_after: float = setting(
        2.0, "without a message, diagnostics warn after this", unit="s", minimum=0.01, maximum=3600
    )
    threads: int = setting(1, "for one encoding; more is slower beside busy neighbours", minimum=1, maximum=64)


@dataclass(frozen=True)
class RetrievalNodeConfig(Settings):
    """Settings of the retrieval node beside AliveConfig, RetrievalConfig and PlaceConfig.hit_radius."""

    map: str = setting("", "folder of the map; empty = wait for ~/load_map")
    odometry: str = setting("", "topic of nav_msgs/Odometry, for the filter; empty = it knows the order alone")
    cloud_topic: str = setting("", "LiDAR whose scans check the answers (docs/geometry.md); empty = no check")
    cloud_mounting: str = setting(
        "0 0 0 0 0 0", "of that LiDAR in the frame of the map's poses: x y z in m, roll pitch yaw in rad"
    )
    cloud_period: float = setting(
        1.0, "from one check to the next, at least; 0 = check whenever free", unit="s", minimum=0, maximum=3600
    )
    watch: float = setting(0.1, "how often dropouts are looked for", unit="s", minimum=0.01, maximum=10)


@dataclass(frozen=True)
class GroundingNodeConfig(Settings):
    """Settings of the grounding node beside MemoryConfig and ProposalConfig."""

    model: str = setting("", "folder of the heads, from any2any train")
    objects: str = setting("", "folder in which objects are kept from one start to the next; empty = nowhere")
    rgb_topic: str = setting("camera/image_raw", "colour, sensor_msgs/Image")
    depth_topic: str = setting("depth/image_raw", "depth registered to it, sensor_msgs/Image")
    info_topic: str = setting("camera/camera_info", "intrinsics of both, sensor_msgs/CameraInfo")
    pose_topic: str = setting("camera/pose", "where the camera is in the map, geometry_msgs/PoseStamped, optical frame")
    detections_topic: str = setting("", "vision_msgs/Detection2DArray: look only there; empty = wherever things stand")
    speech_topic: str = setting("speech/audio", "what is spoken to the robot, any2any_ros/AudioStamped")
    hearing: str = setting("sphinx", "what turns speech into words: a file of hearing/; none = the speech head alone")
    frame_id: str = setting("map", "frame of the poses, where theirs is empty")
    slop: float = setting(
        AliveConfig.slop, "stamps of colour, depth and pose differ by at most this", unit="s", minimum=0, maximum=10
    )
    source_timeout: float = setting(
        AliveConfig.source_timeout, "a camera is stale this long after its last picture", unit="s", minimum=0.01,
        maximum=3600,
    )  # fmt: skip
    listen: float = setting(10.0, "to a command at most", unit="s", minimum=0.1, maximum=3600)
    k: int = setting(RetrievalConfig.k, "objects in an answer", minimum=1, maximum=1000)


@dataclass(frozen=True)
class ReplayConfig(Settings):
    """How a bag is replayed."""

    rate: float = setting(1.0, "times as fast as it was recorded", minimum=0.01, maximum=100)
    start: float = setting(0.0, "skip the first part of the bag", unit="s", minimum=0)
    duration: float = setting(0.0, "end after this much of the bag; 0 = at its end", unit="s", minimum=0)
    loop: bool = setting(False, "begin again at the end, until Ctrl-C")
    wait: float = setting(10.0, "at most, for a subscriber on every topic", unit="s", minimum=0, maximum=600)
