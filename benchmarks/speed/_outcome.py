"""What came of a drive: which moments were answered by which sensors, how soon, and when a death was noticed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from any2any_ros.ranking import Ranking
from any2any_ros.samples import NS


@dataclass
class Outcome:
    """Stamps of the moments sent (ns), no warm-up; rankings with the time (ns) at which each came; when a process
    was killed (ns, 0 = never); by process, seconds from start to ready, memory (PSS, RSS in bytes) and CPU (cores)."""

    sent: list[int] = field(default_factory=list)
    answers: list[tuple[Ranking, int]] = field(default_factory=list)
    killed_ns: int = 0
    ready: dict[str, float] = field(default_factory=dict)
    memory: dict[str, tuple[int, int]] = field(default_factory=dict)
    cores: dict[str, float] = field(default_factory=dict)


def answered(outcome: Outcome, wanted: Callable[[Ranking, int], bool]) -> dict[int, int]:
    """Return the ns from a moment's stamp to its first ranking that `wanted` accepts, by stamp; others are absent."""
    sent = set(outcome.sent)
    found: dict[int, int] = {}
    for ranking, came in outcome.answers:
        if ranking.stamp_ns in sent and wanted(ranking, ranking.stamp_ns):
            found.setdefault(ranking.stamp_ns, came - ranking.stamp_ns)
    return found


def complete(modalities: Sequence[str]) -> Callable[[Ranking, int], bool]:
    """Return what accepts a ranking made from this moment's own message of every one of these sensors."""

    def wanted(ranking: Ranking, stamp: int) -> bool:
        used = dict(zip(ranking.modalities, ranking.stamps_ns, strict=True))
        return all(used.get(m) == stamp for m in modalities)

    return wanted


def noticed_after(outcome: Outcome, modality: str) -> float:
    """Return the seconds from the kill to the arrival of the first ranking without `modality`; inf when none comes."""
    after = ((ranking, came) for ranking, came in outcome.answers if ranking.stamp_ns >= outcome.killed_ns)
    without = (came for ranking, came in after if modality not in ranking.modalities)
    return (min(without, default=float("inf")) - outcome.killed_ns) / NS
