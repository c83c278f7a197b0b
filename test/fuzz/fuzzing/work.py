"""One process of a campaign: throws inputs at boundaries, and prints what came of them as lines of JSON."""

from __future__ import annotations

import json
import os
import random
import resource
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import IO

from . import folders
from .boundary import Boundary, Memory, Outcome, attempt, cross, input_of
from .failures import save
from .registry import boundaries, close

LENGTH = 32  # bytes of an input
TOGETHER = 25  # inputs whose memory is measured together
MOST_MEMORY = 8 << 30  # bytes: what asks for more gets a MemoryError, and the machine lives
PERIOD = 2.0  # s between two lines


def data_of(seed: str, name: str, i: int) -> bytes:
    """Return the bytes of the i-th input of a boundary."""
    return random.Random(f"{seed}:{name}:{i}").randbytes(LENGTH)


def work(tasks: list[tuple[str, int, int]], seed: str, failed: Path, current: Path, until: float) -> None:
    """Throw the inputs first to first + count at each boundary (name, first, count).

    failed: folder for inputs that fail. current: file that holds the input in progress, should this process die.
    until: monotonic time at which to stop.
    """
    out = prepare()
    try:
        with open(current, "wb", buffering=0) as mark:
            for name, first, count in tasks:
                report = Report(name, failed, mark, out)
                _throw(boundaries()[name], first, count, seed, report, until)
    finally:
        close()
        folders.clean()


def prepare() -> IO[str]:
    """Limit this process, silence what libraries print, and return where to print reports."""
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    warnings.simplefilter("ignore")
    out, nowhere = os.fdopen(os.dup(1), "w"), os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):  # libpng, rcl and others print to the file descriptor
        os.dup2(nowhere, stream)
    return out


class Report:
    """Counts what came of the inputs of one boundary, saves failures, and prints lines about them."""

    def __init__(self, name: str, failed: Path, mark: IO[bytes], out: IO[str]) -> None:
        self.name, self._failed, self._mark, self._out = name, failed, mark, out
        self._clear()

    def _clear(self) -> None:
        self._kinds: Counter[str] = Counter()
        self._seconds, self._worst, self._grown, self._began = 0.0, 0.0, 0.0, time.monotonic()

    def begin(self, i: int, data: bytes) -> None:
        """Note the input in progress."""
        self._mark.seek(0)
        self._mark.write(f"{self.name}\n{i}\n{data.hex()}\n".encode())

    def end(self, i: int, data: bytes, outcome: Outcome) -> None:
        """Count an outcome."""
        self._kinds[outcome.kind] += 1
        self._seconds, self._worst = self._seconds + outcome.seconds, max(self._worst, outcome.seconds)
        if outcome.failed:
            save(self._failed, self.name, data, outcome)
        if time.monotonic() > self._began + PERIOD:
            self.write(i + 1)

    def memory(self, grown: float) -> None:
        self._grown = max(self._grown, grown)

    def write(self, following: int) -> None:
        """Print what was counted since the last line. following: number of the next input."""
        line = {"boundary": self.name, "next": following, "kinds": self._kinds, "seconds": self._seconds}
        print(json.dumps({**line, "worst": self._worst, "grown": self._grown}), file=self._out, flush=True)
        self._clear()


def _throw(boundary: Boundary, first: int, count: int, seed: str, report: Report, until: float) -> None:
    end = first + count
    for start in range(first, end, TOGETHER):
        if time.monotonic() > until:
            end = start
            break
        numbers = range(start, min(start + TOGETHER, end))
        batch, outcomes = [data_of(seed, boundary.name, i) for i in numbers], []
        with Memory() as memory:
            for i, data in zip(numbers, batch, strict=True):
                report.begin(i, data)
                outcomes.append(cross(boundary, input_of(boundary, data)))
        report.memory(memory.grown)
        if memory.grown > boundary.megabytes:  # which one was it?
            outcomes = [attempt(boundary, data) for data in batch]
        for i, data, outcome in zip(numbers, batch, outcomes, strict=True):
            report.end(i, data, outcome)
    report.write(end)
