"""Whether a calibration keeps its promises on real drives, however few queries it had.

    python benchmarks/small_calibrations.py DATA --town TOWN --json FILE
    python benchmarks/small_calibrations.py DATA --only kitti_bev --only fhw --layout blocks --draws 20

DATA is a folder as of benchmarks/real.py: its KITTI sequences and laser logs are judged. TOWN is a simulated town
(`any2any simulate TOWN --seed 11`), judged by its LiDAR. A draw calibrates on N queries of a drive. Of those that are
at least two radii of a hit away from them, {tested} are drawn and tested, once as they are, and once with the places
around each of them removed from the map. The N queries are one run, or blocks of {block} from anywhere (--layout).
"half" calibrates on half of a drive, in four runs, and tests all others. Images are aligned, as on a robot. A draw is
refused where `any2any calibrate` refuses the queries: they lie in one stretch of the drive. Of KITTI the map has a
place every 3 m, and a query comes every 1.5 m; of a log, every keyframe is one. Encoded drives are kept in
out/small_calibrations.

Exit codes: 0 every promise is kept or falls short by at most two points; 1 one does not; 2 there was nothing to judge.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cases import Laps
from printing import print_table
from real import find
from real_sets import kitti_bev, laser2d, machine
from real_sets.trust_drives import MISSES, PROMISES, TrustDrive, of_laps, of_real

from any2any_ros import storage
from any2any_ros.arrays import Rows
from any2any_ros.calibration import reliability
from any2any_ros.calibration.reliability import Outcome
from any2any_ros.data.sources import ON_ROADS
from any2any_ros.errors import Any2AnyError
from any2any_ros.progress import progress_bar

STORED = Path(__file__).resolve().parents[1] / "out/small_calibrations"
KINDS = {kitti_bev.KIND: "lidar", laser2d.KIND: "laser_scan"}
TOWN_SENSORS = ("lidar",)
SIZES = (20, 40, 80, 160)  # queries that calibrate
LEFT = 1.5  # a drive has at least so many times the queries that calibrate
DRAWS, HALVES = 100, 10
LAYOUTS = ("run", "blocks", "half")
BLOCK = 10  # queries
TESTED = 60  # queries at most
FEWEST = 20  # queries that test; a draw that leaves fewer is drawn again
SHORT = 0.02  # by how much a promise may fall short
ENOUGH = 100  # accepted answers that show a precision


@dataclass(frozen=True)
class Layout:
    """How many queries calibrate, in blocks of how many, how often that is drawn, and how many queries test at most."""

    name: str
    queries: int
    block: int
    draws: int
    tested: int = TESTED

    def drawn(self, total: int, draw: np.random.Generator) -> Rows:
        """Return so many of `total` queries, in their order (n,): blocks of a grid that begins anywhere."""
        count = self.queries // self.block
        begin = draw.integers(min(self.block, total - count * self.block + 1))
        starts = draw.permutation(np.arange(begin, total - self.block + 1, self.block))[:count]
        return np.sort((starts[:, None] + np.arange(self.block)).ravel())


def layouts(total: int, draws: int, names: Sequence[str] = LAYOUTS) -> Iterator[Layout]:
    """Yield what is drawn of a drive with so many queries."""
    for queries in SIZES if "run" in names else ():
        if total >= LEFT * queries:
            yield Layout("one run", queries, queries, draws)
    for queries in SIZES if "blocks" in names else ():
        if total >= LEFT * queries:
            yield Layout(f"blocks of {BLOCK}", queries, BLOCK, draws)
    if "half" in names:
        yield Layout("half", 4 * (total // 8), total // 8, min(HALVES, draws), total)


@dataclass(frozen=True, eq=False)
class Judged:
    """One draw: outcomes of test queries in the map, and with their places removed; wanted: by pattern, how many
    queries the calibration says are wanted."""

    mapped: list[Outcome]
    unmapped: list[Outcome]
    wanted: dict[str, int]


def judge(drive: TrustDrive, rows: Rows, test: Rows) -> Judged | None:
    """Return how a calibration on queries (n,) keeps its promises on others (m,); None where it is refused."""
    try:
        fitted = drive.calibrated(rows)
    except Any2AnyError:
        return None
    return Judged(drive.outcomes(fitted, test, True), drive.outcomes(fitted, test, False), dict(fitted.wanted))


def draws_of(drive: TrustDrive, layout: Layout) -> Iterator[tuple[Rows, Rows]]:
    """Yield the queries that calibrate (n,) and that test (m,) of each draw that leaves enough for the test."""
    draw, left = np.random.default_rng(0), layout.draws
    for _ in range(10 * layout.draws):
        rows = layout.drawn(len(drive.task), draw)
        test = drive.apart(rows)
        if left and len(test) >= FEWEST:
            left -= 1
            yield rows, np.sort(draw.permutation(test)[: layout.tested])


def rows_of(drive: TrustDrive, layout: Layout) -> list[dict[str, Any]]:
    """Return the row of each availability pattern; of a drive with one sensor, one row."""
    all_draws = progress_bar(list(draws_of(drive, layout)), f"{drive.name}, {layout.queries}, {layout.name}")
    judged = [judge(drive, *of_draw) for of_draw in all_draws]
    kept = [one for one in judged if one is not None]
    about = {
        "data": drive.name, "drawn": layout.name, "calibrated": layout.queries, "queries": len(drive.task),
        "draws": len(judged), "refused": sum(one is None for one in judged),
    }  # fmt: skip
    patterns = sorted({o.pattern for one in kept for o in one.mapped}, key=lambda p: (p.count("+"), p))
    return [about | {"pattern": pattern, **_figures(kept, pattern)} for pattern in patterns] or [about]


def _figures(kept: Sequence[Judged], pattern: str) -> dict[str, Any]:
    """Return the figures of a pattern: means over draws, with the spread; of accepted answers over all of them."""
    mapped = [[o for o in one.mapped if o.pattern == pattern] for one in kept]
    every, unmapped = [o for of_draw in mapped for o in of_draw], [o for one in kept for o in one.unmapped]
    unmapped = [o for o in unmapped if o.pattern == pattern]
    by_draw = [reliability.figures(of_draw, MISSES) for of_draw in mapped]
    accepted = [o for o in every if o.accepted]
    wanted = [one.wanted[pattern] for one in kept if pattern in one.wanted]
    found: dict[str, Any] = {
        "tested": len(every) / len(kept),
        "chance@1": float(np.mean([o.chance for o in every])),
        "recall@1": float(np.mean([o.right for o in every])),
        "too_few": len(wanted),
        "wanted": float(np.median(wanted)) if wanted else None,
        "accepted": len(accepted) / len(every),
        "accepted_count": len(accepted) / len(kept),
        "precision": float(np.mean([o.right for o in accepted])) if accepted else None,
        "accepted_unmapped": float(np.mean([o.accepted for o in unmapped])),
    }
    for miss in MISSES:
        values = [figures[f"coverage@{1 - miss:g}"] for figures in by_draw]
        found |= {f"coverage@{1 - miss:g}": float(np.mean(values)), f"coverage@{1 - miss:g}_sd": float(np.std(values))}
        found[f"size@{1 - miss:g}"] = float(np.median([figures[f"size@{1 - miss:g}"] for figures in by_draw]))
    return found


def broken(row: dict[str, Any]) -> list[str]:
    """Return which promises a row breaks by more than SHORT."""
    if "recall@1" not in row:
        return []
    promised = {f"coverage@{1 - miss:g}": 1 - miss for miss in MISSES}
    if row["accepted_count"] * (row["draws"] - row["refused"]) >= ENOUGH:
        promised["precision"] = PROMISES.precision
    short = [name for name, promise in promised.items() if row[name] < promise - SHORT]
    return short + ["accepted_unmapped"] * (row["accepted_unmapped"] > PROMISES.accepted_unmapped + SHORT)


HEADINGS = (
    "data", "sensors", "calibrated on", "draws", "refused", "too few (wanted)", "tested", "chance", "R@1",
    *(f"coverage {1 - miss:g}" for miss in MISSES), f"set {1 - MISSES[-1]:g}", "accepted", "each draw",
    f"precision {PROMISES.precision:g}", "accepted if unmapped",
)  # fmt: skip


def cells(row: dict[str, Any]) -> list[str]:
    """Return the row of the table. A promise that is broken is bold."""
    first = [row["data"], row.get("pattern", ""), f"{row['calibrated']}, {row['drawn']}", row["draws"], row["refused"]]
    if "recall@1" not in row:
        return [*map(str, first), *["–"] * (len(HEADINGS) - len(first))]
    bold = broken(row)

    def shown(name: str, text: str) -> str:
        return f"**{text}**" if name in bold else text

    coverages = [
        shown(name, f"{row[name]:.3f} ± {row[f'{name}_sd']:.3f}") for name in (f"coverage@{1 - m:g}" for m in MISSES)
    ]
    wanted = f"{row['too_few']} ({row['wanted']:.0f})" if row["wanted"] else "0"
    precision = "–" if row["precision"] is None else shown("precision", f"{row['precision']:.3f}")
    shares = (f"{row[name]:.3f}" for name in ("chance@1", "recall@1"))
    found = [wanted, f"{row['tested']:.0f}", *shares, *coverages, f"{row[f'size@{1 - MISSES[-1]:g}']:.1f}"]
    accepted = [f"{row['accepted']:.3f}", f"{row['accepted_count']:.1f}", precision]
    unmapped = shown("accepted_unmapped", f"{row['accepted_unmapped']:.3f}")
    return [*map(str, first), *found, *accepted, unmapped]


def drives(data: Path | None, towns: Sequence[Path], only: Sequence[str]) -> Iterator[TrustDrive]:
    """Yield the drives to judge. Raises Any2AnyError when there is none."""
    for kind, path in find(data, only) if data else []:
        if kind.KIND in KINDS:
            yield of_real(kind.read(path), KINDS[kind.KIND], STORED, progress_bar)
    for town in towns:
        laps = Laps.of(town)
        yield of_laps(town.name, laps.mapped.only(TOWN_SENSORS), laps.driven.only(TOWN_SENSORS), ON_ROADS)


def main() -> int:
    text = (__doc__ or "").format(tested=TESTED, block=BLOCK)
    parser = argparse.ArgumentParser(description=text, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, nargs="?", help="folder that holds real data, as of benchmarks/real.py")
    parser.add_argument("--town", type=Path, action="append", default=[], help="a simulated town; repeat for several")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help="a kind or a set of DATA; repeat")
    parser.add_argument("--layout", action="append", choices=LAYOUTS, help="what is drawn; repeat; default: all")
    parser.add_argument("--draws", type=int, default=DRAWS, help="draws of each size (default %(default)s)")
    parser.add_argument("--json", type=Path, help="also write all figures to this file")
    arguments = parser.parse_args()
    machine.one_thread()
    rows: list[dict[str, Any]] = []

    def measured() -> Iterator[list[str]]:
        for drive in drives(arguments.data, arguments.town, arguments.only):
            for layout in layouts(len(drive.task), arguments.draws, arguments.layout or LAYOUTS):
                rows.extend(new := rows_of(drive, layout))
                yield from map(cells, new)
                if arguments.json:
                    storage.write_json(arguments.json, rows)

    try:
        print_table(HEADINGS, measured())
    except Any2AnyError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return int(any(map(broken, rows))) if rows else 2


if __name__ == "__main__":
    sys.exit(main())
