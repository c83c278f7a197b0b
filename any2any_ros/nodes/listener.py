"""Listens to a microphone: chunks of sound in, utterances and their words out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.node import Node
from rclpy.qos import QoSProfile

import any2any_ros.msg as msg
from any2any_ros import cdr, samples
from any2any_ros.errors import Any2AnyError, error_text
from any2any_ros.nodes.inbox import Inbox
from any2any_ros.nodes.missed import Missed
from any2any_ros.protocols import Endpointer, Transcriber
from any2any_ros.samples import Sound

WAITING = 500  # chunks that may wait while an utterance is transcribed
TYPE = "any2any_ros/msg/AudioStamped"
OnUtterance = Callable[[Sound, str], None]  # an utterance and its words, "" when it has none


class Listener:
    """Subscribes to sound while it is open. A separate thread cuts and transcribes it, so the executor stays free."""

    def __init__(
        self, node: Node, endpointer: Endpointer, transcriber: Transcriber | None, on_utterance: OnUtterance
    ) -> None:
        """transcriber: None when no words are needed. on_utterance: called from the separate thread."""
        self._node, self._endpointer, self._transcriber = node, endpointer, transcriber
        self._on_utterance = on_utterance
        self._subscription: Any = None
        self.wanted = False  # whether a command is waited for; otherwise utterances are not transcribed
        self.refused, self.error = 0, ""
        self._missed = Missed()

    def open(self, topic: str) -> None:
        self._inbox = Inbox(WAITING, self._listen)
        self._subscription = self._node.create_subscription(
            msg.AudioStamped, topic, self._receive, QoSProfile(depth=WAITING), raw=True
        )

    def close(self) -> None:
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
            self._inbox.close()

    @property
    def missing(self) -> int:
        """Return how many chunks were dropped, here or on their way. Sound is a stream: none should be."""
        return self._missed.count + (self._inbox.dropped if self._subscription is not None else 0)

    def _receive(self, raw: bytes, info: dict[str, Any]) -> None:
        before = self.missing
        self._missed.take(info)
        self._inbox.put((raw, self._node.get_clock().now().nanoseconds), len(raw))
        if self.missing > before:
            text = f"{self.missing} chunks of sound are missing: this machine is too slow for them"
            self._node.get_logger().warning(text, throttle_duration_sec=5.0)

    def _listen(self, chunks: list[tuple[bytes, int]]) -> None:
        """Append serialised chunks to the stream of sound. Runs in the inbox's thread."""
        for raw, received in chunks:
            try:
                message = cdr.read(raw, TYPE)
                stamp = samples.stamp_ns(message) or received
                utterance = self._endpointer.hear(samples.decode(TYPE, message, "sound"), stamp)
                if utterance is not None and self.wanted:
                    self._on_utterance(utterance, self._words(utterance))
            except Exception as error:  # one bad chunk must not end the thread
                self.refused += 1
                self.error = error_text(error)
                self._node.get_logger().warning(self.error, throttle_duration_sec=5.0)

    def _words(self, utterance: Sound) -> str:
        try:
            return "" if self._transcriber is None else self._transcriber.transcribe(utterance).text
        except Any2AnyError as error:
            self._node.get_logger().info(f"an utterance without words: {error}")
            return ""
