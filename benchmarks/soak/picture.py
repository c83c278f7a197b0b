"""Draws a run over time: the faults and when they were named, rankings and skipped ones, and memory."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from any2any_ros.demo.figures import svg
from any2any_ros.plots import AMBER, GREEN, GREY, INK, RED, SENSORS, canvas
from benchmarks.soak.campaign import Played
from benchmarks.soak.judge import Named
from benchmarks.soak.kinds import KINDS

ROW = 0.17  # inches of height for each kind of fault
MARGIN = 0.02  # of the run's length, shortest length of a bar that can be seen


def draw(chapters: Sequence[Played], found: Sequence[Named]) -> str:
    """Return the picture as SVG text. Time is in minutes; the chapters follow each other."""
    offsets = np.cumsum([0.0, *(p.chapter.seconds for p in chapters)])
    kinds = [k for k in KINDS if any(f.kind == k for p in chapters for f in p.faults)]
    tall = ROW * len(kinds) + 0.5
    figure, (upper, middle, lower) = canvas(10.4, tall + 4.4, rows=3, ratios=(tall, 2.0, 2.0))
    _faults(upper, chapters, offsets, kinds, found)
    for played, offset in zip(chapters, offsets, strict=False):
        _rankings(middle, played, offset)
        _memory(lower, played, offset)
    for axes in (upper, middle, lower):
        for offset in offsets[1:-1]:
            axes.axvline(offset / 60, color=INK, linewidth=0.8, linestyle=":")
        axes.set_xlim(0, offsets[-1] / 60)
    middle.set_ylabel("rankings per second", fontsize=8)
    middle.set_ylim(0, 30)
    lower.set_ylabel("memory, MB (RSS)", fontsize=8)
    lower.set_xlabel("minutes")
    _legend(lower, chapters)
    return svg(figure)


def _faults(axes: Any, chapters: Sequence[Played], offsets: Any, kinds: list[str], found: Sequence[Named]) -> None:
    """Draw a bar for each fault, red where it was not named as it must be, and a dot where it was named."""
    start = {p.chapter.clock: offset for p, offset in zip(chapters, offsets, strict=False)}
    shown = {(n.clock, n.fault): n for n in found}
    for played in chapters:
        for fault in played.chapter.faults[: sum(f.start < played.ended for f in played.faults)]:
            row, left = kinds.index(fault.kind), (start[played.chapter.clock] + fault.start) / 60
            named = shown.get((played.chapter.clock, fault))
            colour = GREY if named is None else RED if named.wrong else GREEN
            axes.barh(row, (fault.end - fault.start) / 60, left=left, height=0.7, color=colour, alpha=0.75)
            if named is not None and named.naming.after is not None:
                axes.plot(left + named.naming.after / 60, row, ".", color=INK, markersize=3)
    axes.set_yticks(range(len(kinds)), [k.replace("_", " ") for k in kinds], fontsize=7)
    axes.set_ylim(len(kinds) - 0.4, -0.6)
    axes.set_title("faults: green, named and then no longer; red, not; dot, when it was named", fontsize=9, loc="left")


def _rankings(axes: Any, played: Played, offset: float) -> None:
    seconds = np.arange(int(played.ended - played.began))
    counts = np.histogram(np.array(played.ledger.answers) - played.began, bins=np.arange(len(seconds) + 1))[0]
    axes.step((offset + seconds) / 60, np.minimum(counts, 30), where="post", color=SENSORS[0], linewidth=0.6)
    for excused, colour in ((True, AMBER), (False, RED)):
        at = [
            m.at - played.began for m in played.ledger.skipped(played.began, played.ended) if bool(m.excuse) is excused
        ]
        axes.plot((offset + np.array(at)) / 60, np.full(len(at), 1.0), "|", color=colour, markersize=7)


def _memory(axes: Any, played: Played, offset: float) -> None:
    for colour, (_, rows) in zip(SENSORS, sorted(played.memory.items()), strict=False):
        for process in dict.fromkeys(row[1] for row in rows):
            own = np.array([(at - played.began, rss) for at, number, _, rss in rows if number == process])
            axes.plot((offset + own[:, 0]) / 60, own[:, 1] / 1e6, color=colour, linewidth=0.9)
    axes.set_ylim(bottom=0)


def _legend(axes: Any, chapters: Sequence[Played]) -> None:
    names = sorted({name for played in chapters for name in played.memory})
    for colour, name in zip(SENSORS, names, strict=False):
        axes.plot([], [], color=colour, label=name)
    axes.legend(loc="lower left", frameon=False, fontsize=7, ncols=len(names) or 1)
