"""A bag, published again in its own time with /clock; single sensors can be made to die and to return."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosbags.highlevel import AnyReader
from rosgraph_msgs.msg import Clock

from any2any_ros.config import ReplayConfig
from any2any_ros.data import bags
from any2any_ros.encoders import ENCODERS
from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes import messages
from any2any_ros.nodes.runtime import Stop
from any2any_ros.samples import NS

SETTLE = 0.5  # s in which those who have found us find each other
CLOCK_STEP = 0.01  # s of bag time between two /clock messages
KILL = re.compile(r"(?P<name>[\w/]+)@(?P<start>[\d.]+)s?-(?P<end>[\d.]+)s?")


@dataclass(frozen=True)
class Outage:
    """One sensor's silence, in seconds since the replay's start."""

    name: str
    start: float
    end: float

    @classmethod
    def parse(cls, text: str) -> Outage:
        """Read e.g. "camera@20s-40s"; the name is a modality or a topic."""
        found = KILL.fullmatch(text)
        if found is None or float(found["start"]) >= float(found["end"]):
            raise Any2AnyError(
                f"Cannot understand '--kill {text}'", "it is not NAME@STARTs-ENDs", "Write e.g. camera@20s-40s"
            )
        return cls(found["name"], float(found["start"]), float(found["end"]))

    @property
    def topic(self) -> str:
        known = self.name in ENCODERS.names()
        return str(ENCODERS.find(self.name).topic) if known else self.name.lstrip("/")


@dataclass(eq=False)
class Replay:
    """Publishes a bag through `node`; `published` is called with (topic, stamp in the bag) after every message."""

    node: Node
    bag: Path
    config: ReplayConfig = ReplayConfig()
    outages: tuple[Outage, ...] = ()
    published: Callable[[str, int], None] = lambda topic, stamp: None
    tell: Callable[[str], None] = print
    _publishers: dict[str, Any] = field(default_factory=dict)

    def run(self, stop: Stop) -> int:
        """Replay until the end (or, looping, until told to stop); return how many messages were published."""
        count = 0
        with bags.open_reader(self.bag) as reader:
            self._advertise(reader)
            self._await_subscribers(stop)
            while not stop:
                count += self._once(reader, stop)
                if not self.config.loop:
                    break
        return count

    def _advertise(self, reader: AnyReader) -> None:
        self._clock = self.node.create_publisher(Clock, "/clock", 10)
        topics = {c.topic: c.msgtype for c in reader.connections}
        for outage in self.outages:
            if outage.topic not in {t.lstrip("/") for t in topics}:
                raise Any2AnyError(
                    f"Cannot kill '{outage.name}'", f"the bag's topics are {', '.join(sorted(topics))}",
                    "Name a modality or a topic of the bag",
                )  # fmt: skip
        for topic, type_name in topics.items():
            message = messages.message_class(type_name)
            self._publishers[topic] = self.node.create_publisher(message, topic, QoSProfile(depth=10))

    def _await_subscribers(self, stop: Stop) -> None:
        """Let discovery finish, so that the first messages are not lost; say who is not listened to."""
        deadline = time.monotonic() + self.config.wait
        lonely = dict(self._publishers)
        while lonely and time.monotonic() < deadline and not stop:
            lonely = {t: p for t, p in lonely.items() if not p.get_subscription_count() and t != f"/{bags.TRUTH}"}
            time.sleep(0.02)
        if lonely and not stop:
            self.tell(f"nobody listens to {', '.join(sorted(lonely))}")
        time.sleep(SETTLE)

    def _once(self, reader: AnyReader, stop: Stop) -> int:
        first = reader.start_time + int(self.config.start * NS)
        last = first + int(self.config.duration * NS) if self.config.duration else reader.end_time
        self._clock.publish(Clock(clock=messages.time_message(first)))
        time.sleep(0.1)  # until every node knows what time it is
        count, clock, began = 0, first, time.monotonic()
        for connection, stamp, raw in reader.messages(start=first, stop=last + 1):
            while clock < stamp and not stop:
                clock = min(stamp, clock + int(CLOCK_STEP * NS))
                self._sleep_until(began + (clock - first) / NS / self.config.rate)
                self._clock.publish(Clock(clock=messages.time_message(clock)))
            if stop:
                break
            if not self._dead(connection.topic, (stamp - first) / NS):
                self._publishers[connection.topic].publish(bytes(raw))
                self.published(connection.topic, stamp)
                count += 1
        return count

    @staticmethod
    def _sleep_until(due: float) -> None:
        time.sleep(max(0.0, due - time.monotonic()))

    def _dead(self, topic: str, seconds: float) -> bool:
        here = (o for o in self.outages if o.topic == topic.lstrip("/"))
        return any(o.start <= seconds < o.end for o in here)
