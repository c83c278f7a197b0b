"""The diagnostics of an encoder node: what it counts, and which cause its line names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from any2any_ros.nodes.lifecycle import diagnostic
from any2any_ros.nodes.lost import Lost
from any2any_ros.nodes.rate import Rate


@dataclass
class EncoderHealth:
    """What the node counts.

    received, refused: messages. encoded: embeddings. lost: messages that the middleware dropped. dropped: messages that
    a newer one has replaced. missing: times at which a part of a stream was lost or dropped, and parts: how many in
    all. error: the last one. mismatch: of the QoS settings. seconds: of the last encoding.
    """

    received: Rate = field(default_factory=Rate)
    refused: Rate = field(default_factory=Rate)
    encoded: Rate = field(default_factory=Rate)
    lost: Lost = field(default_factory=Lost)
    dropped: int = 0
    missing: Rate = field(default_factory=Rate)
    parts: int = 0
    error: str = ""
    mismatch: str = ""
    seconds: float = 0.0

    def receive(self, info: Mapping[str, Any], now_ns: int) -> None:
        """Count a message. info: what rclpy tells of it."""
        self.received.tick(now_ns)
        self.lost.take(info)

    def miss(self, dropped: int, now_ns: int) -> None:
        """Note the time when parts of a stream are missing that were not a moment ago. dropped: messages so far."""
        before, self.parts = self.parts, self.lost.count + dropped
        if self.parts > before:
            self.missing.tick(now_ns)

    def refuse(self, error: str, now_ns: int) -> None:
        """Count a message that cannot be used."""
        self.refused.tick(now_ns)
        self.error = error

    def encode(self, seconds: float, now_ns: int) -> None:
        """Count an embedding, and the seconds that it took."""
        self.encoded.tick(now_ns)
        self.seconds = seconds

    def state(self, now_ns: int, recent: float, why_silent: Callable[[], str]) -> tuple[bytes, str]:
        """Return level and text. recent: seconds. why_silent: returns why no message arrives."""
        some = self.encoded.age(now_ns) <= recent
        if self.received.age(now_ns) > recent:
            return DiagnosticStatus.WARN, self.mismatch or why_silent()
        if self.refused.age(now_ns) <= recent:
            level, which = (DiagnosticStatus.WARN, "some") if some else (DiagnosticStatus.ERROR, "all")
            return level, f"{which} messages are refused: {self.error}"
        if self.missing.age(now_ns) <= recent:
            return DiagnosticStatus.WARN, f"{self.parts} parts of the stream are missing: the node is too slow for it"
        if not some and self.received.count > 1:
            return DiagnosticStatus.WARN, f"messages arrive, but none was encoded for {recent:g} s"
        if self.mismatch:
            return DiagnosticStatus.WARN, self.mismatch
        return DiagnosticStatus.OK, "encoding"

    def line(self, name: str, topic: str, state: tuple[bytes, str], now_ns: int, fingerprint: str) -> DiagnosticStatus:
        """Return the diagnostic line. state: level and text. fingerprint: of the encoder."""
        return diagnostic(
            state[0], name, state[1], topic, age=self.received.age(now_ns), rate=self.received.hertz(now_ns),
            encoded=self.encoded.count, refused=self.refused.count, dropped=self.dropped, lost=self.lost.count,
            encode_seconds=self.seconds, qos_mismatch=self.mismatch, last_error=self.error, encoder=fingerprint,
        )  # fmt: skip
