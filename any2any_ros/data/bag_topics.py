"""What a bag says of its sensors' topics."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from any2any_ros.data.bag_reader import BagReader
from any2any_ros.data.bag_reading import decoded, leave_out, open_reader
from any2any_ros.declared import LONGEST_TEXT
from any2any_ros.retrieval.sensor_topic import SensorTopic


def sensor_topics(reader: BagReader, topics: Mapping[str, str]) -> dict[str, SensorTopic]:
    """Return, by modality, the topics (modality -> topic) that are in the bag, with type and frame."""
    connections = {c.topic.lstrip("/"): c for c in reader.connections}
    known = {m: connections[t.lstrip("/")] for m, t in topics.items() if t.lstrip("/") in connections}
    return {m: SensorTopic(c.topic, c.msgtype, _frame(reader, c)) for m, c in known.items()}


def recorded_again(path: Path, topics: Mapping[str, SensorTopic]) -> dict[str, str]:
    """Return, by modality, the names of those topics that are in the bag with the same type."""
    with open_reader(path) as reader:
        known = {(c.topic.lstrip("/"), c.msgtype) for c in reader.connections}
    return {m: topic.name for m, topic in topics.items() if (topic.name.lstrip("/"), topic.type) in known}


def _frame(reader: BagReader, connection: Any) -> str:
    """Return the frame of the first message, "" without one."""
    for _, _, message in decoded(reader, [connection], leave_out):
        frame = str(message.header.frame_id) if hasattr(message, "header") else ""
        return frame if frame.isprintable() and len(frame) <= LONGEST_TEXT else ""
    return ""
