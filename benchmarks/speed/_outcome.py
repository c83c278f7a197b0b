"""The outcome of a drive: which moments were answered with which sensors, how soon, and when a death was noticed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from any2any_ros.ranking import Ranking
from any2any_ros.samples import NS


@dataclass
class Outcome:
    """What one drive recorded.

    sent: stamps of the measured moments, ns. answers: rankings, each with the time of its arrival, ns. killed_ns: when
    a process was killed (0: never). By process: ready: s from the start. memory: PSS and RSS in bytes. cores: CPU.
    """

    sent: list[int] = field(default_factory=list)
    answers: list[tuple[Ranking, int]] = field(default_factory=list)
    killed_ns: int = 0
    ready: dict[str, float] = field(default_factory=dict)
    memory: dict[str, tuple[int, int]] = field(default_factory=dict)
    cores: dict[str, float] = field(default_factory=dict)


def answered(outcome: Outcome, wanted: Callable[[Ranking, int], bool]) -> dict[int, int]:
    """Return stamp -> ns until the first ranking that `wanted` is true for; a stamp without one is absent."""
    sent = set(outcome.sent)
    delays: dict[int, int] = {}
    for ranking, came in outcome.answers:
        if ranking.stamp_ns in sent and wanted(ranking, ranking.stamp_ns):
            delays.setdefault(ranking.stamp_ns, came - ranking.stamp_ns)
    return delays


def complete(modalities: Sequence[str]) -> Callable[[Ranking, int], bool]:
    """Return a test whether a ranking was made from the messages of its moment, of all these sensors."""

    def wanted(ranking: Ranking, stamp: int) -> bool:
        used = dict(zip(ranking.modalities, ranking.stamps_ns, strict=True))
        return all(used.get(m) == stamp for m in modalities)

    return wanted


def noticed_after(outcome: Outcome, modality: str) -> float:
    """Return the seconds from the kill until the first ranking without `modality` arrived; inf when none did."""
    after = ((ranking, came) for ranking, came in outcome.answers if ranking.stamp_ns >= outcome.killed_ns)
    without = (came for ranking, came in after if modality not in ranking.modalities)
    return (min(without, default=float("inf")) - outcome.killed_ns) / NS
