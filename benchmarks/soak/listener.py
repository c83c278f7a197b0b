"""Hears what the nodes say: rankings, and the lines of /diagnostics as they change."""

from __future__ import annotations

import time

from diagnostic_msgs.msg import DiagnosticArray

import any2any_ros.msg as msg
from any2any_ros.nodes import messages
from any2any_ros.nodes.peer import Peer
from benchmarks.soak.ledger import Answer, Ledger
from benchmarks.soak.said import Line, Said


class Listener(Peer):
    """Gives rankings to a ledger, and keeps the diagnostics. It spins in a thread of its own, as a context manager."""

    def __init__(self) -> None:
        super().__init__("campaign")
        self.ledger, self.said = Ledger(), Said()
        self.node.create_subscription(msg.Ranking, "matches", self._on_ranking, 1000)
        self.node.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 1000)

    def _on_ranking(self, message: msg.Ranking) -> None:
        stamps = dict(zip(message.modalities, map(messages.time_ns, message.stamps), strict=True))
        first = message.matches[0].id if message.matches else ""
        self.ledger.answer(Answer(time.monotonic(), stamps, first, message.accepted))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        now = time.monotonic()
        for status in message.status:
            rate = next((float(v.value) for v in status.values if v.key == "rate"), 0.0)
            self.said.hear(now, status.name, Line(status.level[0], status.message, round(rate, -1)))
