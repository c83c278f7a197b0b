"""The diagnostics of an encoder node: what it counts, and which cause its line names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from any2any_ros.nodes.lifecycle import diagnostic
from any2any_ros.nodes.missed import Missed
from any2any_ros.nodes.rate import Rate


@dataclass
class EncoderHealth:
    """What the node counts.

    received, refused: messages. encoded: embeddings. missed: messages that the middleware dropped. dropped: messages
    that newer ones have replaced. gaps: in a stream, where messages were missed or dropped, and absent: how many in
    all. error: the last one. mismatch: of the QoS settings. seconds: of the last encoding. odometry: where it comes
    from; "" for an encoder that uses none.
    """

    received: Rate = field(default_factory=Rate)
    refused: Rate = field(default_factory=Rate)
    encoded: Rate = field(default_factory=Rate)
    missed: Missed = field(default_factory=Missed)
    dropped: int = 0
    gaps: Rate = field(default_factory=Rate)
    absent: int = 0
    error: str = ""
    mismatch: str = ""
    seconds: float = 0.0
    odometry: str = ""

    def receive(self, info: Mapping[str, Any], now_ns: int) -> None:
        """Count a message. info: what rclpy tells of it."""
        self.received.tick(now_ns)
        self.missed.take(info)

    def look_for_gap(self, dropped: int, now_ns: int) -> None:
        """Note when another message of a stream is missing. dropped: messages so far."""
        before, self.absent = self.absent, self.missed.count + dropped
        if self.absent > before:
            self.gaps.tick(now_ns)

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
        if self.gaps.age(now_ns) <= recent:
            return DiagnosticStatus.WARN, f"{self.absent} parts of the stream are missing: the node is too slow for it"
        if not some and self.received.count > 1:
            return DiagnosticStatus.WARN, f"messages arrive, but none was encoded for {recent:g} s"
        if self.mismatch:
            return DiagnosticStatus.WARN, self.mismatch
        return DiagnosticStatus.OK, "encoding"

    def line(self, name: str, topic: str, state: tuple[bytes, str], now_ns: int, fingerprint: str) -> DiagnosticStatus:
        """Return the diagnostic line. state: level and text. fingerprint: of the encoder."""
        return diagnostic(
            state[0], name, state[1], topic, age=self.received.age(now_ns), rate=self.received.hertz(now_ns),
            encoded=self.encoded.count, refused=self.refused.count, dropped=self.dropped, missed=self.missed.count,
            encode_seconds=self.seconds, qos_mismatch=self.mismatch, last_error=self.error, encoder=fingerprint,
            odometry=self.odometry,
        )  # fmt: skip
