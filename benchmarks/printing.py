"""What the benchmarks print: tables in Markdown, and a mean with its spread."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np


def print_table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table in Markdown, row by row as they come."""
    print(f"| {' | '.join(headings)} |\n{'|---' * len(headings)}|")
    for row in rows:
        print(f"| {' | '.join(map(str, row))} |", flush=True)


def mean_and_deviation(values: Sequence[float]) -> str:
    """Return mean ± sample standard deviation; the mean alone of one value."""
    deviation = f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else ""
    return f"{np.mean(values):.3f}{deviation}"
