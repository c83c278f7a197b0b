"""What /diagnostics said when: the history of every line, and when it named the cause of a fault."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from benchmarks.soak.kinds import KINDS, Cause
from benchmarks.soak.schedule import Fault

HEARTBEAT = 1.0  # s between two messages of a node
SILENT = 1.6  # s without one, from which on the node counts as silent


@dataclass(frozen=True)
class Line:
    """The state of one line: its level (0 OK, 1 WARN, 2 ERROR), its text, and the rate that it shows, in tens of Hz."""

    level: int
    text: str
    rate: float = 0.0

    def names(self, cause: Cause) -> bool:
        """Return whether the line, whose name fits, names a cause."""
        if cause.rate:
            return self.rate >= cause.rate
        return self.level >= 1 and bool(re.search(cause.text, self.text))


@dataclass
class History:
    """One line over time: its changes, and the times at which it was heard."""

    changes: list[tuple[float, Line]] = field(default_factory=list)
    heard: list[float] = field(default_factory=list)

    def hear(self, at: float, line: Line) -> None:
        self.heard.append(at)
        if not self.changes or self.changes[-1][1] != line:
            self.changes.append((at, line))

    def spans(self, until: float, cause: Cause) -> list[tuple[float, float]]:
        """Return from when to when the line named a cause."""
        ends = [at for at, _ in self.changes[1:]] + [until]
        out: list[tuple[float, float]] = []
        for (at, line), end in zip(self.changes, ends, strict=True):
            if line.names(cause):
                began = out.pop()[0] if out and out[-1][1] == at else at  # only a figure in the text has changed
                out.append((began, end))
        return out

    def text(self, at: float) -> str:
        """Return what the line said at that time."""
        return next((line.text for changed, line in reversed(self.changes) if changed <= at), "")

    def silences(self, until: float) -> list[tuple[float, float]]:
        """Return from when to when nothing was heard for longer than SILENT."""
        ends = [*self.heard[1:], until]
        return [(at + SILENT, end) for at, end in zip(self.heard, ends, strict=True) if end - at > SILENT]


@dataclass(frozen=True)
class Naming:
    """How a fault was named: after how many seconds, by which line and text, and how long after its end that lasted.

    after: None when it was not named. gone: None when it is still named, or has never been.
    """

    after: float | None
    line: str = ""
    text: str = ""
    gone: float | None = None


class Said:
    """The histories of all lines. They are heard in one thread and judged in another."""

    def __init__(self) -> None:
        self._lines: dict[str, History] = {}
        self._lock = threading.Lock()

    def hear(self, at: float, name: str, line: Line) -> None:
        with self._lock:
            self._lines.setdefault(name, History()).hear(at, line)

    def history(self) -> dict[str, History]:
        with self._lock:
            return {name: History(list(h.changes), list(h.heard)) for name, h in self._lines.items()}

    def naming(self, fault: Fault, begun: float, until: float) -> Naming:
        """Return how a fault was named that lasted from `begun` (monotonic, s); nothing is known after `until`."""
        ended, lines = begun + fault.end - fault.start, self.history()
        spans = [
            (max(0.0, start - begun), end, name, cause)
            for cause in KINDS[fault.kind].causes
            for name, start, end in _spans(lines, cause, fault, until)
            if end > begun and start < ended + HEARTBEAT
        ]
        if not spans:
            return Naming(None)
        after, _, name, cause = min(spans, key=lambda span: span[0])
        text = "no longer heard" if cause.silence else lines[name].text(begun + after)
        text += f", rate {cause.rate:g} Hz and more" if cause.rate else ""
        last = max(end for _, end, _, _ in spans)
        return Naming(after, name, text, max(0.0, last - ended) if last < until else None)


def _spans(lines: dict[str, History], cause: Cause, fault: Fault, until: float) -> Iterable[tuple[str, float, float]]:
    wanted = re.compile(cause.line.format(sensor=fault.sensor))
    for name, history in lines.items():
        if wanted.fullmatch(name):
            found = history.silences(until) if cause.silence else history.spans(until, cause)
            yield from ((name, start, end) for start, end in found)
