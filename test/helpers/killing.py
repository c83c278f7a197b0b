"""Kills a writer at any moment of its work, and looks at what is there then, and after the next save.

A process begins to write, and stops before the first step after its longest computation. From there it is copied
for every kill (stepping.py), so that a kill costs milliseconds even where the writer trains a network. Half of the
kills (SIGKILL) come at steps spread evenly over the rest of the work, the others at moments spread evenly over its
time, so that they also come in the middle of a step.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stepping import answer, at_steps, copied, done, fork

OLD, NEW = 0, 1
COMPUTATION = 0.1  # s of processor time between two steps, from which on the kills start after it


@dataclass(frozen=True)
class Writer:
    """Something that can be written and read.

    write(home, number): writes the old one (0) or the new one (1) into the folder `home`. read(home): returns its
    content as JSON can hold it, or raises. around(home): writes what is there before. prepare(): computes what all of
    these need, once. starts: over what the new one is written: an old one ("old"), or none ("nothing").
    """

    name: str
    write: Callable[[Path, int], object]
    read: Callable[[Path], Any]
    around: Callable[[Path], object] = lambda home: None
    prepare: Callable[[], object] = lambda: None
    starts: tuple[str, ...] = ("old", "nothing")


@dataclass
class Outcome:
    """How the kills of a writer went. found: how often the old one, the new one, or nothing was there.

    seconds: of the part of the work in which it was killed. failures: one line each.
    """

    writer: str
    kills: int = 0
    steps: int = 0
    seconds: float = 0.0
    found: dict[str, int] = field(default_factory=lambda: {"old": 0, "new": 0, "nothing": 0})
    failures: list[str] = field(default_factory=list)

    def add(self, other: dict[str, Any]) -> None:
        self.kills, self.steps = self.kills + other["kills"], self.steps + other["steps"]
        self.seconds = max(self.seconds, other["seconds"])
        self.found = {name: count + other["found"].get(name, 0) for name, count in self.found.items()}
        self.failures += other["failures"]


def campaign(writer: Writer, folder: Path, kills: int) -> Outcome:
    """Kill the writer `kills` times: where there is none yet a quarter of them, the others over an old one."""
    outcome = Outcome(writer.name)
    writer.prepare()
    first = kills if "old" not in writer.starts else kills // 4 if "nothing" in writer.starts else 0
    for start, count in (("old", kills - first), ("nothing", first)):
        if count:
            result = copied(Campaign(writer, folder / start, start, count).start)
            if "error" in result:
                outcome.failures.append(f"the campaign failed: {result['error']}")
            else:
                outcome.add(result["result"])
    return outcome


class Campaign:
    """The kills of a writer that starts each time from the same files."""

    def __init__(self, writer: Writer, folder: Path, before: str, count: int) -> None:
        self.writer, self.folder, self.home = writer, folder, folder / "home"
        self.before, self.count = before, count
        self.outcome = Outcome(writer.name)

    def start(self) -> None:
        """Become the writer, and answer from within its work. Runs in a process of its own."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.home.mkdir(parents=True)
        done(copied(lambda: self.writer.around(self.home)))
        if self.before == "old":
            done(copied(lambda: self.writer.write(self.home, OLD)))
        self.expected = {self.before: self._content()}
        shutil.copytree(self.home, self.folder / "before")
        steps = done(copied(self._recorded))
        self.expected["new"], self.names = self._content(), names(self.home)
        for state, content in self.expected.items():
            assert state == "nothing" or "result" in content, f"the {state} one cannot be read: {content}"
        self._restore("before")
        begin = _after_the_longest_computation(steps)
        self.steps = steps[begin:]
        at_steps(self.home, _Counter(begin, self._kill_all))
        self.writer.write(self.home, NEW)
        os._exit(0)  # a copy has ended its work; the writer itself has ended in _kill_all

    def _recorded(self) -> list[tuple[float, float, bool]]:
        """Write, and return of each step when it came, after how much processor time, and whether a file was open.

        The last row is the end of the work.
        """
        steps: list[tuple[float, float, bool]] = []

        def record() -> None:
            steps.append((time.monotonic(), time.process_time(), _holds_files(self.home)))

        at_steps(self.home, record)
        self.writer.write(self.home, NEW)
        at_steps(self.home, None)
        record()
        return steps

    def _kill_all(self) -> None:
        """Called at the step from which all kills start. Returns in copies of the process, which then write on."""
        shutil.copytree(self.home, self.folder / "begun")
        seconds = self.steps[-1][0] - self.steps[0][0]
        for moment in self._moments(seconds):
            self._restore("begun")
            if self._killed_at(moment) or self._judged(moment):
                return
        self.outcome.kills, self.outcome.steps, self.outcome.seconds = self.count, len(self.steps) - 1, seconds
        answer({"result": vars(self.outcome)})

    def _moments(self, seconds: float) -> Iterator[int | float]:
        at_steps = (self.count + 1) // 2
        for i in range(at_steps):
            yield (len(self.steps) - 1) * i // at_steps
        for i in range(self.count - at_steps):
            yield seconds * (i + 0.5) / (self.count - at_steps)

    def _killed_at(self, moment: int | float) -> bool:
        """Let a copy write on, and kill it. Return whether this process is the copy."""
        child = fork()
        if child == 0:
            if moment == 0:
                _kill_me()
            at_steps(self.home, _Counter(moment - 1, _kill_me) if isinstance(moment, int) else None)
            return True
        if isinstance(moment, float):
            time.sleep(moment)
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        return False

    def _judged(self, moment: int | float) -> bool:
        """Judge what is there after a kill, and after a copy has done the work. Return whether this is the copy."""
        where = f"killed at step {moment} of {len(self.steps)}" if isinstance(moment, int) else f"after {moment:.4f} s"
        content = self._content()
        found = [state for state, known in self.expected.items() if known == content]
        if found:
            self.outcome.found[found[0]] += 1
        else:
            self.outcome.failures.append(f"{where}: {json.dumps(content)[-300:]} among {names(self.home)}")
        child = fork()
        if child == 0:
            at_steps(self.home, None)
            return True
        _, status = os.waitpid(child, 0)
        if status or self._content() != self.expected["new"]:
            why = json.dumps(self._content())[-300:]
            self.outcome.failures.append(f"{where}: the next save ended with {status}, and left {why}")
        elif names(self.home) != self.names:
            self.outcome.failures.append(f"{where}: the next save left {set(names(self.home)) ^ set(self.names)}")
        return False

    def _content(self) -> dict[str, Any]:
        try:
            return {"result": json.loads(json.dumps(self.writer.read(self.home)))}
        except Exception as error:
            return {"error": f"{type(error).__name__}: {error}"}

    def _restore(self, name: str) -> None:
        shutil.rmtree(self.home)
        shutil.copytree(self.folder / name, self.home)


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def _after_the_longest_computation(steps: list[Any]) -> int:
    """Return the step before which the writer has computed for longest, among those at which it has no file open."""
    waited = [(at - steps[i][1], i + 1) for i, (_, at, holds) in enumerate(steps[1:-1]) if not holds]
    longest, step = max(waited, default=(0.0, 0))
    return step if longest > COMPUTATION else 0


def _holds_files(folder: Path) -> bool:
    """Return whether this process has a file of the folder open, or the lock of one."""
    opened = (
        os.readlink(f"/proc/self/fd/{fd}")
        for fd in os.listdir("/proc/self/fd")
        if os.path.lexists(f"/proc/self/fd/{fd}")
    )
    return any(path.startswith(str(folder)) for path in opened)


def _kill_me() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class _Counter:
    """Calls `then` at step `number`, counted from 0."""

    def __init__(self, number: int, then: Callable[[], object]) -> None:
        self.left, self.then = number, then

    def __call__(self) -> None:
        self.left -= 1
        if self.left == -1:
            self.then()
