"""Which references of a picture set are right, as a file lists them.

ground_truth.csv (or .tsv, .txt): a line a query: its picture, then every right reference. More lines of one query add
    up. A picture is named by its file, with or without ending, or by its number from 0. The first line may be headings.
ground_truth.json: {query: [reference, ...]}, or a list of lists in the order of the queries.
ground_truth.npy: (Q, R) of 0 and 1, or pairs (n, 2) of numbers.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from any2any_ros import reading
from any2any_ros.arrays import Flags
from any2any_ros.errors import explained

STEMS = ("ground_truth", "groundtruth", "gt")
ENDINGS = (".csv", ".tsv", ".txt", ".json", ".npy")
Pairs = Iterator[tuple[Any, Any]]


def find_file(folder: Path) -> Path | None:
    """Return the ground truth of a folder, if there is one."""
    names = (folder / (stem + ending) for stem in STEMS for ending in ENDINGS)
    return next((path for path in names if path.is_file()), None)


def read_right(file: Path, queries: Sequence[Path], references: Sequence[Path]) -> Flags:
    """Return (Q, R): which references are right for each query. Raises Any2AnyError for a file of another form."""
    with explained(f"Cannot read the ground truth {file}", f"It must be as in {__name__}: {_in_short()}"):
        right = np.zeros((len(queries), len(references)), dtype=bool)
        if file.suffix == ".npy":
            table = np.load(file, allow_pickle=False)
            if table.shape == right.shape:
                return np.asarray(table != 0)
            if table.ndim != 2 or table.shape[1] != 2:
                raise ValueError(f"its array is {table.shape}, neither {right.shape} nor (n, 2)")
        of_query, of_reference = _numbers(queries), _numbers(references)
        pairs = iter(table.tolist()) if file.suffix == ".npy" else _pairs(file, of_query)
        for query, reference in pairs:
            right[_row(query, of_query, "query"), _row(reference, of_reference, "ref")] = True
    return right


def _in_short() -> str:
    return "ground_truth.csv with a line a query: its picture, then every right reference"


def _pairs(file: Path, queries: Mapping[str, int]) -> Pairs:
    if file.suffix == ".json":
        listed = reading.json_value(file)
        entries = listed.items() if isinstance(listed, Mapping) else enumerate(listed)
        for query, right in entries:
            yield from ((query, reference) for reference in (right if isinstance(right, list) else [right]))
        return
    lines = [words for line in reading.text(file).splitlines() if (words := re.split(r"[,;\t ]+", line.strip()))[0]]
    for number, (query, *right) in enumerate(lines):
        if number == 0 and _base(query) not in queries and re.search(r"\d", query) is None:
            continue  # a heading
        yield from ((query, reference) for reference in right if reference)


def _base(name: Any) -> str:
    """Return the name of a file without its folders."""
    return str(name).replace("\\", "/").rpartition("/")[2]


def _numbers(files: Sequence[Path]) -> dict[str, int]:
    """Return the row of each picture by its name, with and without ending."""
    return {key: row for row, file in enumerate(files) for key in (file.name, file.stem)}


def _row(named: Any, rows: Mapping[str, int], part: str) -> int:
    """Return the row of a picture that is named by its file, or numbered. Raises ValueError for one that is absent."""
    word = _base(named)
    if word in rows:
        return rows[word]
    count = len(set(rows.values()))
    if re.fullmatch(r"\d+(\.0)?", word) and int(float(word)) < count:
        return int(float(word))
    raise ValueError(f"{part}/ has no picture '{named}'")
