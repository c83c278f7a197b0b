"""What became of the messages of a recording: read, encoded, refused and why, located or not.

A recording owns one report (`Recording.report`), and whoever reads the recording fills it:

    topic = report.topic("lidar", "/points", "sensor_msgs/msg/PointCloud2", promised=120)
    topic.read()                            # a message came
    topic.encoded()                         # it became a vector
    topic.refused(str(error))               # or it did not; the first reason is kept
    report.without_pose(7, "before the first message of /odom")
    report.note("The bag has no metadata.yaml")

A topic that poses come from has the modality POSE; its encoded messages are those that were used.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from any2any_ros import tables
from any2any_ros.observation import ObservationSet

POSE = "pose"
COLUMNS = {
    "sensor": "modality", "topic": "topic", "type": "type", "promised": "promised", "read": "messages_read",
    "encoded": "messages_encoded", "refused": "messages_refused", "without pose": "moments_without_pose",
}  # fmt: skip


@dataclass
class TopicReport:
    """One topic of a bag, or one sensor of a folder, whose topic is "".

    type: of the messages; of a folder, the kind of sample. promised: how many messages there should be; None: unknown.
    first_reason: why the first message was refused. moments_without_pose: of those with this sensor.
    """

    modality: str
    topic: str
    type: str
    promised: int | None = None
    messages_read: int = 0
    messages_encoded: int = 0
    messages_refused: int = 0
    first_reason: str = ""
    moments_without_pose: int = 0

    def read(self) -> None:
        self.messages_read += 1

    def encoded(self) -> None:
        self.messages_encoded += 1

    def refused(self, reason: str) -> None:
        self.messages_refused += 1
        self.first_reason = self.first_reason or reason

    def undecodable(self, connection: Any, reason: str) -> None:
        """Count a message that came and cannot be decoded, as `bag_reading.decoded` tells it."""
        self.read()
        self.refused(reason)

    def remarks(self) -> Iterator[str]:
        """Yield what the table has no room for."""
        name = f"{self.modality} ({self.topic})" if self.topic else self.modality
        if self.messages_refused:
            yield f"{name}: {self.messages_refused} refused, the first because: {self.first_reason}"
        if self.topic and self.promised is not None and self.messages_read < self.promised:
            yield f"{name}: {self.promised} messages were promised, and {self.messages_read} came"


@dataclass
class SensorReport:
    """Collects what happens while a recording is read. It changes with every message."""

    topics: dict[tuple[str, str], TopicReport] = field(default_factory=dict)
    unlocated: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def clear(self) -> None:
        """Forget everything, because the recording is read again."""
        self.topics.clear()
        self.unlocated.clear()
        self.notes.clear()

    def topic(self, modality: str, topic: str, type: str, promised: int | None = None) -> TopicReport:
        """Return the row of a topic, which is made by the first call for this modality and topic."""
        return self.topics.setdefault((modality, topic), TopicReport(modality, topic, type, promised))

    def without_pose(self, count: int, why: str) -> None:
        """Count moments that have no pose, by the reason."""
        if count:
            self.unlocated[why] = self.unlocated.get(why, 0) + count

    def located(self, places: ObservationSet) -> None:
        """Count the moments without a pose of each sensor among what was read."""
        lost = np.isnan(places.poses).any(axis=(1, 2))
        for row in self.topics.values():
            if row.modality in places.modalities:
                row.moments_without_pose = int((lost & places.present(row.modality)).sum())

    def note(self, line: str) -> None:
        """Add a line about the recording as a whole, once."""
        if line not in self.notes:
            self.notes.append(line)

    @property
    def first_reason(self) -> str:
        """Why the first message was refused, with its sensor; "" when none was."""
        return next((f"{t.modality}: {t.first_reason}" for t in self.topics.values() if t.messages_refused), "")

    @property
    def refusal(self) -> str:
        """The end of a sentence about a recording of which too little was encoded; "" when nothing was refused."""
        return f"; the first that was refused, of {self.first_reason}" if self.first_reason else ""

    def table(self) -> str:
        """Return one line for each topic, then a line for each thing that a user should know; "" for nothing read."""
        rows = [asdict(topic) for topic in self.topics.values()]
        lines = [tables.table(rows, COLUMNS)] if rows else []
        lines += [remark for topic in self.topics.values() for remark in topic.remarks()]
        lines += [f"{count} moments have no pose: {why}" for why, count in self.unlocated.items()]
        return "\n".join(lines + self.notes)

    def as_dict(self) -> dict[str, Any]:
        """Return everything as plain values, for JSON."""
        return {
            "topics": [asdict(topic) for topic in self.topics.values()],
            "without_pose": dict(self.unlocated),
            "notes": list(self.notes),
        }
