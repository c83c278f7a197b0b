"""Encodes one sensor: its newest message in, an embedding out.

ros2 run any2any_ros encoder_node --ros-args -p encoder:=camera -p topic:=/front/image_raw

A separate thread encodes, so that the executor stays free. A message that arrives while the thread is busy replaces the
one that waits, which is counted as dropped.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.qos import QoSProfile, ReliabilityPolicy

import any2any_ros.msg as msg
from any2any_ros import samples
from any2any_ros.encoders import ENCODERS
from any2any_ros.errors import Any2AnyError, error_text
from any2any_ros.node_config import EncoderNodeConfig
from any2any_ros.nodes import messages, parameters, runtime
from any2any_ros.nodes.inbox import Inbox
from any2any_ros.nodes.lifecycle import ManagedNode, diagnostic
from any2any_ros.nodes.rate import Rate
from any2any_ros.observation import Embedding
from any2any_ros.protocols import Encoder


class EncoderNode(ManagedNode):
    """Builds the encoder when configured, subscribes when activated, frees the encoder when cleaned up."""

    def __init__(self) -> None:
        super().__init__("encoder")
        self.config = parameters.declare(self, EncoderNodeConfig)
        self._subscription: Any = None
        self._refused, self._error, self._mismatch, self._seconds = 0, "", "", 0.0
        self._received, self._encoded = Rate(), Rate()

    def configure(self) -> None:
        cls: Any = ENCODERS.find(self.config.encoder)
        self._encoder: Encoder = cls(parameters.declare(self, cls.Config, "settings"))
        self._modality = self.config.modality or cls.modality
        self._topic = self.config.topic or cls.topic
        types = samples.types_of(cls.accepts)
        self._type = self.config.message_type or types[0]
        if self._type not in types:
            why, remedy = f"it reads {', '.join(types)}", "Choose one of these types"
            raise Any2AnyError(f"Encoder '{cls.plug}' cannot read {self._type}", why, remedy)
        self._class, self._read = messages.message_class(self._type), messages.reader(self._type)
        runtime.limit_threads(self.config.threads)
        self._encoder.encode(samples.example(cls.accepts))  # the first call is slow: it imports and allocates
        self._publisher = self.create_lifecycle_publisher(msg.Embedding, "embeddings", 10)

    def activate(self) -> None:
        self._inbox = Inbox(self._encoder.keeps, self._encode)
        reliable = self.config.reliability == "reliable"
        qos = QoSProfile(
            depth=self._encoder.keeps,
            reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
        )
        events = SubscriptionEventCallbacks(incompatible_qos=self._on_mismatch)
        self._subscription = self.create_subscription(
            self._class, self._topic, self._receive, qos, event_callbacks=events, raw=True
        )
        self.get_logger().info(f"{self._modality}: {self._subscription.topic_name} -> {self._encoder.fingerprint}")

    def deactivate(self) -> None:
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None
            self._inbox.close()

    def cleanup(self) -> None:
        self.destroy_lifecycle_publisher(self._publisher)
        del self._encoder

    def _receive(self, raw: bytes) -> None:
        now = self.now_ns()
        self._received.tick(now)
        self._inbox.put((raw, now))

    def _encode(self, waiting: list[tuple[bytes, int]]) -> None:
        """Encode the newest of the waiting messages; of a stream such as sound, all of them are gathered first.

        Runs in the inbox's thread.
        """
        try:
            sample, stamp, frame = None, 0, ""
            for raw, received in waiting:
                message = self._read(raw)
                stamp = samples.stamp_ns(message) or received
                frame = message.header.frame_id if hasattr(message, "header") else ""
                sample = self._encoder.gather(samples.decode(self._type, message, self._encoder.accepts), stamp)
            if sample is None:
                return
            began = time.perf_counter()
            vector = self._encoder.encode(sample)
            self._seconds = time.perf_counter() - began
            embedding = Embedding(self._modality, vector, stamp, frame, self._encoder.fingerprint)
            self._publisher.publish(messages.embedding_message(embedding, self._seconds))
            self._encoded.tick(self.now_ns())
        except Exception as error:  # one bad message must not end the thread
            self._refused += 1
            self._error = error_text(error)
            self.get_logger().warning(self._error, throttle_duration_sec=5.0)

    def _on_mismatch(self, info: Any) -> None:
        self._mismatch = f"QoS policy {info.last_policy_kind!s} of {info.total_count} publisher(s) is incompatible"
        self.get_logger().warning(f"{self._topic}: {self._mismatch}", throttle_duration_sec=5.0)

    def status(self) -> list[DiagnosticStatus]:
        if self._subscription is None:
            return []
        now = self.now_ns()
        age = self._received.age(now)
        level, text = DiagnosticStatus.OK, "encoding"
        if age > self.config.silent_after:
            level, text = DiagnosticStatus.WARN, self._why_silent()
        elif self._refused and self._encoded.age(now) > self.config.silent_after:
            level, text = DiagnosticStatus.ERROR, self._error
        return [
            diagnostic(
                level, f"{self.get_name()}: {self._modality}", text, self._subscription.topic_name,
                age=age, rate=self._received.hertz(now), encoded=self._encoded.count, refused=self._refused,
                dropped=self._inbox.dropped, encode_seconds=self._seconds, qos_mismatch=self._mismatch,
                last_error=self._error, encoder=self._encoder.fingerprint,
            )
        ]  # fmt: skip

    def _why_silent(self) -> str:
        publishers = self.get_publishers_info_by_topic(self._subscription.topic_name)
        types = sorted({p.topic_type for p in publishers})
        if not publishers:
            return "nobody publishes this topic"
        if types != [self._type]:
            return f"the topic carries {', '.join(types)}, this node reads {self._type}"
        return self._mismatch or "there is a publisher, but no message arrives"


def main() -> int:
    return runtime.main(EncoderNode)


if __name__ == "__main__":
    sys.exit(main())
