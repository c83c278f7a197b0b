"""A campaign: many inputs at all boundaries, in several processes, and a table of what came of them."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from any2any_ros import tables

from . import guided
from .boundary import ANSWERS, Boundary, Outcome
from .failures import save

Task = tuple[str, int, int]  # a boundary, the number of its first input, and how many
TURN = 100  # inputs of each boundary in one turn, unguided
PORTION = 40.0  # s of CPU time, by estimate, that one process is given
STUCK = 300.0  # s without a line after which a process is killed


@dataclass
class Tally:
    """What came of the inputs of one boundary. worst: s of CPU time of one input; grown: MB."""

    kinds: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    worst: float = 0.0
    grown: float = 0.0

    def add(self, line: dict[str, Any]) -> None:
        self.kinds.update(line["kinds"])
        self.seconds += line["seconds"]
        self.worst, self.grown = max(self.worst, line["worst"]), max(self.grown, line["grown"])

    @property
    def inputs(self) -> int:
        return sum(self.kinds.values())

    @property
    def failures(self) -> int:
        return sum(count for kind, count in self.kinds.items() if kind not in ANSWERS)


def shares(known: dict[str, Boundary], inputs: int) -> dict[str, int]:
    """Return how many inputs each boundary gets: its least number, and the more, the cheaper they are.

    With few inputs, each gets its part of its least number.
    """
    least = sum(b.least for b in known.values())
    if inputs <= least:
        return {name: max(1, round(inputs * b.least / least)) for name, b in known.items()}
    cheapness = {name: 1 / b.milliseconds for name, b in known.items()}
    rest = (inputs - least) / sum(cheapness.values())
    counts = {name: b.least + round(rest * cheapness[name]) for name, b in known.items()}
    cheapest = min(known, key=lambda name: known[name].milliseconds)
    counts[cheapest] += inputs - sum(counts.values())  # what rounding lost
    return counts


def portions(known: dict[str, Boundary], counts: dict[str, int]) -> list[list[Task]]:
    """Return tasks (name, first, count) in portions of about as much work, those of slow boundaries first."""
    tasks, portion, left = [], [], PORTION
    for name in sorted(counts, key=lambda name: -known[name].milliseconds):
        first, cost = 0, known[name].milliseconds / 1000
        while first < counts[name]:
            count = min(counts[name] - first, max(1, int(left / cost)))
            portion.append((name, first, count))
            first, left = first + count, left - count * cost
            if left <= cost:
                tasks.append(portion)
                portion, left = [], PORTION
    return [*tasks, portion] if portion else tasks


class Campaign:
    """Runs portions of work in processes. A process that dies or hangs is a failure of the input it was at."""

    def __init__(self, program: list[str], failed: Path, tell: Callable[[str], None] = print) -> None:
        """program: the command of a worker, to which arguments are added. failed: folder for inputs that fail."""
        self._program, self._failed, self._tell = program, failed, tell
        self.tallies: dict[str, Tally] = {}
        self._lock = threading.Lock()

    def run(self, work: list[list[Task]], workers: int, seed: str, until: float = float("inf")) -> None:
        """Do all work. until: monotonic time at which to stop."""
        waiting = list(reversed(work))

        def one_after_the_other() -> None:
            while time.monotonic() < until:
                with self._lock:
                    if not waiting:
                        return
                    portion = waiting.pop()
                rest = self._portion(portion, seed, until)
                if rest:
                    with self._lock:
                        waiting.append(rest)

        _in_threads(one_after_the_other, workers)

    def for_some_time(self, known: dict[str, Boundary], workers: int, seed: str, until: float) -> None:
        """Fuzz until a monotonic time: boundary by boundary, guided by coverage, where atheris is installed."""
        if not guided.available():
            for turn in itertools.count():
                if time.monotonic() > until:
                    return
                self.run(portions(known, shares(known, TURN * len(known))), workers, f"{seed}.{turn}", until)
        names = itertools.cycle(known)

        def one_after_the_other() -> None:
            while (left := until - time.monotonic()) > 1:
                with self._lock:
                    name = next(names)
                code, current = self._watched(["--guided", name, "--until", str(min(left, guided.SLICE))])
                if code:
                    self._note_death(current, code)

        _in_threads(one_after_the_other, workers)

    def _portion(self, portion: list[Task], seed: str, until: float) -> list[Task]:
        """Run one process; return the work that it left undone because it died."""
        code, current = self._watched(["--work", json.dumps(portion), "--seed", seed, "--until", str(until)])
        if code == 0:
            return []
        name, i = self._note_death(current, code)
        at = next(k for k, (task, first, count) in enumerate(portion) if task == name and first <= i < first + count)
        left = portion[at][1] + portion[at][2] - i - 1
        return [*([(name, i + 1, left)] if left else []), *portion[at + 1 :]]

    def _watched(self, arguments: list[str]) -> tuple[int, str]:
        """Run a process, count what it prints, and kill it when it prints nothing. Return its exit code and the input
        that it was at."""
        with tempfile.NamedTemporaryFile(prefix="any2any-fuzz-") as current, tempfile.TemporaryFile("w+") as complaints:
            command = [*self._program, *arguments, "--current", current.name, "--save", str(self._failed)]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True)
            alive, done = time.monotonic(), threading.Event()

            def watch() -> None:
                while not done.wait(5.0):
                    if time.monotonic() - alive > STUCK:
                        process.kill()

            threading.Thread(target=watch, daemon=True).start()
            for line in process.stdout or ():
                alive = time.monotonic()
                self._take(json.loads(line))
            done.set()
            code, at = process.wait(), Path(current.name).read_text()
            if code and not at:
                complaints.seek(0)
                raise RuntimeError(f"a process ended with {code} before its first input: {complaints.read()[-2000:]}")
            return code, at

    def _take(self, line: dict[str, Any]) -> None:
        with self._lock:
            self.tallies.setdefault(line["boundary"], Tally()).add(line)
            total, failures = (sum(getattr(t, what) for t in self.tallies.values()) for what in ("inputs", "failures"))
        self._tell(f"{total:,} inputs, {failures} failures; {line['boundary']}")

    def _note_death(self, current: str, code: int) -> tuple[str, int]:
        """Save the input at which a process died; return the boundary and the number of the input."""
        name, i, data = current.split("\n")[:3]
        save(self._failed, name, bytes.fromhex(data), Outcome("dead", f"the process ended with {code}"))
        with self._lock:
            self.tallies.setdefault(name, Tally()).kinds["dead"] += 1
        return name, int(i)


def _in_threads(work: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def table(tallies: dict[str, Tally]) -> str:
    """Return the tallies as text, one line a boundary."""
    rows = [
        {
            "boundary": name, "inputs": t.inputs, "answered": t.kinds["answered"], "refused": t.kinds["refused"],
            "failed": t.failures, "ms": round(1000 * t.seconds / max(t.inputs, 1), 2),
            "worst ms": round(1000 * t.worst), "MB": round(t.grown),
        }
        for name, t in sorted(tallies.items())
    ]  # fmt: skip
    total = {key: sum(row[key] for row in rows) for key in ("inputs", "answered", "refused", "failed")}
    columns = {key: key for key in ("boundary", "inputs", "answered", "refused", "failed", "ms", "worst ms", "MB")}
    return tables.table([*rows, {"boundary": "all", **total}], columns)


def program() -> list[str]:
    """Return the command of a worker: the script that runs, in this Python."""
    return [sys.executable, sys.argv[0]]
