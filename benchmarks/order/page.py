"""Writes docs/town.md from the results of benchmarks/town_order.py and from notes.md beside this file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from order.compare import FAR, STRETCH, Pair, Recalls, pairs, rank_correlation

NOTES = Path(__file__).with_name("notes.md")
TITLES = {"lidar": "LiDAR", "camera": "Camera"}
HEAD = """# Does the town rank as reality does?

<!-- Written by `python benchmarks/town_order.py DATA`; edit that file, and benchmarks/order/notes.md. -->

    {command}

wrote this page on {date} in {minutes:.0f} minutes: {cpu}, Python {python}, one thread. The real data is not part of \
this project; [real.md](real.md) names its licences.

The [simulated town](design.md) stands in for what cannot be recorded, so it must prefer the methods that reality \
prefers. Here simple descriptors without weights answer the same question in both: which reference shows the place of \
a query? All are a few lines (`benchmarks/order/lidar.py`, `benchmarks/order/camera.py`), and none was chosen or \
changed for these figures.

*R@1*: share of queries whose first answer is right, with the 95 % interval of a bootstrap over stretches of {stretch} \
queries; the mean of the sets, each of which counts the same. Reality *separates* two descriptors when their R@1 \
differ by more than {far:.0f} points and the interval of the difference leaves zero out. The towns then *agree*, \
*reverse* the order (the whole interval is on the other side of zero), or *cannot tell*. A pair is *disputed* when one \
real set says the opposite of the others' mean, by more than {far:.0f} points: no town could please both.
"""
LIDAR = """
KITTI is there only as bird's-eye images: points per cell, without heights, the road left out. The clouds of the \
towns are made into images by the same rule (`image_counts` in `benchmarks/real_sets/kitti_bev.py`, which gives \
KITTI's own images for KITTI's own scans), so both give a descriptor the same. Descriptors that need heights cannot \
be compared with reality here.
"""
CAMERA = """
The towns leave out streets that the second lap drives in the opposite direction, since no picture set has any.
"""
HEIGHTS = """
The same towns, but clouds **with their heights**, which robots have and these images of KITTI do not (R@1, mean of \
the towns): {figures}. There is no reality to compare these with.
"""


def write(results: Mapping[str, Any], what: Mapping[str, Mapping[str, str]]) -> str:
    """Return the text of the page. what: of each sensor, each descriptor in one line."""
    machine = results["machine"]
    head = HEAD.format(command=results["command"], minutes=results["seconds"] / 60, stretch=STRETCH, far=100 * FAR,
                       **machine)  # fmt: skip
    sections = [_section(sensor, found, what[sensor]) for sensor, found in results["sensors"].items()]
    return "\n".join([head, _summary(results), *sections, NOTES.read_text("utf-8")])


def all_pairs(results: Mapping[str, Any]) -> list[Pair]:
    """Return the pairs of all sensors that reality separates."""
    return [pair for found in results["sensors"].values() for pair in pairs(*_recalls(found))]


def _recalls(found: Mapping[str, Any]) -> tuple[Recalls, Recalls]:
    reality, town = (Recalls.of([one["hits"] for one in found[key]]) for key in ("reality", "town"))
    return reality, town


def _summary(results: Mapping[str, Any]) -> str:
    lines = ["| sensor | descriptors | separated pairs | agree | cannot tell | reversed | disputed | Kendall's tau |",
             "|---|---:|---:|---:|---:|---:|---:|---:|"]  # fmt: skip
    for sensor, found in results["sensors"].items():
        both = _recalls(found)
        compared = pairs(*both)
        sure = [pair for pair in compared if not pair.disputed]
        count = [sum(pair.verdict == verdict for pair in sure) for verdict in ("agrees", "cannot tell", "reverses")]
        cells = (TITLES[sensor], len(both[0].names), len(compared), *count, len(compared) - len(sure))
        lines.append(f"| {' | '.join(map(str, cells))} | {rank_correlation(*both):.2f} |")
    return "\n".join([*lines, ""])


def _section(sensor: str, found: Mapping[str, Any], what: Mapping[str, str]) -> str:
    reality, town = _recalls(found)
    lines = [f"## {TITLES[sensor]}", LIDAR if sensor == "lidar" else CAMERA, _sets(found), "",
             _table(found, reality, town, what), "", "Pairs that reality separates:", "",
             _pairs(pairs(reality, town))]  # fmt: skip
    if "heights" in found:
        tall = Recalls.of([one["hits"] for one in found["heights"]])
        lines.append(HEIGHTS.format(figures=", ".join(f"{name} {_share(tall.recall(name))}" for name in tall.names)))
    return "\n".join([*lines, ""])


def _sets(found: Mapping[str, Any]) -> str:
    """Return a list of the sets, with their sizes and chance."""
    said = [f"{one['name']} ({one['queries']} queries, {one['references']} references, chance {_share(one['chance'])})"
            for one in (*found["reality"], *found["town"])]  # fmt: skip
    return "Sets: " + "; ".join(said) + "."


def _table(found: Mapping[str, Any], reality: Recalls, town: Recalls, what: Mapping[str, str]) -> str:
    """Return R@1 of each descriptor in every set, best in reality first."""
    real_names = [one["name"] for one in found["reality"]]
    heads = ["descriptor", *real_names, "**reality**", "**towns**", "each town", ""]
    lines = [f"| {' | '.join(heads)} |", "|---|" + "---:|" * (len(real_names) + 3) + "---|"]
    for name in sorted(reality.names, key=reality.recall, reverse=True):
        each = [_share(value) for value in reality.sets[reality.names.index(name)]]
        towns = " ".join(_share(value) for value in town.sets[town.names.index(name)])
        cells = [name, *each, _with_interval(reality, name), _with_interval(town, name), towns, what.get(name, "")]
        lines.append(f"| {' | '.join(cells)} |")
    chance = [_share(one["chance"]) for one in found["reality"]]
    means = [_share(float(np.mean([one["chance"] for one in found[key]]))) for key in ("reality", "town")]
    return "\n".join([*lines, f"| *chance* | {' | '.join([*chance, *means])} | | |"])


def _pairs(found: Sequence[Pair]) -> str:
    lines = ["| better in reality | worse | reality | towns | verdict |", "|---|---|---:|---:|---|"]
    for pair in found:
        verdict = "disputed" if pair.disputed else pair.verdict
        verdict = f"**{verdict}**" if verdict == "reverses" else verdict
        lines.append(f"| {pair.better} | {pair.worse} | {_points(pair.reality)} | {_points(pair.town)} | {verdict} |")
    return "\n".join(lines)


def _with_interval(recalls: Recalls, name: str) -> str:
    low, high = recalls.interval(name)
    return f"{_share(recalls.recall(name))} ({_share(low)}–{_share(high)})"


def _points(difference: tuple[float, float, float]) -> str:
    """Return a difference of R@1 in points, with its interval."""
    mean, low, high = (100 * value for value in difference)
    return f"{mean:+.0f} ({low:+.0f} to {high:+.0f})"


def _share(value: float) -> str:
    """Return a share with three places and no zero before the point."""
    text = f"{value:.3f}"
    return text.removeprefix("0") if value < 1 else text
