"""Draws one picture: how much of each bar is used, and how ours compares with the rivals."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from any2any_ros.plots import AMBER, GREEN, GREY, INK, RED, SENSORS
from benchmarks.speed._page import measured
from benchmarks.speed._rows import Row

WIDTH, LINE, EDGE = 10.0, 0.26, 1.3  # inches
LONGEST = 62  # letters of a label
EVEN = 1.05  # largest ratio that counts as equal
BEYOND = 3.0  # largest share of a bar that is drawn


def draw(rows: Sequence[Row]) -> bytes:
    """Return the bytes of a PNG. A panel without rows is left out."""
    from matplotlib.figure import Figure

    judged = [row for row in rows if row.bar and row.reached is not None]
    compared = [row for row in rows if row.share]
    panels = [(plot, shown) for plot, shown in ((_bars, judged), (_ratios, compared)) if shown]
    heights = [EDGE + LINE * len(shown) for _, shown in panels] or [1.0]
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    ratios = {"height_ratios": heights} if panels else {}
    axes = figure.subplots(max(1, len(panels)), 1, squeeze=False, gridspec_kw=ratios)[:, 0]
    for (plot, shown), panel in zip(panels, axes, strict=False):
        plot(panel, shown)
        _style(panel, [row.what for row in shown])
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=110, metadata={"Software": None})
    return stream.getvalue()


def _bars(axes: Any, rows: Sequence[Row]) -> None:
    """Draw the share of each bar that is used: green up to the line at 1, red beyond it."""
    share = np.array([row.reached or 0.0 for row in rows])
    colours = [GREEN if row.met else RED for row in rows]
    axes.barh(range(len(rows)), np.minimum(share, BEYOND), color=colours, height=0.62)
    for i, row in enumerate(rows):
        text = f" {row.ratio:.2f} ×" if row.bar.endswith("×") else f" {measured(row.value, row.unit)}"
        end = min(max(share[i], 1.0), BEYOND)  # to the right of the line at 1
        axes.text(end + 0.01, i, f"{text}  ({row.bar})", va="center", fontsize=7.5, color=INK)
    axes.axvline(1, color=INK, linewidth=1, linestyle="--")
    axes.set_xlim(0, max(1.5, 1.3 * min(BEYOND, float(share.max()))))
    axes.set_title("share of the bar that is used: left of the line it is met", fontsize=10, loc="left", color=INK)


def _ratios(axes: Any, rows: Sequence[Row]) -> None:
    """Draw ours as a share of the rival on a log scale. Left of 1, ours is better."""
    ratio = np.array([row.share or 1.0 for row in rows])
    places = np.arange(len(rows))
    axes.hlines(places, 1, ratio, color=GREY, linewidth=2)
    axes.scatter(ratio, places, s=34, color=[SENSORS[0] if r <= EVEN else AMBER for r in ratio], zorder=3)
    low, high = min(0.5, float(ratio.min())), max(2.0, float(ratio.max()))
    axes.set_xscale("log")
    axes.set_xlim(low / 2, high * 60)
    for i, row in enumerate(rows):
        more = " as much as" if row.more_is_better else ""
        text = f"{row.ratio:.3g} ×{more} {row.rival}"
        axes.text(max(ratio[i], 1) * 1.25, i, text, va="center", fontsize=7.5, color=INK)
    axes.axvline(1, color=INK, linewidth=1, linestyle="--")
    axes.set_title("compared with the usual alternative, in the same run: left of the line ours is better", fontsize=10,
                   loc="left", color=INK)  # fmt: skip


def _style(axes: Any, labels: Sequence[str]) -> None:
    short = [label if len(label) <= LONGEST else label[: LONGEST - 1] + "…" for label in labels]
    axes.set_yticks(range(len(labels)), short)
    axes.invert_yaxis()
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(labelsize=8, colors=INK, left=False)
    axes.grid(axis="x", alpha=0.15)
