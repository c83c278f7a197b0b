"""How the retrieval node is, for /diagnostics: its answers, and every sensor that its map knows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from diagnostic_msgs.msg import DiagnosticStatus

from any2any_ros.nodes.runtime import status
from any2any_ros.samples import NS

if TYPE_CHECKING:
    from any2any_ros.nodes.retrieval_node import RetrievalNode


def of(node: RetrievalNode) -> list[DiagnosticStatus]:
    """Return one line for the answers and one for each modality of the map."""
    modalities = node.reference.encoders if node.reference else ()
    return [_answers(node), *(_sensor(node, m) for m in modalities)]


def _answers(node: RetrievalNode) -> DiagnosticStatus:
    level, text = DiagnosticStatus.OK, "answering"
    if node.reference is None:
        level, text = DiagnosticStatus.ERROR, node.error
    elif not node.seen_alive:
        level, text = DiagnosticStatus.ERROR, node.error or "no sensor is alive"
    elif not node.calibrated:
        level, text = DiagnosticStatus.WARN, "not calibrated: run any2any calibrate"
    return status(
        level, f"{node.get_name()}: answers", text, places=len(node.reference or ()),
        rankings=node.answers.count, rate=node.answers.hertz(node.now_ns()), probability=node.last.probability,
        accepted=node.last.accepted, refused=node.refused, last_error=node.error,
    )  # fmt: skip


def _sensor(node: RetrievalNode, modality: str) -> DiagnosticStatus:
    source, alive = node.assembler.sources.get(modality), modality in node.seen_alive
    age = (node.now_ns() - source.received_ns) / NS if source else float("inf")
    period = source.period_ns / NS if source else 0.0
    text = "alive" if alive else "stale" if source else "never heard"
    return status(
        DiagnosticStatus.OK if alive else DiagnosticStatus.WARN, f"{node.get_name()}: {modality}", text,
        age=age, rate=1 / period if period > 0 else 0.0,
        source_timeout=node.assembler.timeout_ns(modality) / NS,
    )  # fmt: skip
