"""Inspects a running system: which topics arrive, how often, and why one does not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy

from any2any_ros import samples
from any2any_ros.encoders import ENCODERS
from any2any_ros.nodes import endpoints, messages
from any2any_ros.samples import NS

OURS = ("any2any_ros/msg/Embedding", "any2any_ros/msg/Ranking")
SYSTEM = "this clock (a bag without use_sim_time, or a host without time sync)"
SIMULATED = "/clock (a node without use_sim_time, or two sources of time)"
SKEWED = 0.5  # s: a larger difference between stamps and the clock is reported


@dataclass
class LiveStatus:
    """What was observed of one topic."""

    name: str
    type_name: str
    publishers: int
    readers: str  # encoders that read it by default; in brackets those that could
    count: int = 0
    first: float = 0.0  # monotonic s
    last: float = 0.0
    skews: list[float] = field(default_factory=list)  # clock minus stamp, s
    problems: list[str] = field(default_factory=list)
    clock: str = SYSTEM

    @property
    def hertz(self) -> float:
        return (self.count - 1) / (self.last - self.first) if self.count > 1 else 0.0

    def receive(self, raw: bytes, now_ns: int) -> None:
        """Count one serialised message. now_ns: 0 while the time is unknown, because nothing has come on /clock."""
        self.last = time.monotonic()
        self.first = self.first or self.last
        self.count += 1
        if self.type_name != "std_msgs/msg/String" and now_ns:
            self.skews.append((now_ns - messages.raw_stamp_ns(raw)) / NS)

    def verdict(self) -> str:
        """Return the problems of the topic, or "ok"."""
        problems = list(self.problems)
        if self.publishers == 0:
            problems.append("nobody publishes it")
        elif self.count == 0:
            problems.append("published, but nothing arrived")
        if self.skews:
            skew = sorted(self.skews)[len(self.skews) // 2]
            if abs(skew) > SKEWED:
                problems.append(f"its stamps are {abs(skew):.1f} s {'behind' if skew > 0 else 'ahead of'} {self.clock}")
        return "; ".join(problems) or "ok"


def inspect(node: Node, seconds: float) -> list[LiveStatus]:
    """Subscribe for `seconds` to our own topics and to every topic that an encoder could read.

    While somebody publishes /clock, stamps are compared with that.
    """
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    topics: dict[str, LiveStatus] = {}
    clock = SYSTEM
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            if clock is SYSTEM and node.count_publishers("/clock"):
                node.set_parameters([Parameter("use_sim_time", value=True)])
                clock = SIMULATED
                for topic in topics.values():
                    topic.skews.clear()
            for name, type_name in _readable(node):
                if name not in topics:
                    topics[name] = _subscribe(node, name, type_name)
            executor.spin_once(timeout_sec=0.1)
        for topic in topics.values():
            topic.publishers = node.count_publishers(topic.name)
            topic.clock = clock
            topic.problems += sorted(set(endpoints.mismatches(node, topic.name)))
    finally:
        executor.shutdown()
    return sorted(topics.values(), key=lambda topic: topic.name)


def _readable(node: Node) -> Iterator[tuple[str, str]]:
    for name, type_names in node.get_topic_names_and_types():
        for type_name in type_names:
            if type_name in samples.TYPES or type_name in OURS:
                yield name, type_name


def _subscribe(node: Node, name: str, type_name: str) -> LiveStatus:
    topic = LiveStatus(name, type_name, 0, _readers(name, type_name))
    qos = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    node.create_subscription(
        messages.message_class(type_name), name,
        lambda raw: topic.receive(raw, int(node.get_clock().now().nanoseconds)), qos, raw=True,
    )  # fmt: skip
    return topic


def _readers(name: str, type_name: str) -> str:
    """Return the encoders whose default topic this is; otherwise, in brackets, those that could read its type."""
    if type_name in OURS:
        return "retrieval" if type_name == OURS[0] else "the robot"
    fitting = [e for e in ENCODERS.all() if type_name in samples.types_of(e.accepts) and e.modality == e.plug]
    default = [e.plug for e in fitting if name.endswith(e.topic)]
    return ", ".join(default) or f"({', '.join(e.plug for e in fitting)})"
