"""The diagnostics of an encoder node: what it counts, and which cause its line names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticStatus

from any2any_ros.nodes.rate import Rate


@dataclass
class EncoderHealth:
    """Messages received and refused, embeddings made, the last error, a QoS mismatch, and seconds of an encoding."""

    received: Rate = field(default_factory=Rate)
    refused: Rate = field(default_factory=Rate)
    encoded: Rate = field(default_factory=Rate)
    error: str = ""
    mismatch: str = ""
    seconds: float = 0.0

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
        if not some and self.received.count > 1:
            return DiagnosticStatus.WARN, f"messages arrive, but none was encoded for {recent:g} s"
        if self.mismatch:
            return DiagnosticStatus.WARN, self.mismatch
        return DiagnosticStatus.OK, "encoding"
