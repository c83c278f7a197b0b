"""Real data by published protocols: our encoders beside chance, peers in the same run, and published figures.

    python benchmarks/real.py DATA                                        every set below DATA; writes docs/real.md
    python benchmarks/real.py DATA --only kitti_bev --sequence 00 --json F
    python benchmarks/real.py DATA --only sped --encoder camera --encoder camera:colour=0

DATA and the folders in it are searched for these layouts. The names of folders are free, except those of KITTI's
sequences, by which BEVPlace's protocol is chosen.

{layouts}

--only takes a kind or the name of a set, --sequence the name of a set; both may be repeated. An encoder runs on every
set that has its modality; "camera+lidar" are two encoders whose similarities are averaged. Everything runs in one
thread. Pictures of answers go to out/real/, since the data belongs to others. Exit codes: 0 done; 1 a method could not
run (its row says why); 2 nothing was measured; 130 Ctrl-C, after which what was measured is written.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from real_sets import (
    answers_picture,
    iasm_audio,
    kitti_bev,
    laser2d,
    machine,
    methods,
    nordland,
    page,
    peers,
    pictures,
    published,
    scoring,
    sevenscenes,
)
from real_sets.methods import Method
from real_sets.real_set import Options, RealSet

from any2any_ros.errors import Any2AnyError
from any2any_ros.progress import progress_bar
from any2any_ros.storage import write_atomically

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "out/real"
KINDS: tuple[Any, ...] = (kitti_bev, laser2d, pictures, nordland, sevenscenes, iasm_audio)
DEEPEST = 5  # folders below DATA that are searched
Found = tuple[Any, Path]  # kind and path of a set


def find(data: Path, only: Sequence[str] = (), sequences: Sequence[str] = ()) -> list[Found]:
    """Return the sets below a folder, or the one log that a file is, in the order of KINDS.

    Raises Any2AnyError when there is none, or none that is asked for.
    """
    if not data.exists():
        raise Any2AnyError(f"There is no {data}", "the path does not exist", "Give the folder that holds the data")
    folders = [Path(f) for f, _, _ in os.walk(data) if len(Path(f).relative_to(data).parts) <= DEEPEST]
    found = [(kind, path) for kind in KINDS for folder in sorted(folders) for path in kind.find(folder)]
    if data.is_file():
        found = [(kind, path) for kind in KINDS for path in kind.find(data.parent) if path == data]
    if not found:
        raise Any2AnyError(f"There is no data in {data}", f"nothing has one of the layouts: {layouts('; ')}",
                           "Give the folder that holds the data")  # fmt: skip
    wanted = [(kind, path) for kind, path in found if _is_wanted(kind, path, only, sequences)]
    if not wanted:
        asked = ", ".join([*only, *sequences])
        known = ", ".join(f"{kind.KIND} {kind.name(path)}" for kind, path in found)
        layout = "; ".join(f"{kind.KIND}: {kind.LAYOUT}" for kind in KINDS if kind.KIND in only)
        raise Any2AnyError(f"There is no {asked} in {data}", f"it holds {known}",
                           f"Correct the name{', or the layout. ' + layout if layout else ''}")  # fmt: skip
    return wanted


def _is_wanted(kind: Any, path: Path, only: Sequence[str], sequences: Sequence[str]) -> bool:
    name = kind.name(path)
    return (not only or kind.KIND in only or name in only) and (not sequences or name in sequences)


def layouts(between: str = "\n") -> str:
    """Return what each kind of data looks like on disk."""
    return between.join(f"{kind.KIND}: {kind.LAYOUT}" for kind in KINDS)


def measure(real: RealSet, chosen: Sequence[Method], pictures_in: Path | None) -> dict[str, Any]:
    """Return the results of one set: what it is, chance, and a row for each method and published figure."""
    found = {
        "kind": real.kind, "name": real.name, "licence": real.licence, "protocol": real.protocol,
        "queries": len(real.queries), "references": int(real.allowed.any(axis=0).sum()), "chance": scoring.chance(real),
    }  # fmt: skip
    rows = []
    for method in (m for m in chosen if m.suits(real)):
        try:
            answers = method.answer(real, progress_bar)
        except Any2AnyError as error:
            rows.append(scoring.failed(method.name, method.ours, str(error)))
        else:
            rows.append(scoring.row(real, method.name, method.ours, answers))
            if pictures_in is not None:
                answers_picture.write(real, method.name, answers, pictures_in)
        print(f"  {_line(rows[-1])}", flush=True)
    rows += [scoring.published(known) for known in published.of(real.kind, real.name)]
    return found | {"rows": [row.plain() for row in rows]}


def _line(row: scoring.Row) -> str:
    if not row.recall:
        return f"{row.method}: {row.note}"
    times = f", {row.milliseconds[0]:.1f} ms" if row.milliseconds else ""
    return f"{row.method}: " + ", ".join(f"R@{k} {share:.3f}" for k, share in row.recall.items()) + times


def run(found: Sequence[Found], chosen: Sequence[Method], options: Options, pictures_in: Path | None) -> Iterator[Any]:
    """Yield the results of each set. One that cannot be read is an error that ends the run."""
    for kind, path in found:
        real = kind.read(path, options)
        print(f"{real}: {len(real.queries)} queries, {real.protocol}", flush=True)
        yield measure(real, chosen, pictures_in)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    text = (__doc__ or "").format(layouts="\n".join(f"    {kind.KIND:17s} {kind.LAYOUT}" for kind in KINDS))
    made = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument("data", type=Path, help="folder that holds the data; a log is a file")
    made.add_argument("--only", action="append", default=[], metavar="NAME", help="a kind or a set; repeat")
    made.add_argument("--sequence", action="append", default=[], metavar="NAME", help="a set of the kind; repeat")
    made.add_argument("--encoder", action="append", default=[], metavar="PLUG[:SETTING=VALUE,...][+PLUG]",
                      help="repeat; default: " + ", ".join(methods.by_default()))  # fmt: skip
    made.add_argument("--no-peers", action="store_true", help="leave out other people's methods")
    made.add_argument("--tolerance", type=int, metavar="N",
                      help="pictures without a ground truth: numbers that differ by N show one place")  # fmt: skip
    made.add_argument("--json", type=Path, metavar="FILE", help="write the results here; default out/real/results.json")
    made.add_argument("--page", type=Path, metavar="FILE",
                      help="write the page here; default docs/real.md after a whole run")  # fmt: skip
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    machine.one_thread()
    began, sets, code = time.monotonic(), [], 0
    described = machine.describe()
    try:
        chosen = [methods.of_encoder(name) for name in options.encoder or methods.by_default()]
        found = find(options.data, options.only, options.sequence)
        for result in run(found, [*chosen, *([] if options.no_peers else peers.ALL)], Options(options.tolerance), OUT):
            sets.append(result)
    except Any2AnyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted: what was measured is written", file=sys.stderr)
        code = 130
    part = bool(code or options.only or options.sequence or options.encoder or options.no_peers)
    command = "make real" if not part else "python benchmarks/real.py " + " ".join(arguments or sys.argv[1:])
    results = {"command": command, "machine": described, "seconds": time.monotonic() - began, "sets": sets}
    written = options.json or OUT / "results.json", options.page or (OUT / "real.md" if part else ROOT / "docs/real.md")
    for path, text in zip(written, (json.dumps(results, indent=1), page.write(results)), strict=True):
        _write(path, text)
    print("\n".join(map(str, written)))
    failed = any(not row["recall"] for result in sets for row in result["rows"])
    return code or int(failed)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, lambda stream: stream.write(text.encode()))


if __name__ == "__main__":
    sys.exit(main())
