"""Draws figures as SVG text, for a page that stands alone."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from any2any_ros.arrays import Flags, Float64
from any2any_ros.plots import GREEN, GREY, INK, RED, SENSORS, canvas

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def route(
    reference: Float64,
    calibration: Float64,
    queries: Float64,
    hit: Flags,
    answers: Float64,
) -> str:
    """Draw positions on the ground: the map (N, 2), calibration (C, 2), and queries (Q, 2), green if a hit (Q,) or red.

    answers (Q, 2): the places that were answered; a line leads there from each wrong query.
    """
    figure, axes = canvas(5.6, 5.6)
    axes.plot(*reference.T, ".", color=GREY, markersize=4, label="map")
    axes.plot(*calibration.T, ".", color="#9aa5b1", markersize=2, label="calibration only")
    for query, answer in zip(queries[~hit], answers[~hit], strict=True):
        axes.plot(*np.stack([query, answer]).T, color=RED, linewidth=0.5, alpha=0.35)
    axes.plot(*queries[hit].T, ".", color=GREEN, markersize=5, label=f"right ({hit.sum()})")
    axes.plot(*queries[~hit].T, ".", color=RED, markersize=6, label=f"wrong ({(~hit).sum()})")
    axes.set_aspect("equal")
    axes.set_xlabel("x [m]")
    axes.set_ylabel("y [m]")
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    return svg(figure)


def timeline(
    seconds: Float64,
    probability: Float64,
    hit: Flags,
    accepted: Flags,
    alive: Mapping[str, Flags],
    outages: Sequence[tuple[str, float, float]],
) -> str:
    """Draw over seconds (Q,) which sensors each ranking used, and its probability: green where right, red where wrong.

    alive: sensor -> (Q,). outages: sensor, start and end in seconds.
    """
    figure, (upper, lower) = canvas(9.2, 4.2, rows=2, ratios=(1, 1.6))
    names = sorted(alive)
    for line, name in enumerate(names):
        upper.scatter(seconds[alive[name]], np.full(alive[name].sum(), line), s=9, marker="s",
                      color=SENSORS[line % len(SENSORS)], linewidths=0)  # fmt: skip
        for _, start, end in (o for o in outages if o[0] == name):
            upper.barh(line, end - start, left=start, height=0.8, color=RED, alpha=0.14)
    upper.set_yticks(range(len(names)), names)
    upper.set_ylim(-0.6, len(names) - 0.4)
    upper.set_title("sensors used in each ranking (shaded: silenced)", fontsize=9, loc="left")
    lower.plot(seconds, probability, color=GREY, linewidth=0.8, zorder=1)
    for right, colour, label in ((True, GREEN, "right"), (False, RED, "wrong")):
        rows = hit == right
        lower.scatter(seconds[rows], probability[rows], s=12, color=colour, label=label, zorder=2)
    lower.scatter(seconds[accepted], np.full(accepted.sum(), 1.06), s=4, marker="|", color=INK, label="accepted")
    lower.set_ylim(-0.02, 1.1)
    lower.set_ylabel("probability of the first match")
    lower.set_xlabel("seconds since the start")
    lower.legend(loc="lower left", frameon=False, fontsize=8, ncols=3)
    upper.sharex(lower)
    upper.tick_params(labelbottom=False)
    return svg(figure)


def reliability(points: Sequence[Sequence[float]]) -> str:
    """Draw bins (B, 3) of mean probability, share right, and count. On the diagonal a probability is true."""
    probability, right, count = np.array(points, dtype=np.float64).reshape(-1, 3).T
    figure, axes = canvas(4.6, 3.8)
    axes.plot([0, 1], [0, 1], color=GREY, linewidth=1)
    axes.plot(probability, right, color=SENSORS[0], linewidth=1)
    axes.scatter(probability, right, s=12 + 160 * count / max(count.sum(), 1), color=SENSORS[0])
    axes.set_xlabel("probability of the first match")
    axes.set_ylabel("share that is right")
    return svg(figure)


def precision_by_share(points: Sequence[Sequence[float]], promised: float) -> str:
    """Draw (N, 2): the share of queries that are answered, surest first, and their precision; beside it the promise."""
    share, precision = np.array(points, dtype=np.float64).reshape(-1, 2).T
    figure, axes = canvas(4.6, 3.8)
    axes.axhline(
        promised, color=GREEN, linewidth=1, linestyle="--", label=f"promised of accepted answers: {promised:g}"
    )
    axes.plot(share, precision, color=SENSORS[0], linewidth=1.2)
    axes.set_xlabel("share of the queries answered, surest first")
    axes.set_ylabel("precision")
    axes.set_ylim(min(0.5, float(precision.min(initial=1.0))) - 0.02, 1.02)
    axes.legend(loc="lower left", frameon=False, fontsize=8)
    return svg(figure)


def svg(figure: Figure) -> str:
    """Return a figure as SVG text."""
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "any2any", "font.family": "sans-serif"}):
        stream = io.StringIO()
        figure.savefig(stream, format="svg", metadata={"Date": None})
    text = stream.getvalue()
    return text[text.index("<svg") :]
