"""Whole bags with wrong content: damaged messages, odd topics, types and times."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from rosbags.rosbag2 import StoragePlugin, Writer

from any2any_ros.data import bags
from any2any_ros.data.sources import open_recording

from . import folders
from .boundary import Boundary
from .choices import Choices
from .mutation import text
from .recordings import encoders, wrong_observations
from .ros_messages import damaged, make, mutated_message, serialised, store
from .sensor_messages import KINDS, VALID

TOPICS = {
    "/camera/image_raw": "image", "/thermal/image_raw": "thermal", "/lidar/points": "cloud", "/scan": "scan",
    "/microphone/audio": "sound", "/caption": "text",
}  # fmt: skip
TRUTH = f"/{bags.TRUTH}"
TIMES = (0, 1, 10**9, 2**31 * 10**9, 2**63 - 1, 2**63, 2**64 - 1)
Message = tuple[str, str, int, Any]  # topic, type, when it was received in ns, message or its bytes


def _messages(choices: Choices) -> list[Message]:
    """Return two messages of each topic."""
    found: list[Message] = []
    for i in range(2):
        received = 3_250_000_000 + i * 500_000_000
        stamp = make("builtin_interfaces/msg/Time", sec=received // 10**9, nanosec=received % 10**9)
        header = make("std_msgs/msg/Header", stamp=stamp)
        for topic, kind in TOPICS.items():
            message = VALID[kind](choices)
            if hasattr(message, "header"):
                message.header.stamp = stamp
            found.append((topic, KINDS[kind], received, message))
        pose = make("geometry_msgs/msg/Pose", orientation=make("geometry_msgs/msg/Quaternion", w=1.0))
        stamped = make("geometry_msgs/msg/PoseStamped", header=header, pose=pose)
        found.append((TRUTH, "geometry_msgs/msg/PoseStamped", received, stamped))
    return found


def changed(choices: Choices, found: list[Message]) -> list[Message]:
    at = choices.randrange(len(found))
    topic, kind, received, message = found[at]
    how = choices.random()
    if how < 0.4 and not isinstance(message, bytes):
        message = mutated_message(choices, message)
    elif how < 0.6:
        message = damaged(choices, message if isinstance(message, bytes) else serialised(message))
    elif how < 0.7:
        topic = choices.one(text(choices, topic), TRUTH, *TOPICS).replace("\ud800", "").replace("\udcff", "")
    elif how < 0.8:
        kind = choices.choice([other for _, other, _, _ in found])
    elif how < 0.9:
        received = choices.one(*TIMES)
    else:
        return found[:at] + found[at + 1 :] if len(found) > 1 else found
    return [*found[:at], (topic, kind, received, message), *found[at + 1 :]]


def written(found: list[Message], path: Path) -> None:
    types = store()
    with Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections: dict[tuple[str, str], Any] = {}
        for topic, kind, received, message in found:
            with suppress(Exception):  # what rosbags refuses to write comes in no bag
                if (topic, kind) not in connections:
                    connections[topic, kind] = writer.add_connection(topic, kind, typestore=types)
                raw = message if isinstance(message, bytes) else serialised(message)
                writer.write(connections[topic, kind], received, raw)


def _read(found: list[Message]) -> Any:
    def cross(folder: Path) -> Any:
        path = folder / "bag"
        written(found, path)
        recording = open_recording(path)
        places = recording.observe({m: e for m, e in encoders().items() if m in recording.modalities}, 0.0)
        return places, list(recording.clouds(places))

    return folders.on_disk(cross)({})


def _wrong(given: Any, result: Any) -> str:
    places, clouds = result
    bad = [name for name, points in clouds if points.shape[1:] != (4,) or not np.isfinite(points).all()]
    return f"clouds {bad}" if bad else wrong_observations(given, places)


BOUNDARIES = (
    Boundary(
        "bag, its messages", _messages, _read, _wrong, changed, milliseconds=150, seconds=5.0, megabytes=128,
        least=1000,
    ),
)  # fmt: skip
