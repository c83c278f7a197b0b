"""Writes the page and the tables from the results of a run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

HEADINGS = (
    "method",
    "",
    "R@1",
    "R@5",
    "R@20",
    "R@1 of 5 parts",
    "ms p50",
    "p99",
    "yaw p50/p95",
    "position p50/p95",
    "within 5°, 0.5 m",
    "",
)
BUSY = 1.0  # the page warns above this load
HEAD = """# Real data

<!-- Written by `make real`; edit benchmarks/real.py and benchmarks/real_sets/ instead. -->

    {command}

wrote this page on {date} in {minutes:.0f} minutes: {cpu}, Python {python}, one thread. The data is not part of this \
project; the licences of each set are said below.

**Ours** go the whole way of a robot: encoder, `Retriever` without calibration, ranking. **Peers, same run** are other \
people's methods that need no training, run here on the same frames. **Published** figures were copied from papers. \
*R@k*: share of queries with a right reference among the first k answers. *R@1 of 5 parts*: mean and standard \
deviation over five parts of the queries, one after the other: how much places differ. *ms*: from the sample to the \
ranking. *yaw, position*: error of the first answer's pose where it is right, in degrees and metres; a method that \
estimates no pose answers with that of the reference. *within 5°, 0.5 m*: share of the right first answers with \
such a pose.
"""


def write(results: Mapping[str, Any]) -> str:
    """Return the text of docs/real.md. results: of benchmarks/real.py."""
    machine = results["machine"]
    head = HEAD.format(command=results["command"], minutes=results["seconds"] / 60, **machine)
    if machine["load"] > BUSY:
        head += (
            f"\n> **The machine was busy** (load {machine['load']:.1f} on {machine['cores']} cores at the start): "
            "times are longer than without load. Recalls are the same.\n"
        )
    return "\n".join([head, _summary(results["sets"]), *(_section(found) for found in results["sets"])])


def _summary(sets: Sequence[Mapping[str, Any]]) -> str:
    """Return one line for each set: chance, the best of ours, of the peers and of what is published."""
    lines = []
    for found in sets:
        best = [
            _best([r for r in found["rows"] if r["role"] == role]) for role in ("ours", "peer, same run", "published")
        ]
        lines.append(f"| {found['kind']} {found['name']} | {found['queries']} | {_share(found['chance']['1'])} | "
                     f"{' | '.join(best)} |")  # fmt: skip
    head = ["## R@1 in short", "", "| set | queries | chance | best of ours | best peer of this run | best published |",
            "|---|---:|---:|---|---|---|"]  # fmt: skip
    return "\n".join([*head, *lines, ""])


def _best(rows: Sequence[Mapping[str, Any]]) -> str:
    measured = [row for row in rows if "1" in row["recall"]]
    if not measured:
        return "–"
    best = max(measured, key=lambda row: float(row["recall"]["1"]))
    return f"{_share(best['recall']['1'])} {best['method']}"


def _section(found: Mapping[str, Any]) -> str:
    chance = " / ".join(_share(found["chance"][k]) for k in ("1", "5", "20"))
    return "\n".join([
        f"## {found['kind']} {found['name']}", "",
        f"Licence: {found['licence']}.", "",
        f"Protocol: {found['protocol']}. {found['queries']} queries, {found['references']} references; "
        f"chance R@1 / R@5 / R@20: {chance}.", "",
        table(found["rows"]), "",
    ])  # fmt: skip


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows of one set in Markdown. Columns that no row fills are left out."""
    cells = [_cells(row) for row in rows]
    used = [i for i in range(len(HEADINGS)) if i < 3 or any(line[i] for line in cells)]
    lines = [" | ".join(line[i] for i in used) for line in (HEADINGS, *cells)]
    rule = "|".join("---:" if 2 <= i < len(HEADINGS) - 1 else "---" for i in used)
    return "\n".join([f"| {lines[0]} |", f"|{rule}|", *(f"| {line} |" for line in lines[1:])])


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    times = [f"{value:.1f}" for value in row["milliseconds"] or ()] or ["", ""]
    recall = [_share(row["recall"][k]) if k in row["recall"] else "" for k in ("1", "5", "20")]
    name = f"**{row['method']}**" if row["role"] == "ours" else row["method"]
    errors = [_pair(row[key], unit) for key, unit in (("yaw", "°"), ("position", " m"))]
    near = "" if row["near"] is None else _share(row["near"])
    return (name, row["role"], *recall, _spread(row["blocks"]), *times, *errors, near, row["note"])


def _spread(blocks: Sequence[float]) -> str:
    return f"{_share(float(np.mean(blocks)))} ± {_share(float(np.std(blocks, ddof=1)))}" if len(blocks) > 1 else ""


def _pair(values: Sequence[float] | None, unit: str) -> str:
    return " / ".join(f"{value:.2g}{unit}" for value in values) if values else ""


def _share(value: float) -> str:
    """Return a share with three places and no zero before the point."""
    text = f"{value:.3f}"
    return text.removeprefix("0") if value < 1 else text
