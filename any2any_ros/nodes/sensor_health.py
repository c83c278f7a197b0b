"""The line of a retrieval node's diagnostics for one modality: whether it is alive, and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from diagnostic_msgs.msg import DiagnosticStatus

from any2any_ros.nodes.lifecycle import diagnostic
from any2any_ros.nodes.rate import Rate
from any2any_ros.retrieval.localizer import Localizer
from any2any_ros.retrieval.stamps import SensorClock
from any2any_ros.samples import NS

RECENT = 5.0  # s for which something that went wrong is shown
DRIFTED = "unlike its calibration (the sensor has changed, or the robot is outside of the map)"


@dataclass
class Refusals:
    """Embeddings of one modality that were refused. why: the last reason."""

    rate: Rate = field(default_factory=Rate)
    why: str = ""

    @property
    def count(self) -> int:
        return self.rate.count

    def add(self, why: str, now_ns: int) -> None:
        self.rate.tick(now_ns)
        self.why = why

    def recent(self, now_ns: int) -> bool:
        return recent(self.rate, now_ns)


def recent(rate: Rate, now_ns: int) -> bool:
    """Return whether something happened lately."""
    return rate.age(now_ns) <= RECENT


def duration(ns: int) -> str:
    """Return the length of a time in words."""
    seconds = abs(ns) / NS
    return f"{seconds:.1f} s" if seconds < 86400 else f"{seconds / 86400:,.0f} days"


def tell(logger: Any, stale: Iterable[str], back: Iterable[str], drifted: Iterable[str]) -> None:
    """Log which modalities became stale, which came back, and which no longer fit their calibration."""
    for modality in stale:
        logger.warning(f"{modality} is stale: no embedding within its source_timeout")
    for modality in back:
        logger.info(f"{modality} is alive")
    for modality in drifted:
        logger.warning(f"{modality} is {DRIFTED}: probabilities based on it may be wrong")


def line(name: str, modality: str, localizer: Localizer, refusals: Refusals | None, now_ns: int) -> DiagnosticStatus:
    """Return the line of a modality of the map. name: the node's."""
    stream, alive = localizer.assembler.streams.get(modality), modality in localizer.alive
    clock = localizer.assembler.stamps.clocks.get(modality, SensorClock())
    causes = [] if alive else ["stale" if stream else "never received"]
    if refusals is not None and refusals.recent(now_ns):
        causes.append(f"{refusals.count} of its embeddings refused: {refusals.why}")
    causes += _stamps(clock, now_ns)
    if modality in localizer.drift.suspects:
        causes.append(DRIFTED)
    age = (now_ns - stream.received_ns) / NS if stream else float("inf")
    period = stream.period_ns / NS if stream else 0.0
    return diagnostic(
        DiagnosticStatus.WARN if causes else DiagnosticStatus.OK, f"{name}: {modality}",
        "; ".join(["alive", *causes] if alive else causes), age=age, rate=1 / period if period > 0 else 0.0,
        source_timeout=localizer.assembler.timeout_ns(modality) / NS, refused=refusals.count if refusals else 0,
        taken_at_arrival=clock.at_arrival.count, came_twice=clock.repeated.count, out_of_order=clock.reordered.count,
        too_late=clock.late.count, evidence_of_drift=localizer.drift.strength.get(modality, float("nan")),
    )  # fmt: skip


def _stamps(clock: SensorClock, now_ns: int) -> Iterator[str]:
    if clock.at_arrival.recent(now_ns):
        yield f"{_error(clock)}: taken at their arrival; {_remedy(clock)}"
    if clock.repeated.recent(now_ns):
        yield f"{clock.repeated.count} of its embeddings came twice"
    if clock.reordered.recent(now_ns):
        yield f"{clock.reordered.count} came out of the order in which they were measured"
    if clock.late.recent(now_ns):
        yield f"{clock.late.count} came too late to be used"
    if clock.slow.recent(now_ns):
        yield f"they come {duration(clock.lag_ns)} late: its driver, its encoder or the network is slow"


def _error(clock: SensorClock) -> str:
    if clock.still:
        return "its stamps stand still"
    whose = "the robot's clock" if clock.alone else "the other sensors'"
    return f"its stamps are {duration(clock.error_ns)} {'ahead of' if clock.error_ns > 0 else 'behind'} {whose}"


def _remedy(clock: SensorClock) -> str:
    late = clock.error_ns < 0 and not clock.still
    return "set the driver's clock, or find what delays it" if late else "set the driver's clock"
