"""What is true at one time of a chapter, by its faults: which sensors live, and why a ranking may be missing."""

from __future__ import annotations

from collections.abc import Iterable

from benchmarks.soak.kinds import ALL, ALLOWANCE, BACK, BACK_AT_TABLE, KINDS, RESTING, SENSORS
from benchmarks.soak.schedule import Fault

STARVED, KILLED, CHANGED = "starved", "killed", "changed"


def alive(faults: Iterable[Fault], at: float) -> frozenset[str]:
    """Return the sensors that send properly at this time, and whose encoder runs."""
    return frozenset(SENSORS) - {s for f in faults if f.start <= at < f.end for s in harmed(f)}


def sane(faults: Iterable[Fault], at: float, jumps: Iterable[float] = ()) -> frozenset[str]:
    """Return the sensors that have been alive for longer than the source timeout. jumps: times of the clock's."""
    if any(jump <= at < jump + ALLOWANCE for jump in jumps):
        return frozenset()
    return frozenset(SENSORS) - {s for f in faults if f.start <= at < f.end + ALLOWANCE for s in harmed(f)}


def harmed(fault: Fault) -> frozenset[str]:
    """Return the sensors that do not send properly during a fault."""
    kind = KINDS[fault.kind]
    if not kind.disturbs or not kind.hits:
        return frozenset()
    return frozenset(SENSORS) if kind.hits == ALL else frozenset({fault.sensor})


def excuse(faults: Iterable[Fault], at: float, jumps: Iterable[float] = ()) -> str:
    """Return why the ranking of a moment may be missing: STARVED, KILLED, CHANGED, or "" when it may not.

    STARVED: the processor is busy, or was until a moment ago. KILLED: the retrieval node was killed less than BACK ago.
    CHANGED: a fault began, or the clock jumped, less than ALLOWANCE ago.
    """
    current = list(faults)
    if any(f.kind == "cpu_starved" and f.start <= at < f.end + RESTING for f in current):
        return STARVED
    if any(f.kind == "retrieval_killed" and f.start <= at < f.start + BACK for f in current):
        return KILLED
    changes = [f.start for f in current if KINDS[f.kind].disturbs and f.kind != "retrieval_killed"]
    return CHANGED if any(t <= at < t + ALLOWANCE for t in [*changes, *jumps]) else ""


def excuse_at_the_table(faults: Iterable[Fault], at: float) -> str:
    """Return why a command to the grounding node may get no answer: STARVED, KILLED, or "" when it may not."""
    current = [
        f for f in faults if f.kind == "grounding_killed" and f.start - ALLOWANCE <= at < f.start + BACK_AT_TABLE
    ]
    busy = excuse((f for f in faults if f.kind == "cpu_starved"), at)
    return busy if busy == STARVED else KILLED if current else ""


def calm(faults: Iterable[Fault], at: float) -> bool:
    """Return whether no fault is active, and none has ended within RESTING."""
    return not any(f.start <= at < f.end + RESTING for f in faults)
