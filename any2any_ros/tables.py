"""Results as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """Return rows as aligned text: numbers to three places, a missing value as a dash. columns: heading -> key."""
    cells = [list(columns), *([_cell(row.get(key)) for key in columns.values()] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    numeric = [any(isinstance(row.get(key), int | float) for row in rows) for key in columns.values()]
    lines = [
        "  ".join(c.rjust(w) if n else c.ljust(w) for c, w, n in zip(line, widths, numeric, strict=True)).rstrip()
        for line in cells
    ]
    lines.insert(1, "  ".join("-" * w for w in widths))
    return "\n".join(lines)


def _cell(value: Any) -> str:
    if value is None or value != value:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def groups(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the evaluation of every availability pattern, with chance beside each recall."""
    columns = {
        "sensors alive": "pattern", "queries": "queries", "chance@1": "chance@1", "R@1": "recall@1",
        "chance@5": "chance@5", "R@5": "recall@5", "best alone": "best_single", "its R@1": "best_single_recall@1",
    }  # fmt: skip
    if any("mean_probability" in row for row in rows):
        columns |= {"mean p": "mean_probability", "p50 ms": "latency_p50_ms", "p99 ms": "latency_p99_ms"}
    return table(rows, columns)


def missing(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return recall by the share of sensors that are off; with an imputer also error and shift, and those of means."""
    columns = {
        "missing": "missing", "queries": "queries", "chance@1": "chance@1", "R@1": "recall@1", "±": "recall@1_sd",
        "chance@5": "chance@5", "R@5": "recall@5",
    }  # fmt: skip
    if any("error" in row for row in rows):
        columns |= {"error / means'": "error", "shift": "shift", "shift by means": "shift_means"}
    return table(rows, columns)


def fusions(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return the fusions compared on held-out calibration places, best first."""
    ordered = sorted(rows, key=lambda row: -row["recall@1"])
    columns = {"fusion": "fusion", "R@1": "recall@1", "R@5": "recall@5", "chance@1": "chance@1", "chosen": "chosen"}
    return table(ordered, columns)


def too_few(row: Mapping[str, Any], wanted: Mapping[str, int]) -> str:
    """Return which patterns had too few calibration queries, "" for none. row: of the chosen fusion."""
    lines = [
        f"  {pattern}: {row['patterns'][pattern]['queries']} queries, at least {least} are wanted"
        for pattern, least in wanted.items()
    ]
    first = "Too few queries. No answer is accepted, or the place sets hold every candidate:"
    return "\n".join([first, *lines]) if lines else ""


def refinements(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return what refining rankings gains on held-out calibration places."""
    columns = {
        "queries": "queries", "rankings": "rankings", "chance@1": "chance@1", "R@1": "recall@1",
        "refined R@1": "refined_recall@1",
    }  # fmt: skip
    return table(rows, columns)


def reliability(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return how true probability, acceptance and place sets are, one line for each availability pattern."""
    columns = {
        "sensors alive": "pattern", "queries": "queries", "mean p": "mean_probability", "R@1": "recall@1",
        "ECE": "expected_calibration_error", "accepted": "accepted", "precision": "accepted_precision",
    }  # fmt: skip
    if any("refined" in row for row in rows):
        columns = {
            "sensors alive": "pattern",
            "refined": "refined",
            "queries": "queries",
            "chance@1": "chance@1",
        } | columns
        columns |= {"pose error p50 m": "metres p50", "p95": "metres p95"}
    if rows and "absent" in rows[0]:
        columns["accepted if absent"] = "absent"
    for key in (k for k in (rows[0] if rows else {}) if k.startswith(("coverage@", "size@"))):
        columns[key.replace("coverage", "cover").replace("size", "set")] = key
    return table(rows, columns)


def poses(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return how far the poses of accepted answers are from the true ones, one line for each pattern that has some."""
    columns = {
        "sensors alive": "pattern", "accepted": "accepted", "yaw p50 deg": "yaw_p50", "yaw p95": "yaw_p95",
        "over 90": "yaw_over_90_share", "position p50 m": "position_p50", "position p95": "position_p95",
        "in 95 % ellipsoid": "coverage95",
    }  # fmt: skip
    return table([row for row in rows if row["accepted"]], columns)


def grounding(found: Mapping[str, Mapping[str, Any]], chance: Mapping[str, float]) -> str:
    """Return how well commands find their object, one line for each ablation, and chance below."""
    rows = [{"ablation": name, **row} for name, row in found.items()] + [{"ablation": "chance", **chance}]
    columns = {"said, seen": "ablation", "commands": "queries", "MRR": "mrr", "accuracy": "accuracy"}
    return table(rows, columns)


def imputation(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return how well hidden embeddings are imputed, and how far the anchor moves."""
    columns = {"imputed by": "imputed by", "views": "views", "error": "error", "shift of the anchor": "shift"}
    return table(rows, columns)


def connection(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return how well a new sensor knows classes and finds them among known views, one line for each method."""
    return table(rows, {"method": "method", "accuracy": "accuracy", "R@1": "recall@1"})
