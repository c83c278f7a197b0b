"""The diagnostics of a retrieval node: one line for its answers, and one for each modality of its map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticStatus

from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes import sensor_health
from any2any_ros.nodes.lifecycle import diagnostic
from any2any_ros.nodes.missed import Missed
from any2any_ros.nodes.rate import Rate
from any2any_ros.nodes.sensor_health import DRIFTED, Refusals, duration
from any2any_ros.ranking import Ranking
from any2any_ros.retrieval.localizer import Localizer

OVERLOADED = "moments are skipped: embeddings arrive faster than the node answers"
UNKNOWN = ""  # stands for all modalities that the map does not have


@dataclass
class Health:
    """What the node counts.

    answers: rankings. skipped: moments that newer ones have overtaken. missed: embeddings that the middleware dropped.
    last: the last ranking. refusals: of embeddings, by modality, and why: the last reason. error: the last one of all,
    and errors: how often something else went wrong. mismatch: whose embeddings cannot arrive, and why. drifted:
    modalities.
    """

    answers: Rate = field(default_factory=Rate)
    skipped: Rate = field(default_factory=Rate)
    missed: Missed = field(default_factory=Missed)
    last: Ranking = field(default_factory=lambda: Ranking((), ()))
    refusals: dict[str, Refusals] = field(default_factory=dict)
    why: str = ""
    error: str = ""
    errors: Rate = field(default_factory=Rate)
    mismatch: str = ""
    drifted: tuple[str, ...] = ()

    @property
    def refused(self) -> int:
        return sum(refusals.count for refusals in self.refusals.values())

    def refuse(self, modality: str, localizer: Localizer, error: Any2AnyError, now_ns: int) -> None:
        """Count an embedding that cannot be used."""
        known = localizer.reference is not None and modality in localizer.reference.sensors
        self.refusals.setdefault(modality if known else UNKNOWN, Refusals()).add(error.why, now_ns)
        self.error, self.why = str(error), error.why

    def fail(self, error: Any2AnyError, now_ns: int) -> None:
        """Note that something else went wrong, such as the opening of a map."""
        self.error = str(error)
        self.errors.tick(now_ns)

    def newly_drifted(self, localizer: Localizer) -> list[str]:
        """Return the modalities that have drifted from their calibration since the last call."""
        before, self.drifted = self.drifted, localizer.drift.suspects
        return sorted(set(self.drifted) - set(before))

    def lines(self, name: str, localizer: Localizer, now_ns: int) -> list[DiagnosticStatus]:
        """Return one line for the answers and one for each modality of the map. name: the node's."""
        modalities = localizer.reference.sensors if localizer.reference else ()
        sensors = (sensor_health.line(name, m, localizer, self.refusals.get(m), now_ns) for m in modalities)
        return [self._answers(name, localizer, now_ns), *sensors]

    def _answers(self, name: str, localizer: Localizer, now_ns: int) -> DiagnosticStatus:
        warnings = list(self._warnings(localizer, now_ns))
        level, causes = DiagnosticStatus.WARN if warnings else DiagnosticStatus.OK, warnings or ["answering"]
        if localizer.reference is None:
            level, causes = DiagnosticStatus.ERROR, [self.error or "no map is loaded"]
        elif not localizer.alive:
            level, causes = DiagnosticStatus.ERROR, ["no sensor is alive", *warnings]
        return diagnostic(
            level, f"{name}: answers", "; ".join(causes), places=len(localizer.reference or ()),
            rankings=self.answers.count, rate=self.answers.hertz(now_ns), probability=self.last.probability,
            accepted=self.last.accepted, refused=self.refused, skipped=self.skipped.count, missed=self.missed.count,
            last_error=self.error,
        )  # fmt: skip

    def _warnings(self, localizer: Localizer, now_ns: int) -> Iterator[str]:
        if self.mismatch:
            yield self.mismatch
        if sensor_health.recent(self.errors, now_ns):
            yield self.error
        if any(refusals.recent(now_ns) for refusals in self.refusals.values()):
            yield f"{self.refused} embeddings refused: {self.why}"
        ahead = localizer.assembler.stamps.ahead_ns
        if ahead and localizer.alive:
            side = "ahead of" if ahead > 0 else "behind"
            remedy = "set use_sim_time for a recording, or else set the clocks"
            yield f"the sensors' stamps are {duration(ahead)} {side} the robot's clock: {remedy}"
        if sensor_health.recent(self.skipped, now_ns):
            yield OVERLOADED
        if not localizer.calibrated:
            yield "not calibrated: run any2any calibrate"
        if localizer.drift.suspects:
            yield f"{DRIFTED}: {', '.join(localizer.drift.suspects)}"
