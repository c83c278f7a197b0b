"""Writes the page from the results: first the bars, then each section with the text of its file."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.speed._machine import BUSY
from benchmarks.speed._rows import Row

MET = {True: "yes", False: "**no**", None: "unmeasured"}


def write(results: dict[str, Any], picture: str) -> str:
    """Return the text of docs/benchmarks.md. results: of `make bench`. picture: its path from the page."""
    rows = [Row.read(plain) for plain in results["rows"]]
    parts = [
        _head(results, rows),
        _warning(results["machine"]),
        _short(rows),
        f"![Bars and rivals]({picture})",
        _bars(rows),
    ]
    parts += [_section(name, [row for row in rows if row.section == name]) for name in results["sections"]]
    return "\n\n".join(filter(None, parts)) + "\n"


def _head(results: dict[str, Any], rows: Sequence[Row]) -> str:
    machine = results["machine"]
    without = "; ".join(row.what for row in rows if row.note == "unmeasured: no GPU")
    command = "make bench" + (' ARGS="--quick"' if results["quick"] else "")
    libraries = ", ".join(f"{name} {version}" for name, version in machine["libraries"].items())
    gpu = machine["gpu"] or "no GPU" + (f" (unmeasured: {without})" if without else "")
    return f"""# Speed and memory

<!-- Written by `{command}`; edit benchmarks/speed/ instead. -->

    {command}

wrote this page on {machine["date"]} in {results["seconds"] / 60:.0f} minutes: {machine["cpu"]}, {machine["cores"]} \
cores, {machine["ram_gb"]:g} GB, {gpu}, Python {machine["python"]}; {libraries}. Load before the start: \
{machine["load_before"]:.1f}. Times are medians, with quartiles in brackets. They hold for this machine: compare the \
ratios, which come from one run. Below 1, ours takes less. Every process uses one thread, as on a robot."""


def _warning(machine: dict[str, Any]) -> str:
    if machine["load_before"] <= BUSY:
        return ""
    return (
        f"> **The machine was busy** (load {machine['load_before']:.1f} on {machine['cores']} cores before the start): "
        "times are longer than without load, and time limits may be missed. Run it again on a quiet machine."
    )


def _short(rows: Sequence[Row]) -> str:
    """Return the most important figures, a line each."""
    lines = (
        row.short.format(f"**{measured(row.value, row.unit)}**") for row in rows if row.short and row.value is not None
    )
    return "\n".join(f"- {text}" for text in lines)


def _bars(rows: Sequence[Row]) -> str:
    """Return the table of all rows with a bar; missed bars come first."""
    judged = sorted((row for row in rows if row.bar), key=lambda row: {False: 0, None: 1, True: 2}[row.met])
    met, unmeasured = (sum(row.met is known for row in judged) for known in (True, None))
    rest = f", {unmeasured} unmeasured" if unmeasured else ""
    title = f"## The bars: {met} of {len(judged) - unmeasured} met{rest}"
    lines = [f"| {row.what} | {_value(row)} | {_bar(row)} | {MET[row.met]} |" for row in judged]
    head = ["| what | measured | bar | met |", "|---|---:|---:|---|"]
    return "\n".join([title, "", *head, *lines]) if judged else ""


def _section(name: str, rows: Sequence[Row]) -> str:
    title, _, text = described(name).partition("\n\n")
    lines = [f"| {row.what} | {_value(row)} | {_rival(row)} | {_ratio(row)} | {row.note} |" for row in rows]
    head = ["| what | measured | compared with | ratio | |", "|---|---:|---|---:|---|"]
    return "\n".join([f"## {title.rstrip('.')}", "", *([text, ""] if text else []), *head, *lines])


def described(name: str) -> str:
    """Return the docstring of the file of a section: title, empty line, text."""
    file = Path(__file__).with_name(f"{name}.py")
    return ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or name if file.exists() else name


def _value(row: Row) -> str:
    around = f" ({number(row.spread[0])}–{number(row.spread[1])})" if row.spread else ""
    return f"{measured(row.value, row.unit)}{around}"


def measured(value: float | None, unit: str) -> str:
    """Return a figure with its unit; "never" has no unit."""
    return f"{number(value)} {unit if value not in (None, float('inf')) else ''}".strip()


def _bar(row: Row) -> str:
    if row.bar.endswith("×"):
        return f"{row.bar}; here {number(row.ratio)}" if row.ratio is not None else row.bar
    return f"{row.bar} {row.unit}".strip()


def _rival(row: Row) -> str:
    return f"{row.rival}: {measured(row.rival_value, row.unit)}" if row.rival_value is not None else row.rival


def _ratio(row: Row) -> str:
    return f"{number(row.ratio)} ×" if row.ratio is not None else ""


def number(value: float | None) -> str:
    """Return a number with three significant digits, without an exponent up to a million."""
    if value is None:
        return "–"
    if value != value or value in (float("inf"), float("-inf")):
        return "never" if value > 0 else str(value)
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    return f"{value:.3g}" if size >= 1e-3 or value == 0 else f"{value:.1e}"
