"""A microphone that commands are spoken into: chunks of sound in, utterances and their words out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile

import any2any_ros.msg as msg
from any2any_ros import cdr, samples
from any2any_ros.errors import Any2AnyError, error_text
from any2any_ros.nodes.inbox import Inbox
from any2any_ros.protocols import Endpointer, Transcriber
from any2any_ros.samples import Sound

KEPT = 500  # chunks that wait while an utterance is transcribed
TYPE = "any2any_ros/msg/AudioStamped"
Heard = Callable[[Sound, str], None]  # an utterance and its words, "" where there are none


class Listener:
    """Hears while it is open; a thread of its own listens, so that the executor always answers."""

    def __init__(self, node: Node, endpointer: Endpointer, transcriber: Transcriber | None, heard: Heard) -> None:
        """heard: called from that thread. transcriber: None where words are not asked for."""
        self._node, self._endpointer, self._transcriber, self._heard = node, endpointer, transcriber, heard
        self._subscription: Any = None
        self.wanted = False  # somebody waits for a command; all else is not transcribed
        self.refused, self.error = 0, ""

    def open(self, topic: str) -> None:
        self._inbox = Inbox(KEPT, self._listen)
        receive = lambda raw: self._inbox.put((raw, self._node.get_clock().now().nanoseconds))  # noqa: E731
        self._subscription = self._node.create_subscription(
            msg.AudioStamped, topic, receive, QoSProfile(depth=KEPT), raw=True
        )

    def close(self) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
            self._inbox.close()

    def _listen(self, waiting: list[tuple[bytes, int]]) -> None:
        for raw, received in waiting:
            try:
                message = cdr.read(raw, TYPE)
                stamp = samples.stamp_ns(message) or received
                utterance = self._endpointer.hear(samples.decode(TYPE, message, "sound"), stamp)
                if utterance is not None and self.wanted:
                    self._heard(utterance, self._words(utterance))
            except Exception as error:  # one bad chunk must not make the robot deaf
                self.refused += 1
                self.error = error_text(error)
                self._node.get_logger().warning(self.error, throttle_duration_sec=5.0)

    def _words(self, utterance: Sound) -> str:
        try:
            return "" if self._transcriber is None else self._transcriber.transcribe(utterance).text
        except Any2AnyError as error:
            self._node.get_logger().info(f"an utterance without words: {error}")
            return ""
