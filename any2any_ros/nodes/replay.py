"""Publishes a bag again with its timing and /clock. Single sensors can be silenced for a time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rclpy._rclpy_pybind11 import RCLError
from rclpy.exceptions import NameValidationException
from rclpy.node import Node
from rclpy.qos import QoSProfile
from rosbags.highlevel import AnyReader
from rosgraph_msgs.msg import Clock

from any2any_ros import names
from any2any_ros.data.bag_conversion import ros2_type, to_cdr
from any2any_ros.data.bag_poses import TRUTH
from any2any_ros.data.bag_reading import open_reader, serialised
from any2any_ros.data.drive import LATEST
from any2any_ros.encoders import ENCODERS
from any2any_ros.errors import Any2AnyError
from any2any_ros.node_config import ReplayConfig
from any2any_ros.nodes import messages, recorded_qos
from any2any_ros.nodes.runtime import Stop
from any2any_ros.progress import Counted, Progress, silent
from any2any_ros.samples import NS

FIRST_TIMES = 15  # messages on /clock before the first one of a sensor
SETTLE = 0.5  # s for the other nodes to discover each other
CLOCK_STEP = 0.01  # s of bag time, at most, between two /clock messages
SECONDS = r"[0-9]{1,9}(\.[0-9]{0,9})?"
KILL = re.compile(rf"(?P<name>[\w/]+)@(?P<start>{SECONDS})s?-(?P<end>{SECONDS})s?")


@dataclass(frozen=True)
class Outage:
    """A time in which one sensor is silent: start and end in seconds since the start of the replay."""

    name: str
    start: float
    end: float

    @classmethod
    def parse(cls, text: str) -> Outage:
        """Parse a text such as "camera@20s-40s", whose name is a modality or a topic.

        Raises Any2AnyError on any other text.
        """
        match = KILL.fullmatch(text)
        if match is None or float(match["start"]) >= float(match["end"]):
            raise Any2AnyError(
                f"Cannot understand '--kill {text}'", "it is not NAME@STARTs-ENDs", "Write e.g. camera@20s-40s"
            )
        return cls(match["name"], float(match["start"]), float(match["end"]))

    @property
    def topic(self) -> str:
        known = self.name in ENCODERS.names()
        return str(ENCODERS.find(self.name).topic) if known else self.name.lstrip("/")


@dataclass(eq=False)
class Replay:
    """Publishes a bag through a node.

    Messages of a ROS 1 bag are converted. A topic that cannot be published is left out. published: called after every
    message with its topic and its stamp in the bag, ns. tell: takes lines for the user. progress: wraps the loop over
    the messages.
    """

    node: Node
    bag: Path
    config: ReplayConfig = ReplayConfig()
    outages: tuple[Outage, ...] = ()
    published: Callable[[str, int], None] = lambda topic, stamp: None
    tell: Callable[[str], None] = print
    progress: Progress[Any] = silent
    _publishers: dict[str, Any] = field(default_factory=dict)
    _converters: dict[str, Callable[[bytes], bytes]] = field(default_factory=dict)
    _connections: list[Any] = field(default_factory=list)

    def run(self, stop: Stop) -> int:
        """Replay until the end, or until `stop` is set if the bag loops; return the number of published messages.

        Raises Any2AnyError when an outage names no topic of the bag, and when no topic can be published.
        """
        count = 0
        with open_reader(self.bag) as reader:
            self._advertise(reader)
            self._await_subscribers(stop)
            while not stop:
                count += self._once(reader, stop)
                if not self.config.loop:
                    break
        return count

    def _advertise(self, reader: AnyReader) -> None:
        self._clock = self.node.create_publisher(Clock, "/clock", 10)
        topics = {c.topic for c in reader.connections}
        for outage in self.outages:
            if outage.topic not in {t.lstrip("/") for t in topics}:
                raise Any2AnyError(
                    f"Cannot kill '{outage.name}'", f"the bag's topics are {', '.join(sorted(topics))}",
                    "Name a modality or a topic of the bag",
                )  # fmt: skip
        for topic, type_name in sorted({(c.topic, c.msgtype) for c in reader.connections}):
            try:
                if topic in self._publishers:
                    raise Any2AnyError("It has two types", "the other one is published", "Record one of them")
                connections = [c for c in reader.connections if (c.topic, c.msgtype) == (topic, type_name)]
                self._publishers[topic] = self._publisher(
                    topic, ros2_type(type_name), recorded_qos.offered(connections)
                )
                self._converters[topic] = to_cdr(reader, type_name)
                self._connections += connections
            except Any2AnyError as error:
                what, why = f"Topic '{topic}' as {type_name} is left out", f"{error.what}: {error.why}"
                self.tell(str(Any2AnyError(what, why, error.remedy)))
        if not self._publishers:
            raise Any2AnyError(f"Cannot publish the topics of {self.bag}", "each was left out", "Choose another bag")

    def _publisher(self, topic: str, type_name: str, qos: QoSProfile) -> Any:
        """Return a publisher of a topic of the bag. Raises Any2AnyError when it cannot be published."""
        if topic.lstrip("/") == "clock":
            raise Any2AnyError("It would be published twice", "a replay publishes the time", "Nothing need be done")
        message, name = messages.message_class(type_name), names.topic(topic)
        try:
            return self.node.create_publisher(message, name, qos)
        except (NameValidationException, RCLError) as error:  # RCLError: another node gives it another type
            raise Any2AnyError("ROS does not publish it", str(error), "Record the bag without it") from error

    def _await_subscribers(self, stop: Stop) -> None:
        """Wait for discovery, so that the first messages are not lost; tell which topics have no subscriber."""
        deadline = time.monotonic() + self.config.wait
        waiting = dict(self._publishers)
        while waiting and time.monotonic() < deadline and not stop:
            waiting = {t: p for t, p in waiting.items() if not p.get_subscription_count() and t != f"/{TRUTH}"}
            time.sleep(0.02)
        if waiting and not stop:
            self.tell(f"no subscriber on {', '.join(sorted(waiting))}")
        time.sleep(SETTLE)

    def _once(self, reader: AnyReader, stop: Stop) -> int:
        first, last = self._span(reader)
        for _ in range(FIRST_TIMES):  # until every node has received the clock, which is best effort
            self._clock.publish(Clock(clock=messages.time_message(first)))
            time.sleep(0.02)
        count, clock, began = 0, first, time.monotonic()
        for connection, stamp, raw in self.progress(self._messages(reader, first, last), f"replaying {self.bag.name}"):
            while clock < stamp and not stop:
                clock = min(stamp, clock + int(CLOCK_STEP * NS))
                self._sleep_until(began + (clock - first) / NS / self.config.rate)
                self._clock.publish(Clock(clock=messages.time_message(clock)))
            if stop:
                break
            if not self._is_off(connection.topic, (stamp - first) / NS):
                self._publishers[connection.topic].publish(self._converters[connection.topic](raw))
                self.published(connection.topic, stamp)
                count += 1
        return count

    def _messages(self, reader: AnyReader, first: int, last: int) -> Iterable[tuple[Any, int, bytes]]:
        found = serialised(reader, self._connections, first, last + 1)
        whole = (first, last) == (reader.start_time, reader.end_time)
        return Counted(found, sum(c.msgcount for c in self._connections)) if whole else found

    def _span(self, reader: AnyReader) -> tuple[int, int]:
        """Return the first and the last time of the bag that is replayed, ns."""
        first, length = reader.start_time, reader.end_time - reader.start_time
        if not 0 <= first <= first + length < LATEST * NS:
            raise Any2AnyError(
                f"Cannot replay {self.bag}", "its times are none that /clock can have", "Record the bag again"
            )
        if self.config.start * NS > length:
            raise Any2AnyError(
                f"Cannot start {self.bag} at {self.config.start:g} s", f"it ends after {length / NS:g} s",
                "Choose an earlier start",
            )  # fmt: skip
        start = int(self.config.start * NS)
        duration = min(self.config.duration * NS, length - start) if self.config.duration else length - start
        return first + start, first + start + int(duration)

    @staticmethod
    def _sleep_until(due: float) -> None:
        time.sleep(max(0.0, due - time.monotonic()))

    def _is_off(self, topic: str, seconds: float) -> bool:
        outages = (o for o in self.outages if o.topic == topic.lstrip("/"))
        return any(o.start <= seconds < o.end for o in outages)
