"""The diagnostics of a retrieval node: one line for its answers, and one for each modality of its map."""

from __future__ import annotations

from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticStatus

from any2any_ros.nodes.lifecycle import diagnostic
from any2any_ros.nodes.rate import Rate
from any2any_ros.ranking import Ranking
from any2any_ros.retrieval.localizer import Localizer
from any2any_ros.samples import NS

DRIFTED = "unlike its calibration (the sensor has changed, or the robot is outside of the map)"


@dataclass
class Health:
    """What the node counts: answers, the last ranking, refused embeddings, the last error, and drifted modalities."""

    answers: Rate = field(default_factory=Rate)
    last: Ranking = field(default_factory=lambda: Ranking((), ()))
    refused: int = 0
    error: str = ""
    drifted: tuple[str, ...] = ()

    def newly_drifted(self, localizer: Localizer) -> list[str]:
        """Return the modalities that have drifted from their calibration since the last call."""
        before, self.drifted = self.drifted, localizer.drift.suspects
        return sorted(set(self.drifted) - set(before))

    def lines(self, name: str, localizer: Localizer, now_ns: int) -> list[DiagnosticStatus]:
        """Return one line for the answers and one for each modality of the map. name: the node's."""
        modalities = localizer.reference.sensors if localizer.reference else ()
        return [self._answers(name, localizer, now_ns), *(_sensor(name, m, localizer, now_ns) for m in modalities)]

    def _answers(self, name: str, localizer: Localizer, now_ns: int) -> DiagnosticStatus:
        level, text = DiagnosticStatus.OK, "answering"
        if localizer.reference is None:
            level, text = DiagnosticStatus.ERROR, self.error or "no map is loaded"
        elif not localizer.alive:
            level, text = DiagnosticStatus.ERROR, self.error or "no sensor is alive"
        elif not localizer.calibrated:
            level, text = DiagnosticStatus.WARN, "not calibrated: run any2any calibrate"
        elif localizer.drift.suspects:
            level, text = DiagnosticStatus.WARN, f"{DRIFTED}: {', '.join(localizer.drift.suspects)}"
        return diagnostic(
            level, f"{name}: answers", text, places=len(localizer.reference or ()), rankings=self.answers.count,
            rate=self.answers.hertz(now_ns), probability=self.last.probability, accepted=self.last.accepted,
            refused=self.refused, last_error=self.error,
        )  # fmt: skip


def _sensor(name: str, modality: str, localizer: Localizer, now_ns: int) -> DiagnosticStatus:
    stream, alive = localizer.assembler.streams.get(modality), modality in localizer.alive
    age = (now_ns - stream.received_ns) / NS if stream else float("inf")
    period = stream.period_ns / NS if stream else 0.0
    text = "alive" if alive else "stale" if stream else "never received"
    drifted = modality in localizer.drift.suspects
    return diagnostic(
        DiagnosticStatus.OK if alive and not drifted else DiagnosticStatus.WARN, f"{name}: {modality}",
        f"{text}; {DRIFTED}" if drifted else text, age=age, rate=1 / period if period > 0 else 0.0,
        source_timeout=localizer.assembler.timeout_ns(modality) / NS,
        evidence_of_drift=localizer.drift.strength.get(modality, float("nan")),
    )  # fmt: skip
