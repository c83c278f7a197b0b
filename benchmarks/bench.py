"""Measures speed, memory and start-up: `make bench`, or python -m benchmarks.bench [--quick] [--only SECTION]

Each section is a file of benchmarks/speed/. It runs in a process of its own, so that its memory is measured alone, and
it is also a program: python -m benchmarks.speed.SECTION. A section that fails becomes a row that says so, and the
others go on; the exit code is then 1. A whole run writes docs/benchmarks.md and its picture. --quick and --only write
the same to out/bench/. Compare ratios: absolute times hold for one machine at one moment.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tqdm import tqdm

from any2any_ros.storage import write_atomically
from benchmarks.speed import _machine, _page, _picture
from benchmarks.speed._rows import Row, line
from benchmarks.speed._section import interruptible

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "out/bench"
SECTIONS = ("end_to_end", "footprint", "encoders", "backends", "search", "large_map")
LIMIT = 600.0  # s, longest time of a section
PATIENCE = 30.0  # s in which an interrupted section must end what it has started
MARK = "ANY2ANY_BENCH"  # environment variable of all processes that a section starts


def run(name: str, quick: bool, folder: Path) -> Iterator[Row]:
    """Run one section. Yield its rows as they come, and a row "failed" if it fails."""
    rows, log, mark = folder / f"{name}.jsonl", folder / f"{name}.log", uuid.uuid4().hex
    folder.mkdir(parents=True, exist_ok=True)
    rows.write_text("")
    command = [sys.executable, "-m", f"benchmarks.speed.{name}", "--rows", str(rows), *(["--quick"] if quick else [])]
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, MARK: mark}, stdout=output, stderr=output, start_new_session=True
        )
    try:
        yield from _follow(process, rows)
    finally:
        _end(process, mark)
    if process.returncode:
        why = f"ended with {process.returncode}: {_last_line(log)} (all of it: {os.path.relpath(log)})"
        yield Row("failed", None, "", note=why, section=name)


def _follow(process: subprocess.Popen[bytes], file: Path) -> Iterator[Row]:
    """Yield the rows that a section writes, until it ends."""
    deadline, read = time.monotonic() + LIMIT, 0
    ended = False
    while not ended and time.monotonic() < deadline:
        ended = process.poll() is not None
        lines = file.read_text(encoding="utf-8").split("\n")[:-1]
        yield from (Row.read(json.loads(text)) for text in lines[read:])
        read = len(lines)
        time.sleep(0.0 if ended else 0.2)


def _end(process: subprocess.Popen[bytes], mark: str) -> None:
    """End a section and all processes that it has started: first by an interrupt, then by force."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
            process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    finally:
        for left in _started_by(mark):
            os.kill(left, signal.SIGKILL)
        signal.signal(signal.SIGINT, before)


def _started_by(mark: str) -> list[int]:
    """Return the processes that a section has left behind. A node has its own session and survives the section."""
    processes = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                processes.append(int(entry.name))
        except OSError:  # the process has ended, or belongs to another user
            continue
    return processes


def _last_line(log: Path) -> str:
    lines = [text for text in log.read_text(errors="replace").split("\n") if text.strip()]
    return lines[-1].strip() if lines else "it printed nothing"


def measure(names: list[str], quick: bool, folder: Path = OUT) -> dict[str, Any]:
    """Run the sections. Return the results, from which the page is made."""
    machine, began, rows = _machine.describe(), time.monotonic(), []
    with tqdm(names, unit="section") as bar:
        for name in bar:
            bar.set_description(name)
            for row in run(name, quick, folder):
                rows.append(row)
                tqdm.write(line(row))
    machine["load_after"] = os.getloadavg()[0]
    return {"machine": machine, "quick": quick, "sections": names, "seconds": round(time.monotonic() - began),
            "rows": [row.plain() for row in rows]}  # fmt: skip


def write(results: dict[str, Any], page: Path, picture: Path, file: Path) -> None:
    """Write the results as JSON, and from them the picture and the page."""
    rows = [Row.read(plain) for plain in results["rows"]]
    write_atomically(file, lambda stream: stream.write(json.dumps(results, indent=1, ensure_ascii=False).encode()))
    write_atomically(picture, lambda stream: stream.write(_picture.draw(rows)))
    text = _page.write(results, os.path.relpath(picture, page.parent))
    write_atomically(page, lambda stream: stream.write(text.encode()))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--quick", action="store_true", help="three minutes: fewer repetitions, no map of 1e6 places")
    parser.add_argument("--only", action="append", metavar="SECTION", choices=SECTIONS, default=[],
                        help=f"one of {', '.join(SECTIONS)}; repeat")  # fmt: skip
    parser.add_argument("--json", type=Path, default=OUT / "results.json", help="default %(default)s")
    options = parser.parse_args(arguments)
    interruptible()
    try:
        results = measure(options.only or list(SECTIONS), options.quick)
    except KeyboardInterrupt:
        print("\ninterrupted: all processes have ended, and nothing was written", file=sys.stderr)
        return 130
    whole = not options.quick and not options.only
    page = ROOT / "docs/benchmarks.md" if whole else OUT / "benchmarks.md"
    picture = ROOT / "docs/images/benchmarks.png" if whole else OUT / "benchmarks.png"
    write(results, page, picture, options.json)
    print(f"{page}\n{picture}\n{options.json}")
    failed = [row["section"] for row in results["rows"] if row["what"] == "failed"]
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
