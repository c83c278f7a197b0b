"""Encodes one sensor: its newest message in, an embedding out.

ros2 run any2any_ros encoder_node --ros-args -p encoder:=camera -p topic:=/front/image_raw

A separate thread encodes, so that the executor stays free. A message that arrives while the thread is busy replaces the
one that waits, which is counted as dropped. Chunks of sound wait in a queue instead.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

import any2any_ros.msg as msg
from any2any_ros import samples
from any2any_ros.encoders import ENCODERS, see
from any2any_ros.errors import Any2AnyError, error_text
from any2any_ros.node_config import EncoderNodeConfig
from any2any_ros.nodes import endpoints, messages, parameters, runtime
from any2any_ros.nodes.encoder_health import EncoderHealth
from any2any_ros.nodes.events import SubscriptionEventCallbacks
from any2any_ros.nodes.inbox import Inbox
from any2any_ros.nodes.lifecycle import ManagedNode
from any2any_ros.nodes.sensor_odometry import SensorOdometry
from any2any_ros.nodes.standing import Standing
from any2any_ros.nodes.stream_time import StreamTime
from any2any_ros.observation import Embedding
from any2any_ros.protocols import Encoder, gathered


class EncoderNode(ManagedNode):
    """Builds the encoder when configured, subscribes when activated, frees the encoder when cleaned up."""

    def __init__(self) -> None:
        super().__init__("encoder")
        self.config = parameters.declare(self, EncoderNodeConfig)
        self._subscription: Any = None
        self._odometry, self._standing, self._health = SensorOdometry(self), Standing(self), EncoderHealth()

    def configure(self) -> None:
        cls: Any = ENCODERS.find(self.config.encoder)
        self._encoder: Encoder = cls(parameters.declare(self, cls.Config, "settings"))
        self._modality, self._topic = self.config.modality or cls.modality, self.config.topic or cls.topic
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
        if self._encoder.uses_odometry:
            self._odometry.open(self.config.odometry)
        self._upright = self._standing.open(self._encoder, self.config.base_frame)
        self._stream_time, self._inbox = StreamTime(), Inbox(self._encoder.keeps, self._encode)
        qos = endpoints.sensor_qos(self._encoder.keeps, self.config.reliability)
        events = SubscriptionEventCallbacks(incompatible_qos=self._on_mismatch)
        self._subscription = self.create_subscription(
            self._class, self._topic, self._receive, qos, event_callbacks=events, raw=True
        )
        self.get_logger().info(f"{self._modality}: {self._subscription.topic_name} -> {self._encoder.fingerprint}")

    def deactivate(self) -> None:
        if self._subscription is not None:
            self.destroy_subscription(self._subscription)
            self._subscription = None
            for part in (self._inbox, self._odometry, self._standing):
                part.close()

    def cleanup(self) -> None:
        self.destroy_lifecycle_publisher(self._publisher)
        del self._encoder

    def _receive(self, raw: bytes, info: dict[str, Any]) -> None:
        now = self.now_ns()
        self._health.receive(info, now)
        self._inbox.put((raw, now), len(raw))
        if self._encoder.keeps > 1 and not self._encoder.uses_odometry:  # of sound, no part may be missing
            self._health.look_for_gap(self._inbox.dropped, now)

    def _encode(self, waiting: list[tuple[bytes, int]]) -> None:
        """Encode the newest of the waiting messages; of a stream such as sound, all of them are gathered first.

        Runs in the inbox's thread.
        """
        newest = None
        for raw, received in waiting:
            with self._refusing():
                newest = self._gathered(raw, received)
        if newest is not None and newest[0] is not None:
            with self._refusing():
                self._publish(*newest)

    def _gathered(self, raw: bytes, received: int) -> tuple[Any, int, str]:
        """Return what the encoder has gathered with this message, and the message's stamp and frame."""
        message = self._read(raw)
        stamp = samples.stamp_ns(message) or received
        decoded = samples.decode(self._type, message, self._encoder.accepts)
        frame = message.header.frame_id if hasattr(message, "header") else ""
        self._standing.see(frame)
        pose = self._odometry.pose(stamp, frame)
        sample = gathered(self._upright, decoded, self._stream_time.of(stamp, received), pose)
        return sample, stamp, frame

    def _publish(self, sample: Any, stamp: int, frame: str) -> None:
        began = time.perf_counter()
        seen = see(self._encoder, sample)
        seconds = time.perf_counter() - began
        embedding = Embedding(self._modality, seen.vector, stamp, frame, self._encoder.fingerprint, seen.birds_eye)
        self._publisher.publish(messages.embedding_message(embedding, seconds))
        self._health.encode(seconds, self.now_ns())

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Count and log an error: one bad message must not end the thread, nor cost the others that wait."""
        try:
            yield
        except Exception as error:
            self._health.refuse(error_text(error), self.now_ns())
            self.get_logger().warning(self._health.error, throttle_duration_sec=5.0)

    def _on_mismatch(self, info: Any) -> None:
        self.get_logger().warning(endpoints.own_mismatch(self, self._topic), throttle_duration_sec=5.0)

    def status(self) -> list[DiagnosticStatus]:
        if self._subscription is None:
            return []
        now, topic, health = self.now_ns(), self._subscription.topic_name, self._health
        health.mismatch = endpoints.own_mismatch(self, topic)
        why_silent = partial(endpoints.why_silent, self, topic, self._type)
        health.dropped, health.odometry = self._inbox.dropped, self._odometry.state(now)
        state = health.state(now, self.config.silent_after, why_silent)
        return [health.line(f"{self.label}: {self._modality}", topic, state, now, self._encoder.fingerprint)]


def main() -> int:
    return runtime.main(EncoderNode)


if __name__ == "__main__":
    sys.exit(main())
