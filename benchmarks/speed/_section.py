"""Makes each section of `make bench` a program."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.speed._clock import one_thread
from benchmarks.speed._rows import Row, line

Section = Callable[[bool], Iterable[Row]]  # argument: whether to be quick


def interruptible() -> None:
    """Handle SIGTERM like Ctrl-C, so that all processes are ended on the way out."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def main(section: Section, name: str) -> None:
    """Run a section as a program: python -m benchmarks.speed.NAME [--quick] [--rows FILE]."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="fewer repetitions; parts that take minutes are left out")
    parser.add_argument("--rows", type=Path, help="also append each row to this file, as a line of JSON")
    arguments = parser.parse_args()
    interruptible()
    one_thread()
    try:
        for row in named(section(arguments.quick), Path(name).stem):
            print(line(row), flush=True)
            if arguments.rows:
                with open(arguments.rows, "a", encoding="utf-8") as stream:
                    stream.write(json.dumps(row.plain()) + "\n")
    except KeyboardInterrupt:
        sys.exit(130)


def named(rows: Iterable[Row], section: str) -> Iterator[Row]:
    return (replace(row, section=section) for row in rows)
