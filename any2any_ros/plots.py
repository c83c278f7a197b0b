"""What all plots look like. matplotlib is imported only when one is drawn."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from any2any_ros import extras

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

GREEN, RED, GREY, AMBER, INK = "#1a9850", "#d73027", "#c9ced6", "#f0a202", "#1f2933"
SENSORS = ("#2b6cb0", "#6b46c1", "#b7791f", "#2c7a7b", "#97266d", "#4a5568")


def canvas(width: float, height: float, rows: int = 1, ratios: Sequence[float] = (1,)) -> tuple[Figure, Any]:
    """Return a figure of width x height inches, and its axes: one, or a tuple of `rows` of them."""
    extras.require("report", "draw a figure")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(rows, 1, squeeze=False, gridspec_kw={"height_ratios": ratios})[:, 0]
    for one in axes:
        _style(one)
    return figure, axes[0] if rows == 1 else tuple(axes)


def _style(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=8, colors=INK)
    axes.grid(alpha=0.15)
