"""Let faults happen to the real nodes, and judge how they bear them.

    make soak ARGS="--minutes 60 --seed 7"
    python -m benchmarks.soak --minutes 2 --seed 7
    python -m benchmarks.soak --minutes 2 --only garbage --only late

`any2any bringup` starts the nodes, on 127.0.0.1 and a ROS domain of their own. They get messages of a simulated drive
at 10 Hz, while faults happen: sensors die, processes are killed, messages are late or garbage, clocks jump, and more
(docs/soak.md lists them all). The seed decides what happens when. Ctrl-C ends the run early; its results are written.

OUT/report.html shows what happened, OUT/results.json holds the same figures, OUT/logs what the nodes wrote.
Exit codes: 0 every criterion held; 1 one did not (one line for each); 2 the run could not begin; 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from any2any_ros import extras, storage
from any2any_ros.demo import page
from any2any_ros.errors import Any2AnyError
from any2any_ros.nodes import session
from benchmarks.soak import judge, picture, results, schedule, world
from benchmarks.soak.kinds import ALLOWANCE, KINDS
from benchmarks.soak.schedule import Chapter, Fault

OUT = Path("out/soak")
TEMPLATE = Path(__file__).with_name("page.html.j2")
SHOWN = 3  # failures of a criterion that are printed; the page shows all
EVERY = 15.0  # s between two lines of progress where the output is no terminal


class Progress:
    """Prints one line that is renewed every second; on no terminal, a line now and then."""

    def __init__(self, minutes: float) -> None:
        self._minutes, self._before, self._printed = minutes, 0.0, float("-inf")

    def __call__(self, played: Any, active: Sequence[Fault]) -> None:
        now = time.monotonic()
        gone = self._before + now - played.began
        skipped = sum(not m.excuse for m in played.ledger.skipped(played.began, now - ALLOWANCE))
        names = ", ".join(f"{f.kind} {f.sensor}".strip() for f in active) or "calm"
        recent = sum(a > now - 1.0 for a in played.ledger.answers[-200:])
        crashes = sum(not e.killed for e in played.processes)
        text = (
            f"{gone / 60:5.1f} of {self._minutes:g} min, {recent:3d} rankings/s, {skipped} skipped, {crashes} crashes"
        )
        text += f": {names}"
        if sys.stderr.isatty():
            print(f"\r{text[:110]:110s}", end="", file=sys.stderr, flush=True)
        elif now - self._printed > EVERY:
            self._printed = now
            print(text, file=sys.stderr, flush=True)

    def next(self, seconds: float) -> None:
        self._before += seconds


def play(chapters: Sequence[Chapter], out: Path) -> list[Any]:
    """Play the chapters one after another; after Ctrl-C no other one begins."""
    from any2any_ros.nodes import runtime, topology
    from benchmarks.soak.campaign import FIRST, Campaign
    from benchmarks.soak.robot import recorded

    setting = world.make(out)
    for folder in (out / "logs", setting.scratch):
        shutil.rmtree(folder, ignore_errors=True)
    setting.scratch.mkdir()
    os.environ.update(topology.environment("loopback"), ROS_DOMAIN_ID=str(random.randint(1, 100)))
    runtime.start([])
    parts, played = recorded(setting.drive, FIRST), []
    progress = Progress(sum(c.seconds for c in chapters) / 60)
    for chapter in chapters:
        campaign = Campaign(setting, parts, chapter, out / "logs" / chapter.clock.replace(" ", "_"))
        played.append(campaign.play(progress))
        progress.next(chapter.seconds)
        if played[-1].left:
            break
    return played


def arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the command line's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=10.0, help="length of the run (default %(default)g)")
    parser.add_argument("--seed", type=int, default=7, help="decides what happens when (default %(default)s)")
    parser.add_argument("--only", action="append", default=[], choices=KINDS, metavar="FAULT",
                        help=f"this kind of fault alone; repeat for several: {', '.join(KINDS)}")  # fmt: skip
    parser.add_argument("--out", type=Path, default=OUT, help="folder for all results (default %(default)s)")
    return parser.parse_args(given)


def main(given: Sequence[str] | None = None) -> int:
    options = arguments(given)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        extras.require("demo", "run the fault campaign")
        session.require_ros()
        chapters = schedule.draw(options.minutes, options.seed, options.only)
        played = play(chapters, options.out.absolute())
    except Any2AnyError as error:
        print(f"soak: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("soak: stopped before the run began", file=sys.stderr)
        return 130
    return report(played, options)


def report(played: Sequence[Any], options: argparse.Namespace) -> int:
    """Write the results and print the criteria; return the exit code."""
    found = results.collect(played, options.minutes, options.seed)
    storage.write_json(options.out / "results.json", found)
    drawn = picture.draw(played, judge.naming(played))
    page.write(TEMPLATE, options.out / "report.html", results=found, picture=drawn)
    print(file=sys.stderr)
    for criterion in found["criteria"]:
        state = "held  " if criterion["held"] else "FAILED"
        print(f"{state} {criterion['what']}: {criterion['measured']} (limit {criterion['limit']})")
        for line in criterion["failures"][:SHOWN]:
            print(f"         {line}")
    print(f"Look at {options.out / 'report.html'}")
    return 130 if found["left"] else 0 if found["held"] else 1


if __name__ == "__main__":
    sys.exit(main())
