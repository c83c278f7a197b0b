"""Kill every writer of the package many times, and see that the old one or the new one is there each time.

    python scripts/kill_writers.py --kills 200
    python scripts/kill_writers.py --kills 50 --only map --only calibration --folder /mnt/disk

Prints a table: how often the old one, the new one or, where none was there before, nothing was there after a kill.
After each kill the work is done again: the new one must be there, and no file that a dead process has left. Exits with
1 when anything else was seen.
"""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"  # a process that is copied may have one thread only; read when NumPy is imported

import argparse  # noqa: E402
import json  # noqa: E402
import multiprocessing  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
from concurrent.futures import ProcessPoolExecutor  # noqa: E402
from pathlib import Path  # noqa: E402

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "test" / "helpers"), str(ROOT / "test")]

import killing  # noqa: E402 - from test/helpers
import writers  # noqa: E402

IN_MEMORY = Path("/dev/shm")
HEAD = f"{'writer':40}{'kills':>6}{'old':>6}{'new':>6}{'nothing':>9}{'steps':>7}{'ms':>7}{'failures':>10}"
GROUPS = [[w.name for w in writers.NETWORKS], *([w.name] for w in writers.WRITERS)]  # one imports PyTorch
ALL = {w.name: w for w in [*writers.WRITERS, *writers.NETWORKS]}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=200, help="of each writer (default %(default)s)")
    parser.add_argument("--only", action="append", choices=ALL, metavar="WRITER", help="kill this one; may be repeated")
    parser.add_argument("--folder", type=Path, help="where to write (default: in memory, where that is possible)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default %(default)s)")
    parser.add_argument("--json", type=Path, help="also write the outcomes to this file")
    arguments = parser.parse_args()
    groups = [[name] for name in arguments.only] if arguments.only else GROUPS
    began, outcomes = time.monotonic(), list[killing.Outcome]()
    print(HEAD)
    where = arguments.folder or (IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else None)
    with tempfile.TemporaryDirectory(dir=where) as home, processes(arguments.jobs) as pool:
        for done in pool.map(kill, groups, [arguments.kills] * len(groups), [Path(home).resolve()] * len(groups)):
            for outcome in done:
                show(outcome)
                outcomes.append(outcome)
    print(f"{sum(o.kills for o in outcomes)} kills in {time.monotonic() - began:.0f} s")
    if arguments.json:
        arguments.json.write_text(json.dumps([vars(outcome) for outcome in outcomes]))
    return int(any(outcome.failures for outcome in outcomes))


def processes(jobs: int) -> ProcessPoolExecutor:
    return ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"))


def kill(names: list[str], kills: int, home: Path) -> list[killing.Outcome]:
    return [killing.campaign(ALL[name], home / name, kills) for name in names]


def show(outcome: killing.Outcome) -> None:
    print(f"{outcome.writer:40}{outcome.kills:6}{outcome.found['old']:6}{outcome.found['new']:6}"
          f"{outcome.found['nothing']:9}{outcome.steps:7}{1000 * outcome.seconds:7.0f}{len(outcome.failures):10}",
          flush=True)  # fmt: skip
    for failure in outcome.failures[:5]:
        print(f"    {failure}")


if __name__ == "__main__":
    sys.exit(main())
