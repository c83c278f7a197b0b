"""Judges a run: the criteria with what was measured, and for every fault how it was named."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.soak import truth
from benchmarks.soak.campaign import LAST, Played
from benchmarks.soak.kinds import ALLOWANCE, BACK, CYCLE, KINDS, RESTING, SOURCE_TIMEOUT
from benchmarks.soak.ledger import LIMIT, Moment
from benchmarks.soak.robot import CALL_LIMIT
from benchmarks.soak.said import Naming
from benchmarks.soak.schedule import Fault

NAMED = 5.0  # s from the beginning of a fault until /diagnostics must name it
GONE = 10.0  # s from its end until /diagnostics must no longer
STARVED = 0.1  # largest share of skipped rankings while all cores are starved
GROWTH = 0.05  # largest growth of a process's memory
WARM_UP = 120.0  # s of a process's life before its memory is judged; half of a shorter life
WINDOW = 60.0  # s at both ends of the rest, whose medians are compared; a quarter of a shorter rest
SHORTEST_LIFE = 20.0  # s; the memory of a process that lived shorter is not judged


@dataclass(frozen=True)
class Criterion:
    """One thing that must hold: what, the limit, what was measured, and one line for each case where it did not."""

    what: str
    limit: str
    measured: str
    failures: tuple[str, ...] = ()

    @property
    def held(self) -> bool:
        return not self.failures


@dataclass(frozen=True)
class Life:
    """The memory (RSS, bytes) of one process: the median after its warm-up, and the median at its end."""

    name: str
    process: int
    seconds: float
    first: float
    last: float

    @property
    def growth(self) -> float:
        return self.last / self.first - 1


@dataclass(frozen=True)
class Named:
    """A fault, in seconds since its chapter began, and how it was named. wrong: what is wrong with that."""

    clock: str
    fault: Fault
    naming: Naming
    wrong: str = ""


def judge(chapters: Sequence[Played]) -> list[Criterion]:
    """Return the criteria of a run."""
    return [
        _crashes(chapters), _skipped(chapters), _back(chapters), _starved(chapters), _lacking(chapters),
        _named(chapters), _flat(chapters), _calls(chapters), _commands(chapters),
    ]  # fmt: skip


def _clock(played: Played, at: float) -> str:
    return f"{played.chapter.clock}, {at - played.began:.1f} s"


def _crashes(chapters: Iterable[Played]) -> Criterion:
    ended = [(p, e) for p in chapters for e in p.processes if not e.killed]
    lines = [f"{_clock(p, e.at)}: {e.name} ended with {e.code}" for p, e in ended]
    lines += [line for p in chapters for line in p.findings]
    killed = sum(e.killed for p in chapters for e in p.processes)
    what = "processes that ended, exceptions in logs, damaged files"
    return Criterion(what, "0", f"{len(lines)}, beside {killed} kills", tuple(lines))


def moments(played: Played, *excuses: str) -> list[Moment]:
    """Return the moments of a chapter that can be judged, with a living sensor, and with one of these excuses."""
    until = played.ended - (LIMIT if played.left else LAST)
    return [m for m in played.ledger.moments if played.began <= m.at < until and m.alive and m.excuse in excuses]


def _skipped(chapters: Iterable[Played]) -> Criterion:
    judged = [(p, m) for p in chapters for m in moments(p, "")]
    skipped = [f"{_clock(p, m.at)}: no ranking ({active(p, m.at)})" for p, m in judged if m.skipped]
    changed = [m for p in chapters for m in moments(p, truth.CHANGED)]
    measured = f"{len(skipped)} of {len(judged)}; within: {sum(m.skipped for m in changed)} of {len(changed)}"
    limit = f"0 beyond {ALLOWANCE:g} s (source_timeout {SOURCE_TIMEOUT:g} s + one cycle)"
    return Criterion("rankings skipped", limit, measured, tuple(skipped))


def active(played: Played, at: float) -> str:
    """Return the faults that are active, or have ended just now, in words."""
    names = [f"{f.kind} {f.sensor}".strip() for f in played.faults if f.start <= at < f.end + RESTING]
    return ", ".join(names) or "no fault"


def back_after(played: Played) -> list[tuple[float, float]]:
    """Return for each kill of the retrieval node its time, and the seconds until the first ranking after it."""
    kills = [f.start for f in played.faults if f.kind == "retrieval_killed" and f.start < played.ended - BACK]
    answers = played.ledger.answers
    return [(at, min((a for a in answers if a > at + CYCLE), default=float("inf")) - at) for at in kills]


def _back(chapters: Iterable[Played]) -> Criterion:
    times = [(p, *kill) for p in chapters for kill in back_after(p)]
    lines = [f"{_clock(p, at)}: the first ranking after {s:.2f} s" for p, at, s in times if s > BACK]
    slowest = max((s for *_, s in times), default=float("nan"))
    return Criterion("a killed retrieval node is back", f"≤ {BACK:g} s", f"{slowest:.2f} s at most, {len(times)} kills",
                     tuple(lines))  # fmt: skip


def _starved(chapters: Iterable[Played]) -> Criterion:
    judged = [m for p in chapters for m in moments(p, truth.STARVED)]
    skipped = sum(m.skipped for m in judged)
    wrong = (f"{skipped} of {len(judged)} rankings",) if skipped > STARVED * len(judged) else ()
    return Criterion(
        "rankings skipped while all cores are starved", f"≤ {STARVED:.0%}", f"{skipped} of {len(judged)}", wrong
    )


def _lacking(chapters: Iterable[Played]) -> Criterion:
    judged = [(p, m) for p in chapters for m in moments(p, "") if m.delay is not None]
    lines = [f"{_clock(p, m.at)}: without {', '.join(m.lacking)} ({active(p, m.at)})" for p, m in judged if m.lacking]
    return Criterion("rankings without a sensor that lives", "0", f"{len(lines)} of {len(judged)}", tuple(lines))


def naming(chapters: Iterable[Played]) -> list[Named]:
    """Return how each fault was named that lasted long enough, and whose kind must be named."""
    out = []
    for played in chapters:
        for drawn, fault in zip(played.chapter.faults, played.faults, strict=False):
            if KINDS[fault.kind].causes and fault.end < played.ended:
                said = played.said.naming(fault, fault.start, played.ended)
                out.append(Named(played.chapter.clock, drawn, said, _wrong(said, fault, played)))
    return out


def _wrong(said: Naming, fault: Fault, played: Played) -> str:
    if said.after is None:
        return "not named"
    if said.after > NAMED:
        return f"named after {said.after:.1f} s"
    again = any(
        f is not fault and f.start < fault.end + GONE and f.end > fault.end and _alike(f, fault) for f in played.faults
    )
    if again or fault.end + GONE > played.ended:
        return ""
    if said.gone is None or said.gone > GONE:
        return f"still named {GONE:g} s after its end"
    return ""


def _alike(one: Fault, other: Fault) -> bool:
    """Whether both faults are named by the same line: what it says of one may also fit the other one."""
    lines = [{c.line.format(sensor=f.sensor) for c in KINDS[f.kind].causes} for f in (one, other)]
    return bool(lines[0] & lines[1])


def _named(chapters: Sequence[Played]) -> Criterion:
    found = naming(chapters)
    lines = [
        f"{n.clock}, {n.fault.start:.1f} s: {n.fault.kind} {n.fault.sensor}".strip() + f": {n.wrong}"
        for n in found
        if n.wrong
    ]
    good = len(found) - len(lines)
    return Criterion("faults that /diagnostics names", f"all, within {NAMED:g} s, and not {GONE:g} s after their end",
                     f"{good} of {len(found)}", tuple(lines))  # fmt: skip


def lives(played: Played) -> list[Life]:
    """Return the memory of every process that lived long enough."""
    out = []
    for name, rows in played.memory.items():
        for process in dict.fromkeys(row[1] for row in rows):
            own = [(at, rss) for at, number, _, rss in rows if number == process]
            length = own[-1][0] - own[0][0]
            if length >= SHORTEST_LIFE:
                warm = own[0][0] + min(WARM_UP, length / 2)
                window = min(WINDOW, (own[-1][0] - warm) / 4)
                first = statistics.median(rss for at, rss in own if warm <= at <= warm + window)
                last = statistics.median(rss for at, rss in own if at >= own[-1][0] - window)
                out.append(Life(name, process, length, first, last))
    return out


def _flat(chapters: Iterable[Played]) -> Criterion:
    found = [(p, life) for p in chapters for life in lives(p)]
    grown = [(p, life) for p, life in found if life.growth > GROWTH]
    lines = [f"{p.chapter.clock}: {one.name}: {one.growth:+.1%} in {one.seconds:.0f} s" for p, one in grown]
    most = max((life.growth for _, life in found), default=float("nan"))
    return Criterion("growth of a process's memory after its warm-up (RSS)", f"≤ {GROWTH:.0%}",
                     f"{most:+.1%} at most, {len(found)} processes", tuple(lines))  # fmt: skip


def _calls(chapters: Iterable[Played]) -> Criterion:
    judged = [(p, c) for p in chapters for c in p.calls if c.code is not None or c.at < p.ended - CALL_LIMIT]
    lines = []
    for played, call in judged:
        if call.wrong:
            came = "no answer" if call.code is None else f"code {call.code} after {call.seconds:.1f} s"
            name = f"{call.service} {call.path.rpartition('/')[2]}"
            lines.append(f"{_clock(played, call.at)}: {name}: {call.wanted} wanted, {came}")
    measured = f"{len(judged) - len(lines)} of {len(judged)}"
    return Criterion("services that answer as they must", f"all, within {CALL_LIMIT:g} s", measured, tuple(lines))


def _commands(chapters: Iterable[Played]) -> Criterion:
    judged = [(p, c) for p in chapters for c in p.commands if p.began <= c.at < p.ended - LAST]
    due = [(p, c) for p, c in judged if not c.excuse]
    lines = [f"{_clock(p, c.at)}: no answer ({active(p, c.at)})" for p, c in due if c.skipped]
    starved = [c for _, c in judged if c.excuse == truth.STARVED]
    late = sum(c.skipped for c in starved)
    if late > STARVED * len(starved):
        lines.append(f"{late} of {len(starved)} while all cores are starved")
    measured = (
        f"{sum(not c.skipped for _, c in due)} of {len(due)}; while starved {len(starved) - late} of {len(starved)}"
    )
    return Criterion("commands that the grounding node answers", f"all, within {ALLOWANCE:g} s", measured, tuple(lines))
