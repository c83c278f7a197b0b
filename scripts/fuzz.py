"""Throw wrong inputs at every boundary of the package: messages, files, folders, arguments, parameters.

    python scripts/fuzz.py --inputs 1000000           so many in all, and a table of what came of them
    python scripts/fuzz.py --minutes 60               for an hour, guided by coverage where atheris is installed
    python scripts/fuzz.py --only "message:"          the boundaries whose name contains this
    python scripts/fuzz.py --replay build/fuzz/X.json what failed, again

An input fails when it raises another error than the package's own, takes more memory or time than the boundary may,
ends the process, or gets an answer that cannot be right. Failing inputs are saved (--save). Exit code 1 when there are
any. CONTRIBUTING.md says how a boundary is added.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "test" / "fuzz"), str(ROOT / "test" / "helpers")]
os.environ.setdefault("OMP_NUM_THREADS", "1")

from fuzzing import campaign, failures, guided  # noqa: E402


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = made.add_argument
    add("--inputs", type=int, default=20_000, help="number of inputs in all (default %(default)s)")
    add("--minutes", type=float, help="fuzz for so long, instead of so many inputs")
    add("--only", action="append", default=[], metavar="TEXT", help="boundaries whose name contains it")
    add("--workers", type=int, default=os.cpu_count(), help="number of processes (default %(default)s)")
    add("--seed", default="0", help="other seeds give other inputs (default %(default)s)")
    add("--save", type=Path, default=ROOT / "build" / "fuzz", help="folder of inputs that fail (default build/fuzz)")
    add("--replay", type=Path, nargs="+", metavar="FILE", help="throw these saved inputs again")
    for hidden in ("--work", "--guided", "--current", "--until"):  # how the processes of a campaign are started
        add(hidden, help=argparse.SUPPRESS)
    return made


def main() -> int:
    given = parser().parse_args()
    if given.work:
        from fuzzing.work import work

        work(json.loads(given.work), given.seed, given.save, Path(given.current), float(given.until))
        return 0
    if given.guided:
        corpus = given.save / "corpus" / given.guided
        guided.run(given.guided, float(given.until), given.save, corpus, Path(given.current))
        return 0
    from fuzzing.registry import boundaries

    if given.replay:
        return replay(given.replay, boundaries())
    known = {n: b for n, b in boundaries().items() if not given.only or any(part in n for part in given.only)}
    began, run = time.monotonic(), campaign.Campaign(campaign.program(), given.save, progress)
    if given.minutes:
        how = "guided by atheris" if guided.available() else "unguided: atheris is not installed"
        print(f"{len(known)} boundaries, {given.minutes:g} minutes, {how}", flush=True)
        run.for_some_time(known, given.workers, given.seed, began + 60 * given.minutes)
    else:
        run.run(campaign.portions(known, campaign.shares(known, given.inputs)), given.workers, given.seed)
    minutes = (time.monotonic() - began) / 60
    print(f"{campaign.table(run.tallies)}\n{minutes:.1f} minutes on {given.workers} processes")
    failed = sum(tally.failures for tally in run.tallies.values())
    print(f"{failed} inputs failed: {given.save}" if failed else "No input failed.")
    return 1 if failed else 0


def progress(line: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True)


def replay(files: list[Path], known: dict) -> int:
    failed = 0
    for path in files:
        name, outcome = failures.replayed(path, known)
        print(f"{path}: {name}: {outcome.kind}\n{outcome.text}\n{failures.shown(outcome.given)}\n")
        failed += outcome.failed
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
