"""What a section of `make bench` yields: rows, and the command line that every section has of its own."""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

BAR = re.compile(r"([≤≥]) ([\d.]+)( ×)?")
NEVER = "never"
Section = Callable[[bool], Iterable["Row"]]  # told whether to be quick


@dataclass(frozen=True)
class Row:
    """One figure. value and rival_value: in `unit`; None where not measured (`note` says why), inf for what never came.
    spread: its quartiles.

    ratio: value / rival_value, or the median of paired ratios where they took turns. bar: "≤ 25" or "≥ 100" of the
    value, "≤ 1.15 ×" of the ratio. short: what the page's first lines say of it, {} standing for the figure.
    """

    what: str
    value: float | None
    unit: str
    spread: tuple[float, float] | None = None
    rival: str = ""
    rival_value: float | None = None
    ratio: float | None = None
    bar: str = ""
    note: str = ""
    short: str = ""
    section: str = ""

    def __post_init__(self) -> None:
        if self.ratio is None and self.value is not None and self.rival_value:
            object.__setattr__(self, "ratio", self.value / self.rival_value)
        if self.bar and not BAR.fullmatch(self.bar):
            raise ValueError(f"'{self.bar}' is no bar: write e.g. '≤ 25', or '≤ 1.15 ×' for the ratio")

    @property
    def reached(self) -> float | None:
        """Return what is held against the bar, as a share of it: at most 1 where the bar is met; None unmeasured."""
        found = BAR.fullmatch(self.bar)
        judged = None if found is None else self.ratio if found[3] else self.value
        if found is None or judged is None:
            return None
        share, whole = (judged, float(found[2])) if found[1] == "≤" else (float(found[2]), judged)
        return share / whole if whole else float("inf") if share else 0.0

    @property
    def met(self) -> bool | None:
        """Return whether the bar is met; None without a bar or a figure."""
        return None if self.reached is None else self.reached <= 1

    @property
    def share(self) -> float | None:
        """Return what ours takes of the rival's; below 1, ours is better, also where more is better."""
        more_is_better = self.bar.startswith("≥") or self.unit.endswith("/s")
        return 1 / self.ratio if self.ratio and more_is_better else self.ratio

    def plain(self) -> dict[str, Any]:
        """Return it as JSON has it, which knows no infinity."""
        found = asdict(self) | {"met": self.met}
        return {name: NEVER if value == float("inf") else value for name, value in found.items()}

    @classmethod
    def read(cls, plain: dict[str, Any]) -> Row:
        known = {f.name: plain[f.name] for f in fields(cls) if f.name in plain}
        known |= {name: float("inf") for name in ("value", "rival_value", "ratio") if known.get(name) == NEVER}
        return cls(**known | {"spread": tuple(plain["spread"]) if plain.get("spread") else None})


def unmeasured(what: str, unit: str, why: str, bar: str = "") -> Row:
    return Row(what, None, unit, bar=bar, note=f"unmeasured: {why}")


def spread(values: ArrayLike) -> tuple[float, float]:
    """Return the quartiles."""
    low, high = np.percentile(values, [25, 75])
    return float(low), float(high)


def clock(methods: Sequence[Callable[[], Any]], rounds: int, seconds: float = 20.0) -> NDArray[np.float64]:
    """Return ms (rounds, methods) of wall time; they take turns, after one round unseen. Ends early after `seconds`."""
    for method in methods:
        method()
    spent, deadline = [], time.monotonic() + seconds
    for _ in range(rounds):
        turn = []
        for method in methods:
            began = time.perf_counter()
            method()
            turn.append(1e3 * (time.perf_counter() - began))
        spent.append(turn)
        if time.monotonic() > deadline:
            break
    return np.array(spent)


def timed(what: str, spent: NDArray[np.float64], rival: str = "", **more: Any) -> Row:
    """Return the row of `clock`'s first column, beside its second where there is a rival."""
    medians = np.median(spent, axis=0)
    beside: dict[str, Any] = {}
    if rival:
        ratio = float(np.median(spent[:, 0] / spent[:, 1]))
        beside = {"rival": rival, "rival_value": float(medians[1]), "ratio": ratio}
    return Row(what, float(medians[0]), "ms", spread(spent[:, 0]), **beside | more)


def line(row: Row) -> str:
    """Return a row as one line of a terminal."""
    value = row.note if row.value is None else f"{row.value:.4g} {row.unit}".strip()
    beside = f"; {row.rival}: {row.rival_value:.4g} ({row.ratio:.3g} ×)" if row.rival_value and row.ratio else ""
    judged = {True: " - met", False: " - NOT met", None: ""}[row.met]
    return f"{row.section}: {row.what}: {value}{beside}" + (f" [{row.bar}{judged}]" if row.bar else "")


def interruptible() -> None:
    """Take SIGTERM as Ctrl-C: whatever was started is ended on the way out."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def main(section: Section, name: str) -> None:
    """Be the main() of a section: python -m benchmarks.speed.NAME [--quick] [--rows FILE]."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="fewer repetitions; what takes minutes is left out")
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


def one_thread() -> None:
    """Let numerical libraries use one thread, as the nodes do: those that are loaded, and those that will be."""
    import cv2
    from threadpoolctl import threadpool_limits

    os.environ.update({f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL")})
    threadpool_limits(1)
    cv2.setNumThreads(1)
