"""Sensor drivers and a listener in one process: sends frames with the present time, records when each ranking comes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message

import any2any_ros.msg as msg
from any2any_ros import cdr
from any2any_ros.data import bag_messages
from any2any_ros.encoders import ENCODERS
from any2any_ros.nodes import messages
from any2any_ros.nodes.peer import Peer
from any2any_ros.samples import NS

DEPTH = 5  # as in the SensorDataQoS of rmw, which drivers use


@dataclass(frozen=True)
class Part:
    """The messages of one sensor, serialised, with ROS type, topic, and whether they have a stamp."""

    type_name: str
    topic: str
    stamped: bool
    raw: list[bytearray]


def part(modality: str, samples: Iterable[Any]) -> Part:
    """Return samples of a sensor as serialised messages, as a driver sends them."""
    store, encoder = cdr.typestore(), ENCODERS.find(modality)
    name, make = bag_messages.MAKERS[encoder.accepts]
    header = bag_messages.header(store, 0, modality)
    made = (make(store, sample, header) for sample in samples)
    stamped = any(field == "header" for field, _ in store.fielddefs[name][1])
    return Part(name, encoder.topic, stamped, [bytearray(store.serialize_cdr(message, name)) for message in made])


class Player(Peer):
    """Publishes the parts with the present time as stamp, and stores the rankings that come back, still serialised."""

    def __init__(self, parts: Sequence[Part]) -> None:
        super().__init__("player")
        self._raw: list[tuple[bytes, int]] = []
        self._parts = [(self._publisher(part), part) for part in parts]
        self.node.create_subscription(msg.Ranking, "matches", self._receive, 100, raw=True)

    def _publisher(self, part: Part) -> Any:
        qos = QoSProfile(depth=DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT)
        return self.node.create_publisher(messages.message_class(part.type_name), part.topic, qos)

    def play(self, moments: int, period: float) -> list[int]:
        """Send moments. Return their stamps, in ns of the system clock, each taken before its first message."""
        stamps, began = [], time.monotonic()
        for moment in range(moments):
            stamps.append(time.time_ns())
            for publisher, part in self._parts:
                message = part.raw[moment % len(part.raw)]
                if part.stamped:
                    write_stamp(message, stamps[-1])
                publisher.publish(bytes(message))
            time.sleep(max(0.0, began + (moment + 1) * period - time.monotonic()))
        return stamps

    def _receive(self, raw: bytes) -> None:
        self._raw.append((raw, time.time_ns()))

    def heard(self) -> list[tuple[Any, int]]:
        """Return the messages of the rankings, each with the time of its arrival in ns."""
        return [(deserialize_message(raw, msg.Ranking), came) for raw, came in self._raw]


def write_stamp(message: bytearray, stamp_ns: int) -> None:
    """Write a stamp into a serialised message that begins with a header (CDR, little-endian)."""
    at = messages.STAMP_AT
    message[at : at + 4] = (stamp_ns // NS).to_bytes(4, "little", signed=True)
    message[at + 4 : at + 8] = (stamp_ns % NS).to_bytes(4, "little")
